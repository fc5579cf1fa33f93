"""Exceptions and warnings that astrodlkit raises on purpose."""

from astropy.utils.exceptions import AstropyUserWarning

__all__ = [
    "AstrodlkitWarning",
    "MissingDependencyError",
    "UnknownModelError",
    "WeightsError",
]


class AstrodlkitWarning(AstropyUserWarning):
    """Something that did not stop the computation but that the user should read."""


class MissingDependencyError(ImportError):
    """An optional package is needed; the message says what to install."""


class UnknownModelError(ValueError):
    """No model of that name; the message lists those there are."""


class WeightsError(RuntimeError):
    """A weight file is missing, damaged, foreign, or disagrees with its card."""
