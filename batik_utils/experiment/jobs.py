"""What is sent to workers, and what stands for it where a worker died."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Job = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function that workers can import, and its arguments."""


@dataclass(frozen=True)
class WorkerDied:
    """Stands for the result of a job whose process died, with a reason for people."""

    reason: str

    @classmethod
    def of(cls, death: Exception) -> WorkerDied:
        """Put a library's exception into words."""
        killed = "SIGKILL" in str(death)
        return cls("its process died" + (" (SIGKILL: perhaps out of memory)" if killed else ""))
