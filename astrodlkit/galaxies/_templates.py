"""From rows of a catalogue to templates, and to how they lie on the sky."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._flags import Flag
from ..specs import TemplateSpec
from ._catalog import Catalog
from ._shapes import half_light_radii, measure_ellipses

__all__ = ["STEP", "Galaxies", "generator", "make_galaxies", "run_network", "split_rows"]

# Rows that the network takes together; always so many, for the same last digits.
_ROWS = 32

STEP = 2 * _ROWS
"""Rows of which templates are made together."""

# Pixels in which a template fades to nothing at its edges, which drawn ones would show.
_RIM = 5

# What rounding may take a value out of the domain by.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Galaxies:
    """
    Templates of m rows.

    ``planes`` has the shape (m, p, side, side); ``conditions`` (m, k) and ``angle``
    (m,), in radians, are what they were made for; ``fluxes`` is of shape (m, c);
    ``to_sky`` (m, 2, 2) is arcseconds east and north by pixel of the template in x
    and y.
    """

    planes: NDArray[np.float32]
    latent: NDArray[np.float32]
    conditions: NDArray[np.float64]
    angle: NDArray[np.float64]
    fluxes: NDArray[np.float64]
    to_sky: NDArray[np.float64]
    flags: NDArray[np.int32]


def generator(seed: int, row: int, stream: int = 0) -> np.random.Generator:
    """Random numbers of one row, whichever rows are beside it."""
    # The streams of a row lie 2**192 numbers apart.
    return np.random.Generator(np.random.Philox(key=[seed, row], counter=[0, 0, 0, stream]))


def make_galaxies(
    module: Any,
    device: torch.device,
    spec: TemplateSpec,
    catalog: Catalog,
    *,
    seed: int,
    rows: range,
) -> Galaxies:
    """
    Make the templates of some rows.

    Parameters
    ----------
    module : `torch.nn.Module`
        The network.
    device : `torch.device`
        Where it is.
    spec : TemplateSpec
        Of the model.
    catalog : Catalog
        All rows.
    seed : int
        Of the random numbers.
    rows : range
        Consecutive ones.

    Returns
    -------
    galaxies : Galaxies
        Of these rows.
    """
    here, m = slice(rows.start, rows.stop), len(rows)
    uniform = np.empty((m, module.n_uniform))
    latent = np.empty((m, module.n_latent), np.float32)
    angle = np.empty(m)
    for i, row in enumerate(rows):
        rng = generator(seed, catalog.first + row)
        angle[i] = np.pi * rng.random()
        uniform[i] = rng.random(module.n_uniform)
        latent[i] = rng.standard_normal(module.n_latent, dtype=np.float32)
    if catalog.latent is not None:
        if catalog.latent.shape[1:] != latent.shape[1:]:
            raise ValueError(
                f"column 'latent' must have {latent.shape[1]} numbers a row for this model, its "
                f"shape is {catalog.latent.shape}"
            )
        latent = np.where(np.isfinite(catalog.latent[here]), catalog.latent[here], 0)
    # Of rows that are not drawn nothing is known.
    unknown = (catalog.flags[here] & Flag.NO_RESULT) != 0
    given_angle = catalog.angle[here]
    angle = np.where(unknown | np.isnan(given_angle), angle, given_angle)
    low, high = np.array(list(spec.domain.values())).T
    given = np.where(unknown[:, None], np.nan, catalog.conditions[here])
    answers = run_network(
        lambda asked, uniform: (module.complete(asked, uniform),),
        device,
        np.clip(given, low, high),
        uniform,
    )
    conditions = np.where(np.isnan(given), answers[0], given)
    planes, support = run_network(
        lambda latent, known: (module(latent, known), module.support(known)),
        device,
        latent,
        np.clip(conditions, low, high),
    )
    planes *= _rim(planes.shape[-1])
    # A class that is certain is no further from the training set than one that is not.
    counted = np.array([not name.startswith("class_") for name in spec.conditions])
    margin = _TOLERANCE * (high - low)
    beyond = (given < low - margin) | (given > high + margin)
    flags = np.zeros(m, np.int32)
    flags[(beyond & counted).any(axis=1) | (support > spec.support_limit)] = Flag.OUTSIDE_DOMAIN
    ratio = conditions[:, spec.conditions.index("axis_ratio")]
    to_sky = _to_sky(planes[:, spec.bands.index(spec.reference)], ratio, angle, catalog, here)
    flags[~np.isfinite(to_sky).all(axis=(1, 2))] |= Flag.NO_RESULT
    return Galaxies(
        planes=planes,
        latent=latent,
        conditions=conditions,
        angle=angle,
        fluxes=catalog.band_fluxes(spec, here, conditions),
        to_sky=to_sky,
        flags=flags,
    )


def _rim(side: int) -> NDArray[np.float32]:
    """What is left of the light in each pixel, (side, side)."""
    to_edge = side / 2 - np.abs(np.arange(side) - (side - 1) / 2)
    fade = np.sin(np.pi / 2 * np.minimum(to_edge / _RIM, 1)) ** 2
    return np.outer(fade, fade).astype(np.float32)


def split_rows(rows: range, first: int) -> Iterator[range]:
    """
    Parts of some rows, from one on that the network always takes as the first of some.

    Parameters
    ----------
    rows : range
        Consecutive ones.
    first : int
        Number of the catalogue's first row.

    Yields
    ------
    part : range
        At most `STEP` rows; some before the first of ``rows`` may be in it.
    """
    start = max(rows.start - (first + rows.start) % _ROWS, 0)
    while start < rows.stop:
        stop = min(start + STEP - (first + start) % _ROWS, rows.stop)
        yield range(start, stop)
        start = stop


def run_network(function: Any, device: torch.device, *arrays: NDArray) -> list[NDArray]:
    """
    Call a network with 32 rows at a time, the last filled up.

    Parameters
    ----------
    function : callable
        Takes and gives tensors of as many rows.
    device : `torch.device`
        Where it computes.
    *arrays : ndarray, shape (m, ...)
        What it takes.

    Returns
    -------
    answers : list of ndarray, shape (m, ...)
        What it gives, float32.
    """
    parts = []
    for start in range(0, max(len(arrays[0]), 1), _ROWS):
        filled = []
        for array in arrays:
            part = np.asarray(array[start : start + _ROWS], np.float32)
            tensor = torch.zeros((_ROWS, *part.shape[1:]), dtype=torch.float32)
            tensor[: len(part)] = torch.from_numpy(np.ascontiguousarray(part))
            filled.append(tensor.to(device))
        with torch.inference_mode():
            parts.append([each.float().cpu().numpy() for each in function(*filled)])
    return [np.concatenate(each)[: len(arrays[0])] for each in zip(*parts, strict=True)]


def _to_sky(
    images: NDArray[np.float32],
    ratio: NDArray[np.float64],
    angle: NDArray[np.float64],
    catalog: Catalog,
    rows: slice,
) -> NDArray[np.float64]:
    """What gives templates the shapes and sizes that are asked for."""
    found = measure_ellipses(images)
    c, s = np.cos(found.angle), np.sin(found.angle)
    squeeze = ratio / found.axis_ratio
    upright = np.moveaxis(np.array([[c, s], [-s * squeeze, c * squeeze]]), -1, 0)
    side = images.shape[-1]
    places = np.indices((side, side)).reshape(2, -1)[::-1] - (side - 1) / 2
    places = upright.astype(np.float32) @ places.astype(np.float32)
    if catalog.on_major:
        places[:, 1] /= ratio[:, None].astype(np.float32)
    with np.errstate(invalid="ignore"):
        distances = np.nan_to_num(np.sqrt(places[:, 0] ** 2 + places[:, 1] ** 2))
        scale = catalog.radius[rows] / half_light_radii(images, distances)
    # The major axis along the position angle, the minor 90 degrees on, east over south.
    c, s = np.cos(angle), np.sin(angle)
    turn = np.moveaxis(np.array([[s, c], [c, -s]]), -1, 0)
    return np.asarray(scale[:, None, None] * (turn @ upright))
