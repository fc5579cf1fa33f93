"""A catalogue of galaxies to be drawn, read once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.cosmology import Planck18
from astropy.table import QTable, Table
from numpy.typing import NDArray

from .._flags import Flag
from ..cutouts import read_positions, read_table
from ..cutouts._positions import first_pixel
from ..specs import TemplateSpec
from ._classes import VOTES, read_classes
from ._columns import Columns
from ._fluxes import (
    colours_of_fluxes,
    flux_bands,
    read_bands,
    read_fluxes,
    read_redshift,
    read_unit,
    spread_fluxes,
)
from ._units import read_zero_point

__all__ = ["OPTIONS", "Catalog"]

OPTIONS = ("bands", "columns", "cosmology", "unit", "zero_point", "first")
"""Arguments that say how a catalogue is to be read."""

_BAD = int(Flag.INVALID_VALUE | Flag.NO_RESULT)


@dataclass(frozen=True)
class Catalog:
    """
    What a catalogue asks for.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As it came.
    unit : `~astropy.units.UnitBase`
        Of the fluxes.
    planes : dict
        Band of the templates by the user's band.
    fluxes : dict of ndarray, shape (n,)
        Of the bands that have a column.
    radius : ndarray, shape (n,)
        Half-light radius in arcseconds.
    on_major : bool
        Whether this is the semi-major axis of an ellipse, and not of a circle.
    angle : ndarray, shape (n,)
        Position angle in radians, east of north; NaN where not given.
    shift : ndarray, shape (n, 2)
        x and y of the centre from the middle of the stamp, in pixels.
    conditions : ndarray, shape (n, k)
        What the network takes; NaN where not given.
    latent : ndarray or None, shape (n, m)
        What the network takes, where the catalogue says it.
    positions : `~astropy.coordinates.SkyCoord` or tuple of ndarray or None
        On the sky, or x and y.
    flags : ndarray of int32, shape (n,)
        Why a row is suspect; rows with ``NO_RESULT`` are not drawn.
    first : int
        Number of the first row, for the random numbers.
    """

    table: Table
    unit: u.UnitBase
    planes: dict[str, str]
    fluxes: dict[str, NDArray[np.float64]]
    radius: NDArray[np.float64]
    on_major: bool
    angle: NDArray[np.float64]
    shift: NDArray[np.float64]
    conditions: NDArray[np.float64]
    latent: NDArray[np.float32] | None
    positions: Any
    flags: NDArray[np.int32]
    first: int = 0

    def __len__(self) -> int:
        return len(self.radius)

    @classmethod
    def read(
        cls,
        table: Any,
        spec: TemplateSpec,
        *,
        bands: Any = ("r",),
        columns: Mapping[str, str] | None = None,
        cosmology: Any = Planck18,
        unit: Any = None,
        zero_point: float | None = None,
        first: int = 0,
    ) -> "Catalog":
        """
        Read the arguments of `GalaxySimulator.simulate` that say what is drawn.

        Parameters
        ----------
        table : table-like
            The catalogue.
        spec : TemplateSpec
            Of the model.
        bands, columns, cosmology, unit, zero_point, first : object
            The arguments.

        Returns
        -------
        catalog : Catalog
            With every column checked.
        """
        table = read_table(table)
        planes = read_bands(bands, spec)
        known = _meanings(spec, planes)
        cols = Columns(table, columns, known)
        n = len(table)
        zero_point = read_zero_point(zero_point)
        out_unit = read_unit(cols, planes, unit, zero_point)
        fluxes, flags = read_fluxes(
            cols, spec, planes, cosmology=cosmology, unit=out_unit, zero_point=zero_point
        )
        radius, on_major = _radius(cols, cosmology)
        conditions, bad = _conditions(cols, spec)
        colours_of_fluxes(conditions, spec, fluxes, planes)
        angle = np.full(n, np.nan)
        if "position_angle" in cols:
            angle = cols.values("position_angle", u.deg) * (np.pi / 180)
            bad |= np.isinf(angle)
        shift = np.zeros((n, 2))
        for i, name in enumerate(("dx", "dy")):
            if name in cols:
                shift[:, i] = cols.values(name, u.pix)
        bad |= ~np.isfinite(shift).all(axis=1)
        latent, no_latent = _latent(cols)
        flags[bad | no_latent] |= Flag.INVALID_VALUE
        flags[~(np.isfinite(radius) & (radius > 0))] |= Flag.INVALID_SIZE
        flags[flags != 0] |= Flag.NO_RESULT
        return cls(
            table=table,
            unit=out_unit,
            planes=planes,
            fluxes=fluxes,
            radius=radius,
            on_major=on_major,
            angle=angle,
            shift=shift,
            conditions=conditions,
            latent=latent,
            positions=_positions(cols),
            flags=flags,
            first=_read_first(first, n),
        )

    @classmethod
    def of_templates(
        cls, table: Any, spec: TemplateSpec, columns: Mapping[str, str] | None
    ) -> "Catalog":
        """
        Read what a catalogue says of templates alone, whatever else it lacks.

        Parameters
        ----------
        table : table-like
            The catalogue.
        spec : TemplateSpec
            Of the model.
        columns : mapping or None
            The argument.

        Returns
        -------
        catalog : Catalog
            Of flux 1, half-light radius 1 and position angle 0.
        """
        table = read_table(table)
        n, band = len(table), spec.reference
        cols = Columns(table, columns, _meanings(spec, {}))
        conditions, bad = _conditions(cols, spec)
        latent, no_latent = _latent(cols)
        return cls(
            table=table,
            unit=u.dimensionless_unscaled,
            planes={band: band},
            fluxes={band: np.ones(n)},
            radius=np.ones(n),
            on_major=False,
            angle=np.zeros(n),
            shift=np.zeros((n, 2)),
            conditions=conditions,
            latent=latent,
            positions=None,
            flags=np.where(bad | no_latent, _BAD, 0).astype(np.int32),
        )

    def band_fluxes(
        self, spec: TemplateSpec, rows: slice, conditions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """
        Fluxes in all bands; where the catalogue has none, from the colours.

        Parameters
        ----------
        spec : TemplateSpec
            Of the model.
        rows : slice
            Which galaxies.
        conditions : ndarray, shape (m, k)
            Theirs, all known.

        Returns
        -------
        fluxes : ndarray, shape (m, c)
            In `unit`.
        """
        fluxes = {band: flux[rows] for band, flux in self.fluxes.items()}
        return spread_fluxes(fluxes, conditions, spec, self.planes)


def _read_first(first: Any, n: int) -> int:
    if isinstance(first, bool) or not isinstance(first, int | np.integer):
        raise TypeError(f"first must be a whole number, that of the first row, got {first!r}")
    if not 0 <= first <= 2**63 - n:
        raise ValueError(f"first must be from 0 to 2**63 less the rows, got {first!r}")
    return int(first)


def _meanings(spec: TemplateSpec, planes: dict[str, str]) -> tuple[str, ...]:
    by_band = [f"{kind}_{band}" for band in flux_bands(spec, planes) for kind in ("flux", "mag")]
    return (
        *("flux", "mag", "absolute_mag", *by_band, "half_light_radius", "half_light_semimajor"),
        *("position_angle", "ellipticity", "class", "redshift", "dx", "dy", "latent"),
        *("ra", "dec", "position", "x", "y", *spec.conditions, *VOTES.values()),
    )


def _radius(cols: Columns, cosmology: Any) -> tuple[NDArray[np.float64], bool]:
    """Half-light radii in arcseconds, and whether along the major axis."""
    found = cols.first("half_light_radius", "half_light_semimajor")
    unit, name = cols.unit(found), cols.name(found)
    if unit is None:
        raise TypeError(f"column {name!r} has no unit: table[{name!r}].unit = u.arcsec, or u.kpc")
    if not unit.is_equivalent(u.kpc):
        return cols.values(found, u.arcsec), found == "half_light_semimajor"
    redshift, cosmology = read_redshift(cols, cosmology, f"sizes in {unit}")
    radius = cols.values(found, u.kpc)
    good = np.isfinite(redshift)
    radius[~good] = np.nan
    radius[good] *= cosmology.arcsec_per_kpc_proper(redshift[good]).value
    return radius, found == "half_light_semimajor"


def _conditions(cols: Columns, spec: TemplateSpec) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What is known of the conditions, and the rows where it cannot be."""
    n = len(cols.table)
    found = read_classes(cols, spec.conditions)
    for name in spec.conditions:
        if name in cols:
            found[name] = cols.values(name)
    if "ellipticity" in cols and "axis_ratio" in spec.conditions:
        known = found.get("axis_ratio", np.full(n, np.nan))
        found["axis_ratio"] = np.where(np.isnan(known), 1 - cols.values("ellipticity"), known)
    bad = np.zeros(n, bool)
    for name, values in found.items():
        bad |= np.isinf(values)
        if name == "axis_ratio":
            bad |= (values <= 0) | (values > 1)
        if name.startswith("class_"):
            bad |= (values < 0) | (values > 1)
    empty = np.full(n, np.nan)
    conditions = np.stack([found.get(name, empty) for name in spec.conditions], axis=1)
    return conditions, bad


