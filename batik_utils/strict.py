"""The base of what is read from a file: frozen, strictly typed (pydantic), and the numbers that such files hold."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


def some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    # Not Field(min_length=1): pydantic counts good values only, and would name a bad one's mistake twice.
    if not values:
        raise ValueError("needs one value or more")
    return values


Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Times = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, lt=1)]


class Strict(BaseModel):
    """Base of every part of a study: frozen, no unknown keys, no coercion ("20" is not 20), no .inf or .nan."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
