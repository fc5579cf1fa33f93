"""From pictures of galaxies to latent variables, and from one galaxy to the next."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Column, QTable
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from .._flags import ABOUT_FLAGS, Flag
from .._rng import read_seed
from ..cutouts import Cutouts, read_table
from ..specs import TemplateSpec
from ._catalog import Catalog
from ._shapes import half_light_radii, measure_ellipses
from ._templates import run_network

if TYPE_CHECKING:
    from ._simulator import GalaxySimulator

__all__ = ["encode", "interpolate"]


def interpolate(
    simulator: "GalaxySimulator",
    table: Any,
    n: int,
    rng: Any,
    columns: Mapping[str, str] | None,
) -> Cutouts:
    """
    As `GalaxySimulator.interpolate`.

    Parameters
    ----------
    simulator : GalaxySimulator
        The model.
    table, n, rng, columns
        As there.

    Returns
    -------
    templates : Cutouts
        Templates.
    """
    spec = simulator.spec
    catalog = Catalog.of_templates(table, spec, columns)
    whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
    if len(catalog) < 2 or not whole or n < 1:
        raise ValueError(
            "table must have two galaxies or more and n be a positive whole number, got "
            f"{len(catalog)} and {n!r}"
        )
    bad = np.flatnonzero(catalog.flags & Flag.NO_RESULT)
    if len(bad):
        raise ValueError(f"rows {bad.tolist()} have values that no galaxy can have")
    galaxies = simulator._galaxies(catalog, read_seed(rng), range(len(catalog)))  # noqa: SLF001
    at = np.arange(n * (len(catalog) - 1) + 1)
    first = np.minimum(at // n, len(catalog) - 2)
    part = (at / n - first)[:, None]
    latent = _great_circle(galaxies.latent[first], galaxies.latent[first + 1], part)
    low, high = np.array(list(spec.domain.values())).T
    known = np.clip(galaxies.conditions, low, high)
    conditions = (1 - part) * known[first] + part * known[first + 1]
    (planes,) = run_network(
        lambda *inputs: (simulator.module(*inputs),), simulator.device, latent, conditions
    )
    return Cutouts(planes, bands=spec.bands)


def _great_circle(first: NDArray, last: NDArray, part: NDArray) -> NDArray[np.float64]:
    """Between vectors along the arc that joins them, the lengths in between too."""
    lengths = [np.linalg.norm(each, axis=1, keepdims=True) for each in (first, last)]
    cosine = (first * last).sum(axis=1, keepdims=True)
    angle = np.arccos(np.clip(cosine / np.maximum(lengths[0] * lengths[1], 1e-30), -1, 1))
    # Along the chord where there is no arc to speak of.
    sine = np.where(angle < 1e-3, 1.0, np.sin(angle))
    weights = [
        np.where(angle < 1e-3, share, np.sin(share * angle) / sine) for share in (1 - part, part)
    ]
    return np.asarray(weights[0] * first + weights[1] * last)


def encode(
    simulator: "GalaxySimulator",
    cutouts: Cutouts,
    table: Any,
    columns: Mapping[str, str] | None,
) -> QTable:
    """
    As `GalaxySimulator.encode`.

    Parameters
    ----------
    simulator : GalaxySimulator
        The model.
    cutouts, table, columns
        As there.

    Returns
    -------
    table : `~astropy.table.QTable`
        Latent variables and conditions.
    """
    spec: TemplateSpec = simulator.spec
    module: Any = simulator.module
    if not isinstance(cutouts, Cutouts):
        raise TypeError(f"cutouts must be Cutouts, got {type(cutouts).__name__}")
    missing = [band for band in spec.bands if band not in cutouts.bands]
    if missing:
        raise ValueError(f"cutouts lack the bands {missing}, they have {cutouts.bands}")
    n = len(cutouts)
    rows = QTable(np.zeros((n, 0))) if table is None else read_table(table)
    given, flags = np.full((n, len(spec.domain)), np.nan), cutouts.flags
    if table is not None:
        if len(rows) != n:
            raise ValueError(f"table must have {n} rows as the cutouts, it has {len(rows)}")
        catalog = Catalog.of_templates(rows, spec, columns)
        given, flags = catalog.conditions, flags | catalog.flags
    planes = [cutouts.bands.index(band) for band in spec.bands]
    images = _without_masked(cutouts.data[:, planes], cutouts.mask[:, planes])
    templates, measured = _to_templates(images, spec)
    conditions = np.where(np.isnan(given), measured, given)
    low, high = np.array(list(spec.domain.values())).T
    middle = np.full((n, module.n_uniform), 0.5)
    bad = ~np.isfinite(templates).all(axis=(1, 2, 3))
    bad |= (flags & (Flag.ALL_MASKED | Flag.NO_RESULT)) != 0
    templates[bad] = 0
    (completed,) = run_network(
        lambda *inputs: (module.complete(*inputs),),
        simulator.device,
        np.clip(conditions, low, high),
        middle,
    )
    conditions = np.where(np.isnan(conditions), completed, conditions)
    (latent,) = run_network(
        lambda *inputs: (module.encode(*inputs),),
        simulator.device,
        templates,
        np.clip(conditions, low, high),
    )
    latent[bad], conditions[bad] = np.nan, np.nan
    found = QTable({name: conditions[:, i] for i, name in enumerate(spec.conditions)})
    found["latent"] = latent
    flags = flags | np.where(bad, Flag.NO_RESULT, 0).astype(np.int32)
    found["flags"] = Column(flags, description=ABOUT_FLAGS)
    return found


def _without_masked(images: NDArray, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pictures whose masked pixels are what lies opposite, or nothing where that is masked too."""
    opposite = np.where(mask, 0, images)[..., ::-1, ::-1]
    return np.where(mask, opposite, images).astype(np.float32)


