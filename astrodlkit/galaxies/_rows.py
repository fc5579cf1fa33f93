"""Stamps of some rows of a catalogue; templates are made while others are drawn."""

from typing import TYPE_CHECKING, Any

import torch

from .. import __version__
from .._typing import Progress
from ..cutouts import Cutouts
from ..engine import map_ahead, progress_bar
from ._draw import draw_cutouts
from ._request import Request
from ._templates import Galaxies, split_rows

if TYPE_CHECKING:
    from ._simulator import GalaxySimulator

__all__ = ["draw_rows", "provenance"]


def draw_rows(
    simulator: "GalaxySimulator", request: Request, rows: range, progress: Progress
) -> Cutouts:
    """
    Draw some rows.

    Parameters
    ----------
    simulator : GalaxySimulator
        Makes the templates.
    request : Request
        What is asked of it.
    rows : range
        Consecutive ones.
    progress : bool or callable, optional
        As for `simulate_galaxies`.

    Returns
    -------
    cutouts : Cutouts
        Of these rows.
    """

    def make(chunk: range) -> tuple[int, Galaxies]:
        made = simulator._galaxies(request.catalog, request.seed, chunk)  # noqa: SLF001
        return chunk.start, made

    workers = torch.get_num_threads() if simulator.device.type == "cpu" else 1
    made = map_ahead(make, split_rows(rows, request.catalog.first), workers=workers)
    with progress_bar(
        len(rows), progress, description=simulator.card.name, unit="galaxy"
    ) as advance:
        return draw_cutouts(
            request,
            simulator.spec,
            rows,
            made,
            provenance=provenance(simulator, request),
            advance=advance,
        )


def provenance(simulator: "GalaxySimulator", request: Request) -> dict[str, Any]:
    """
    What made stamps.

    Parameters
    ----------
    simulator : GalaxySimulator
        Drew them.
    request : Request
        What was asked of it.

    Returns
    -------
    provenance : dict
        Model, checksum, version, seed and pixel scale.
    """
    weights = simulator.card.weights
    return {
        "model": simulator.card.full_name,
        "sha256": "" if weights is None else weights.sha256,
        "version": __version__,
        "seed": request.seed,
        "pixel_scale": request.scale,
    }
