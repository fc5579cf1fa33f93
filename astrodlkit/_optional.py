"""Import of optional dependencies, with an error that says what to install."""

from importlib import import_module
from types import ModuleType

from .exceptions import MissingDependencyError

__all__ = ["import_optional"]


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """
    Import an optional dependency.

    Parameters
    ----------
    module : str
        Dotted name of the module, for example ``"h5py"``.
    extra : str
        The extra of astrodlkit that brings it.
    purpose : str
        What it is needed for, in words that end the sentence
        "... is needed".

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    astrodlkit.exceptions.MissingDependencyError
        If the module cannot be found.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        raise MissingDependencyError(
            f"{module} is needed {purpose}; "
            f"install it with: python -m pip install 'astrodlkit[{extra}]'"
        ) from exc
