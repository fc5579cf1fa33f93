"""From a name to a model object."""

from importlib import import_module
from typing import Any

from .._typing import PathLike
from ._card import TASKS
from ._registry import HUB, find_model
from ._weights import load_module

__all__ = ["load_model"]


def load_model(name: PathLike, *, device: Any = "auto", download: bool = False) -> Any:
    """
    Load a model, ready for use.

    Parameters
    ----------
    name : str or path-like
        What `describe_model` takes; or ``"hf-hub:ORG/NAME@REVISION"`` for a
        model on the Hugging Face hub, the revision being a full commit hash.
    device : str or `torch.device`
        Where it computes; ``"auto"`` takes a GPU where there is one.
    download : bool
        Whether the network may be used; needed for names on the hub, without
        effect on others.

    Returns
    -------
    model : object
        For the task ``"classify"`` an `~astrodlkit.classify.CutoutClassifier`,
        for ``"emulate"`` an `~astrodlkit.cosmicweb.DensityMapEmulator`, for
        ``"simulate"`` a `~astrodlkit.galaxies.GalaxySimulator`.

    Raises
    ------
    astrodlkit.exceptions.UnknownModelError
        If there is no such model.
    astrodlkit.exceptions.WeightsError
        If the weights are missing, damaged, or disagree with the card.
    astrodlkit.exceptions.MissingDependencyError
        If the name is on the hub and the extra ``hub`` is not installed.
    FileNotFoundError, ValueError
        If a path holds no card, or ``download`` is not set for a name on the hub.

    See Also
    --------
    list_models : What there is.
    save_model : What paths are for.

    Examples
    --------
    >>> from astrodlkit import list_models, load_model
    >>> models = [load_model(name, device="cpu") for name in list_models(task="classify")[:1]]
    """
    if not isinstance(download, bool):
        raise TypeError(f"download must be True or False, got {download!r}")
    if isinstance(name, str) and name.startswith(HUB):
        from ._hub import load_from_hub

        card, module = load_from_hub(name, download=download)
    else:
        card, folder = find_model(name)
        module = load_module(card, folder)
    home, _, kind = TASKS[card.task].partition(":")
    return getattr(import_module(home), kind)(card, module, device=device)
