"""Fluxes of galaxies in their bands, and the colours that follow from them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from astropy import units as u
from astropy.cosmology import FLRW
from numpy.typing import NDArray

from .._flags import Flag
from ..specs import TemplateSpec
from ._columns import Columns
from ._units import check_flux_unit, is_magnitude, read_flux_unit

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
    given = (bands,) if isinstance(bands, str) else bands
    try:
        planes = dict(given) if isinstance(given, Mapping) else {band: band for band in given}
        known = bool(planes) and set(planes.values()) <= set(spec.bands)
    except TypeError:
        known = False
    if not known:
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
    if unit is not None:
        return read_flux_unit(unit)
    for name in [f"flux_{band}" for band in planes] + ["flux"]:
        given = cols.unit(name) if name in cols else None
        if given is not None and not is_magnitude(given):
            check_flux_unit(given, f"the unit of column {cols.name(name)!r}")
            return given
    return u.nJy if zero_point is None else u.adu


def read_fluxes(
    cols: Columns,
    spec: TemplateSpec,
    planes: dict[str, str],
    *,
    cosmology: Any,
    unit: u.UnitBase,
    zero_point: float | None,
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.int32]]:
    """Fluxes by band, NaN where a band has none; rows that have a bad one."""

    def read(name: str) -> NDArray[np.float64]:
        flux = cols.flux(name, unit, zero_point)
        if name != "absolute_mag":
            return flux
        redshift, known = read_redshift(cols, cosmology, "absolute magnitudes")
        distance = np.full(len(redshift), np.nan)
        good = np.isfinite(redshift)
        distance[good] = known.luminosity_distance(redshift[good]).to_value(u.pc)
        return flux * (10 / distance) ** 2

    fluxes = {}
    main = _main(spec, planes)
    for band in flux_bands(spec, planes):
        names = [f"flux_{band}", f"mag_{band}"]
        names += ["flux", "mag", "absolute_mag"] if band == main else []
        names = [name for name in names if name in cols]
        if names:
            fluxes[band] = read(names[0])
        for name in names[1:]:
            missing = np.isnan(fluxes[band])
            if missing.any():
                # Another column for the same may help; nobody asked for it where it does not.
                with suppress(TypeError, ValueError):
                    fluxes[band] = np.where(missing, read(name), fluxes[band])
    if not fluxes:
        cols.first("flux", "mag", "absolute_mag")
    # The flux of which the others follow comes first: that of a band that is drawn.
    fluxes = {
        band: fluxes[band]
        for band in sorted(fluxes, key=lambda band: (band != main, band not in planes))
    }
    flags = np.zeros(len(cols.table), np.int32)
    for i, (band, flux) in enumerate(fluxes.items()):
        if not i:
            flags[~(np.isfinite(flux) & (flux >= 0))] |= Flag.INVALID_VALUE
        elif band in planes:
            flags[np.isinf(flux) | (flux < 0)] |= Flag.INVALID_VALUE
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
    found = []
    for band, plane in planes.items():
        flux = known * 10 ** (-0.4 * (magnitudes[plane] - start))
        given = fluxes.get(band)
        found.append(flux if given is None else np.where(np.isnan(given), flux, given))
    return np.stack(found, axis=1)
