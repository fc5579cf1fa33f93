"""Fluxes of galaxies in their bands, and the colours that follow from them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u
from astropy.cosmology import FLRW
from numpy.typing import NDArray

from .._flags import Flag
from ..specs import TemplateSpec, nanomaggies
from ._columns import Columns

__all__ = [
    "colours_of_fluxes",
    "flux_bands",
    "read_bands",
    "read_fluxes",
    "read_redshift",
    "read_unit",
    "spread_fluxes",
]


def read_bands(bands: Any, spec: TemplateSpec) -> dict[str, str]:
    """Read the argument ``bands``: names, or names and the bands of the templates."""
    if isinstance(bands, str):
        bands = (bands,)
    planes = dict(bands) if isinstance(bands, Mapping) else {band: band for band in bands}
    if not planes or not set(planes.values()) <= set(spec.bands):
        raise ValueError(
            f"bands must be of {', '.join(spec.bands)}, or a mapping of your names to these such "
            f"as {{'F606W': {spec.reference!r}}}; got {bands!r}"
        )
    return planes


def flux_bands(spec: TemplateSpec, planes: dict[str, str]) -> dict[str, str]:
    """Bands of which there may be columns, and the templates' for each."""
    return {**{band: band for band in spec.bands if band not in planes}, **planes}


def _colours(spec: TemplateSpec) -> dict[str, tuple[str, str]]:
    """The conditions that are colours, with their bands, in the order of the bands."""
    pairs = zip(spec.bands[:-1], spec.bands[1:], strict=True)
    return {f"{blue}_{red}": (blue, red) for blue, red in pairs}


def _main(spec: TemplateSpec, planes: dict[str, str]) -> str:
    """The band of ``flux`` and ``mag`` without a name behind them."""
    return spec.reference if spec.reference in planes else next(iter(planes))


def read_unit(
    cols: Columns, planes: dict[str, str], unit: Any, zero_point: float | None
) -> u.UnitBase:
    """Read the argument ``unit``; by default that of the fluxes."""
    if zero_point is not None and not np.isfinite(float(zero_point)):
        raise ValueError(f"zero_point must be an AB magnitude, got {zero_point!r}")
    if unit is not None:
        unit = u.Unit(unit)
    else:
        given = [f"flux_{band}" for band in planes] + ["flux"]
        units = (cols.unit(name) for name in given if name in cols)
        unit = next((each for each in units if each is not None), None)
        unit = unit or (u.nJy if zero_point is None else u.adu)
    if (nanomaggies(unit) or (0, False))[1]:
        raise u.UnitConversionError(f"unit must be one of flux, not of surface brightness: {unit}")
    return unit


def read_fluxes(
    cols: Columns,
    spec: TemplateSpec,
    planes: dict[str, str],
    *,
    cosmology: Any,
    unit: u.UnitBase,
    zero_point: float | None,
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.int32]]:
    """Fluxes by band; rows that have a bad one."""
    fluxes = {}
    main = _main(spec, planes)
    for band in flux_bands(spec, planes):
        names = [f"flux_{band}", f"mag_{band}"]
        names += ["flux", "mag", "absolute_mag"] if band == main else []
        found = next((name for name in names if name in cols), None)
        if found is None:
            continue
        fluxes[band] = cols.flux(found, unit, zero_point)
        if found == "absolute_mag":
            redshift, cosmology = read_redshift(cols, cosmology, "absolute magnitudes")
            distance = np.full(len(redshift), np.nan)
            good = np.isfinite(redshift)
            distance[good] = cosmology.luminosity_distance(redshift[good]).to_value(u.pc)
            fluxes[band] *= (10 / distance) ** 2
    if not fluxes:
        cols.first("flux", "mag", "absolute_mag")
    # The flux of which the others follow comes first: that of a band that is drawn.
    fluxes = {
        band: fluxes[band]
        for band in sorted(fluxes, key=lambda band: (band != main, band not in planes))
    }
    flags = np.zeros(len(cols.table), np.int32)
    for i, band in enumerate(fluxes):
        if band in planes or not i:
            flags[~(np.isfinite(fluxes[band]) & (fluxes[band] >= 0))] |= Flag.INVALID_VALUE
    return fluxes, flags


def read_redshift(cols: Columns, cosmology: Any, what: str) -> tuple[NDArray[np.float64], FLRW]:
    """Redshifts, NaN where they have no distance."""
    if not isinstance(cosmology, FLRW):
        raise TypeError(
            f"cosmology must be one of astropy.cosmology for {what}, such as Planck18, "
            f"got {cosmology!r}"
        )
    cols.first("redshift")
    redshift = cols.values("redshift")
    redshift[~(redshift > 0) | np.isinf(redshift)] = np.nan
    return redshift, cosmology


def colours_of_fluxes(
    conditions: NDArray[np.float64],
    spec: TemplateSpec,
    fluxes: dict[str, NDArray[np.float64]],
    planes: dict[str, str],
) -> None:
    """Fill in the colours that are not given and that fluxes tell, shape (n, k)."""
    by_band = flux_bands(spec, planes)
    of_plane = {by_band[band]: flux for band, flux in fluxes.items()}
    for name, (blue, red) in _colours(spec).items():
        if name in spec.conditions and {blue, red} <= set(of_plane):
            column = conditions[:, spec.conditions.index(name)]
            with np.errstate(invalid="ignore", divide="ignore"):
                colour = -2.5 * np.log10(of_plane[blue] / of_plane[red])
            known = np.isnan(column) & np.isfinite(colour)
            column[known] = colour[known]


def spread_fluxes(
    fluxes: dict[str, NDArray[np.float64]],
    conditions: NDArray[np.float64],
    spec: TemplateSpec,
    planes: dict[str, str],
) -> NDArray[np.float64]:
    """Fluxes in all bands, shape (m, c); where there is none, from the colours."""
    # Magnitudes of the templates' bands, from their first on.
    magnitudes = {spec.bands[0]: np.zeros(len(conditions))}
    for name, (blue, red) in _colours(spec).items():
        magnitudes[red] = magnitudes[blue]
        if name in spec.conditions:
            magnitudes[red] = magnitudes[blue] - conditions[:, spec.conditions.index(name)]
    other, known = next(iter(fluxes.items()))
    start = magnitudes[planes.get(other, other)]
    found = [
        fluxes[band] if band in fluxes else known * 10 ** (-0.4 * (magnitudes[plane] - start))
        for band, plane in planes.items()
    ]
    return np.stack(found, axis=1)
