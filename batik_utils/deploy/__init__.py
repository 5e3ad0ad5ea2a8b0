"""The classifier in use: the model that a study recommends, as one file, with what must be known to use it well."""

CLASSIFIER = "classifier.tflite"  # its name in a folder of reports
PRIVATE = "photographs"
"""The folder beside the studies' that is never committed: editions with photographs, models, own pictures' index."""
