"""The command ``astrodlkit``."""

from ._main import main

__all__ = ["main"]
