"""Floor three: backbones with their weights, scratch networks, heads, and whole models on disk.

Importing this package imports neither Keras nor TensorFlow: a table of parameter counts must not wait for them.
"""
