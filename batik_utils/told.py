"""What a study's file tells and no fit depends on: the seed study, its numbers, others' numbers, trials."""

from typing import Annotated, Literal

from pydantic import Field

from batik_utils.strict import Count, Strict


class Notes(Strict):
    """What readers must know of one seed study, in Markdown, named after the section that says it."""

    models: str = ""
    training: str = ""
    protocols: str = ""
    search: str = ""
    mispaired: str = ""


class SeedStudy(Strict):
    """The student project that a study takes up."""

    title: str
    authors: tuple[str, ...]
    institution: str
    year: int | None
    language: str
    framework: str
    summary: str  # one or two sentences: what it compared and what it reported
    parameter_limit: Count | None = None  # what it allows a "limited-parameter" model
    test_images_known: bool = False  # whether it can be told which images it tested on
    chose_by_test: bool = False  # whether it chose its best model by accuracy on the test images
    notes: Notes = Notes()


class Claim(Strict):
    """A number that the seed study published."""

    id: str
    what: str  # in words, for the table
    model: str  # a key of Study.models
    metric: Literal[
        "accuracy", "loss", "macro_f1", "train_accuracy", "train_loss", "ten_images", "images", "train_images",
        "test_images", "paired_wrong_accuracy", "paired_wrong_precision", "paired_wrong_recall", "paired_wrong_f1",
    ]  # fmt: skip
    """paired_wrong_…: of the seed's classification report, predictions shuffled against labels."""
    value: float
    n: int | None = None  # images behind it
    motif: str | None = None  # of paired_wrong_…: a motif of the study; none for the mean over motifs
    read_off: Annotated[float, Field(gt=0)] | None = None
    """Of a number that was read off a plot, as the seed words it: how far the reading may be off."""
    where: str  # section of the seed document


class Reported(Strict):
    """What somebody else reported of one model on these pictures."""

    title: str
    accuracy: Annotated[float, Field(ge=0, le=1)]  # mean over their runs
    sd: Annotated[float, Field(ge=0)]  # over their runs
    parameters: Count | None = None


class Others(Strict):
    """An evaluation of the same pictures by somebody else, whose splits are taken up as they are."""

    title: str
    note: str = ""  # what must be known to compare, in Markdown
    splits: str  # studies/splits/NAME.csv: paths, and in which splits each is tested on
    reported: tuple[Reported, ...] = ()


class Tried(Strict):
    """A trial beside the study's own fits, measured once by a command; none of its numbers enters a result."""

    what: str
    result: str
    command: str
