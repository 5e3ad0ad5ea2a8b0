"""The classifier in use: the model that a study recommends, as one file, with what must be known to use it well."""

CLASSIFIER = "classifier.tflite"
"""Its name in a folder of reports."""