def _latent(cols: Columns) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_]]:
    """Latent variables if the table has some, and the rows where they are bad."""
    n = len(cols.table)
    if "latent" not in cols:
        return None, np.zeros(n, bool)
    latent = cols.values("latent").astype(np.float32)
    bad = ~np.isfinite(latent).reshape(n, math.prod(latent.shape[1:]))
    return latent, np.asarray(bad.any(axis=1))


def _positions(cols: Columns) -> Any:
    """Positions if the table has some; those that ``columns`` names come first."""
    if "position" in cols.names:
        name = cols.name("position")
        if not isinstance(cols.table[name], SkyCoord):
            raise TypeError(
                f"column {name!r} must be a SkyCoord to be named 'position'; other columns are "
                "named 'ra' and 'dec', or 'x' and 'y'"
            )
        return read_positions(cols.table[name])
    for pair, unit in ((("ra", "dec"), u.deg), (("x", "y"), u.pix)):
        if not cols.names.keys() & set(pair):
            continue
        # SExtractor's names say where it counts from, whether they are named or found.
        first = first_pixel(*map(cols.name, pair))
        values = [(cols.values(cols.first(meaning), unit) - first) * unit for meaning in pair]
        return read_positions(QTable(values, names=pair))
    try:
        return read_positions(cols.table)
    except ValueError as exc:
        if "no columns known as positions" in str(exc):
            return None
        raise
