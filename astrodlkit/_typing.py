"""Type aliases shared by the rooms."""

from collections.abc import Callable
from os import PathLike as _PathLike
from typing import TypeAlias

__all__ = ["PathLike", "Progress"]

PathLike: TypeAlias = str | _PathLike[str]

# None: a bar when standard error is a terminal; a callable gets (done, total).
Progress: TypeAlias = bool | Callable[[int, int], None] | None
