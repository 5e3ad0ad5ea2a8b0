"""The networks of a study layer by layer, as rows of a table; networks that are alike are listed once."""

from typing import Any, NamedTuple

from batik_utils.models.backbones import backbone
from batik_utils.study import PretrainedModel, ScratchModel, Study


class Layer(NamedTuple):
    """One layer: what it is, the shape of what it gives, and how many numbers it holds."""

    layer: str
    gives: str
    parameters: int


def layers(study: Study, models: list[str]) -> dict[str, list[Layer]]:
    """{titles of the models that are so built, parted by semicolons: layers}; recipes have no layers of their own."""
    alike: dict[tuple[Any, ...], list[ScratchModel | PretrainedModel]] = {}
    for spec in (study.models[name] for name in models):
        if isinstance(spec, ScratchModel):
            alike.setdefault((spec.architecture, spec.dropout, spec.regularised), []).append(spec)
        elif isinstance(spec, PretrainedModel):  # how its pictures are scaled is no layer
            alike.setdefault((backbone(spec.backbone).weights, spec.hidden, spec.dropout), []).append(spec)
    return {"; ".join(spec.title for spec in specs): _layers(specs[0], study) for specs in alike.values()}


def _layers(spec: ScratchModel | PretrainedModel, study: Study) -> list[Layer]:
    return _scratch(spec, study) if isinstance(spec, ScratchModel) else _pretrained(spec, len(study.motifs))


def _scratch(spec: ScratchModel, study: Study) -> list[Layer]:
    from batik_utils.models.scratch import build_scratch

    side = spec.regularised.side if spec.regularised else study.image.size
    network = build_scratch(spec.architecture, side, len(study.motifs), spec.dropout)
    shown = (layer for layer in network.layers if layer.name != "images")
    return [Layer(_words(layer), _shape(layer.output.shape[1:]), layer.count_params()) for layer in shown]


def _pretrained(spec: PretrainedModel, classes: int) -> list[Layer]:
    frozen, rows = backbone(spec.backbone), []
    width = frozen.features
    rows.append(Layer(f"{frozen.title}, frozen, mean over positions", f"{width:,}", frozen.parameters))
    if spec.hidden:
        rows.append(Layer(f"Dense, {spec.hidden} units, relu", f"{spec.hidden}", (width + 1) * spec.hidden))
        width = spec.hidden
    rows.append(Layer(f"Dropout, {spec.dropout:g}", f"{width:,}", 0))
    return [*rows, Layer(f"Dense, {classes} units, softmax", f"{classes}", (width + 1) * classes)]


def _words(layer: Any) -> str:
    """A Keras layer in a few words, from its own configuration."""
    given = layer.get_config()
    parts = [
        f"{given['filters']} filters of {_shape(given['kernel_size'])}" if "filters" in given else "",
        f"stride {given['strides'][0]}" if "filters" in given and given["strides"][0] > 1 else "",
        f"{given['units']} units" if "units" in given else "",
        f"{given['rate']:g}" if "rate" in given else "",
        _shape(given["pool_size"]) if "pool_size" in given else "",
        given["activation"] if given.get("activation", "linear") != "linear" else "",
    ]
    return ", ".join(filter(None, [type(layer).__name__, *parts]))


def _shape(sizes: Any) -> str:
    return " × ".join(f"{size:,}" for size in sizes)
