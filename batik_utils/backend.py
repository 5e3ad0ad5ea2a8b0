"""How this project sets up the numerical backend: quiet, deterministic, one thread per fit.

Import this before keras or tensorflow. A fit always runs on one thread, and fits run side by side in
processes: a sum split over two threads rounds differently from one, and results must not depend on how many
cores a machine has or on where a fit happened to run.
"""

import logging
import os
import sys
from collections.abc import Callable

import cv2

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
# TensorFlow turns oneDNN on by itself on newer processors alone; elsewhere it is half as fast again with it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if os.environ["KERAS_BACKEND"] == "jax":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share a GPU

# Retracing notices: batches and folds differ in shape, and each shape is traced once on purpose.
logging.getLogger("tensorflow").setLevel(logging.ERROR)


def start() -> None:
    """Keep OpenCV to one thread; import TensorFlow, where it is the backend, with its start-up lines turned off.

    They come from native code before any setting is read, so the file descriptor itself is turned away meanwhile.
    """
    cv2.setNumThreads(1)
    if os.environ["KERAS_BACKEND"] != "tensorflow" or "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)  # several processes share it
        tf.zeros(1).numpy()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def compiled(function: Callable) -> Callable:
    """Compile a function of tensors on its own with XLA under TensorFlow; leave it alone under other backends.

    XLA turns a chain of small operations into one pass over memory. Two functions compiled apart stay two
    passes, which is faster where one would compute the same numbers again for each of its readers. JAX compiles
    a whole training step anyway.
    """
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True)