def _to_templates(
    images: NDArray[np.float32], spec: TemplateSpec
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Pictures as templates: unit flux, one size, the major axis along x; and what they show."""
    n, ny, nx = len(images), *images.shape[-2:]
    reference = spec.bands.index(spec.reference)
    ellipses = measure_ellipses(images[:, reference])
    side = spec.side
    y, x = np.indices((side, side)).reshape(2, -1) - (side - 1) / 2
    py, px = np.indices((ny, nx)).reshape(2, -1)
    distances = np.hypot(
        px - (nx - 1) / 2 - ellipses.x[:, None], py - (ny - 1) / 2 - ellipses.y[:, None]
    )
    zoom = half_light_radii(images[:, reference], np.nan_to_num(distances)) / spec.half_light
    templates = np.full((n, len(spec.bands), side, side), np.nan, np.float32)
    for i in np.flatnonzero(np.isfinite(zoom) & (zoom > 0)).tolist():
        c, s = zoom[i] * np.cos(ellipses.angle[i]), zoom[i] * np.sin(ellipses.angle[i])
        at = (
            s * x + c * y + ellipses.y[i] + (ny - 1) / 2,
            c * x - s * y + ellipses.x[i] + (nx - 1) / 2,
        )
        for band in range(len(spec.bands)):
            plane = map_coordinates(images[i, band], at, order=3)
            templates[i, band] = plane.reshape(side, side)
        total = templates[i, reference].sum()
        templates[i] = templates[i] / total if total > 0 else np.nan
    light = templates.sum(axis=(2, 3), dtype=np.float64)
    measured = np.full((n, len(spec.domain)), np.nan)
    measured[:, spec.conditions.index("axis_ratio")] = ellipses.axis_ratio
    with np.errstate(invalid="ignore", divide="ignore"):
        for i, (blue, red) in enumerate(zip(spec.bands[:-1], spec.bands[1:], strict=True)):
            if f"{blue}_{red}" in spec.conditions:
                colour = -2.5 * np.log10(light[:, i] / light[:, i + 1])
                measured[:, spec.conditions.index(f"{blue}_{red}")] = colour
    measured[~np.isfinite(measured)] = np.nan
    return templates, measured
