"""What this machine can do at most: the speed of a large matrix product."""

import argparse
import json
import time


def peak(precision: str, side: int = 4096, repeats: int = 5) -> float:
    """Multiply-adds per second of a side x side matrix product in "float32" or "bfloat16": the best of repeats."""
    import tensorflow as tf

    matrix = tf.cast(tf.random.stateless_normal((side, side), seed=(0, 0)), precision)
    product = tf.function(lambda a: tf.reduce_sum(tf.matmul(a, a)))
    product(matrix).numpy()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        product(matrix).numpy()
        best = min(best, time.perf_counter() - start)
    return side**3 / best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("precision", choices=["float32", "bfloat16"])
    print(json.dumps({"multiply_adds_per_second": peak(parser.parse_args().precision)}))
