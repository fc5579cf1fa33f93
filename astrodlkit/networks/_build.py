"""Networks by name, so that a card can say which one its weights belong to."""

from importlib import import_module
from typing import Any

from torch import nn

__all__ = ["ARCHITECTURES", "build"]

ARCHITECTURES = {
    "density-maps": "astrodlkit.networks._density_maps:DensityMapNetwork",
    "galaxy-zoo": "astrodlkit.networks._galaxy_zoo:GalaxyZooNetwork",
    "galaxy-templates": "astrodlkit.networks._galaxy_templates:GalaxyTemplateNetwork",
    "heads": "astrodlkit.networks._heads:HeadsNetwork",
    "timm": "astrodlkit.networks._timm:TimmNetwork",
}


def build(architecture: str, **options: Any) -> nn.Module:
    """
    Make a network with random weights.

    Parameters
    ----------
    architecture : str
        One of the names in ``ARCHITECTURES``.
    **options
        What the network's class takes.

    Returns
    -------
    module : `torch.nn.Module`
        In training mode, on the CPU.

    Raises
    ------
    ValueError
        If there is no such architecture, or it does not take the options.

    Examples
    --------
    >>> from astrodlkit.networks import build
    >>> type(build("galaxy-zoo", backbone="tf_efficientnet_lite0")).__name__
    'GalaxyZooNetwork'
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"architecture must be one of {sorted(ARCHITECTURES)}, got {architecture!r}"
        )
    module, name = ARCHITECTURES[architecture].split(":")
    try:
        return getattr(import_module(module), name)(**options)
    except TypeError as exc:
        raise ValueError(
            f"options {options} do not fit architecture {architecture!r}: {exc}"
        ) from exc
