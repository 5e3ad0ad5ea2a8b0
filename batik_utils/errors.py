"""The one exception that a person is meant to read."""


class BatikError(Exception):
    """A user's mistake or a thing that cannot be had; its text says what, where and what to do.

    Faces (command line, notebooks) print the text alone, without a stack trace.
    """
