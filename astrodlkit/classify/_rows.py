"""From the user's table to arrays for the network, a few rows at a time."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import astropy.units as u
import numpy as np
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.table import QTable
from numpy.typing import NDArray

from .._flags import Flag
from ..cutouts import (
    Cutouts,
    TileIndex,
    iter_cutouts,
    read_images,
    read_positions,
    read_table,
    read_tiles,
)
from ..exceptions import AstrodlkitWarning
from ..specs import InputSpec, LuptonStretch, Picture, nanomaggies
from ._results import PROVENANCE
from ._sizes import Widths, given_widths, read_widths
from ._stamps import Bands, band_names, column_groups

__all__ = ["NO_PIXELS", "Rows", "read_rows"]

NO_PIXELS = Flag.NO_OVERLAP | Flag.ALL_MASKED | Flag.INVALID_POSITION | Flag.INVALID_SIZE
"""With one of these a row has nothing that could be shown to a network."""

# For each chunk of rows: places in the chunk, and the cutouts that belong there; or the flags
# that say why there are none.
Group: TypeAlias = Sequence[tuple[slice | NDArray[np.intp], Cutouts | Flag]]
Groups: TypeAlias = Iterable[Group]


@dataclass(frozen=True)
class Rows:
    """
    The user's rows, and how their pixels are had.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        The user's columns; it may have none.
    n : int
        Number of rows.
    step : int
        Rows in a chunk.
    size_rule : str
        Where the stamps' widths come from, in words.
    bands : sequence of str, dict, str or None
        Which of the cutouts' bands are red, green and blue.
    groups : iterable
        The cutouts of each chunk, made when it is asked for.
    order : ndarray of int, optional
        Numbers of the rows in the order in which they come; by default that of
        the table.
    """

    table: QTable
    n: int
    step: int
    size_rule: str
    bands: Bands
    groups: Groups
    order: NDArray[np.intp] | None = None

    def in_order(self, values: NDArray) -> NDArray:
        """What was found for the rows as they came, in the order of the table."""
        return values if self.order is None else values[np.argsort(self.order)]

    def prepared(
        self, spec: InputSpec, stretch: LuptonStretch | Picture | str
    ) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]]:
        """
        Bring the rows into the form that a network takes.

        Parameters
        ----------
        spec : InputSpec
            What it takes.
        stretch : LuptonStretch, Picture or "auto"
            As of `InputSpec.prepare`.

        Yields
        ------
        part : slice
            Which rows.
        images : `~numpy.ndarray` of float32, shape (m, 3, ny, nx)
            For the network.
        flags : `~numpy.ndarray` of int32, shape (m,)
            Row flags.
        missing : `~numpy.ndarray` of float32, shape (m,)
            Which part of each stamp's middle has no pixels to use: see `InputSpec.missing`.
        """
        starts = range(0, max(self.n, 1), self.step)
        for start, groups in zip(starts, self.groups if self.n else [[]], strict=True):
            part = slice(start, min(start + self.step, self.n))
            m = part.stop - part.start
            images = np.zeros((m, 3, *spec.shape), dtype=np.float32)
            # A row that no group brings has no pixels.
            flags = np.full(m, Flag.ALL_MASKED, dtype=np.int32)
            missing = np.zeros(m, dtype=np.float32)
            for places, cutouts in groups:
                if isinstance(cutouts, Flag):
                    flags[places] = cutouts
                    continue
                flags[places] = cutouts.flags
                seen = np.flatnonzero((cutouts.flags & NO_PIXELS) == 0)
                if len(seen):
                    kept = cutouts if len(seen) == len(cutouts) else cutouts[seen]
                    where = np.arange(m)[places][seen]
                    found, flags[where] = spec.prepare(kept, bands=self.bands, stretch=stretch)
                    holes = (flags[where] & (Flag.MASKED_PIXELS | Flag.NON_FINITE)) != 0
                    if holes.any():
                        missing[where[holes]] = spec.missing(kept[holes], bands=self.bands)
                    if len(where) == m and isinstance(places, slice):
                        images = found  # all rows in their order: no need for a copy
                    else:
                        images[where] = found
            yield part, images, flags, missing


def read_rows(
    table: Any,
    data: Any,
    *,
    spec: InputSpec,
    bands: Bands,
    size: Any,
    step: int,
    sort: bool = False,
) -> Rows:
    """
    Find the pixels of a table's rows: in cutouts, in a column, or in images beside it.

    Parameters
    ----------
    table, data, bands, size
        As of `classify_cutouts`.
    spec : InputSpec
        What the network takes.
    step : int
        Rows at a time.
    sort : bool
        Whether rows of the same images of an index may come together.

    Returns
    -------
    rows : Rows
        The arguments are checked, but no stamp has been made yet.

    Raises
    ------
    TypeError, ValueError
        As in `classify_cutouts`.
    """
    if isinstance(table, Cutouts):
        _refuse(data, size, "table holds the cutouts")
        columns = {} if table.positions is None else {"position": table.positions}
        user, n = QTable(columns, meta=table.meta), len(table)
        pieces = ([(slice(None), table[i : i + step])] for i in range(0, n, step))
        return Rows(user, n, step, "whole cutouts", bands, pieces)
    if isinstance(table, BaseCoordinateFrame):
        table = SkyCoord(table)
    if isinstance(table, SkyCoord):
        table = QTable({"position": table.reshape(-1)})
    user = read_table(table)
    user = user if isinstance(user, QTable) else QTable(user, copy=False)
    # With them in the result, another look at it finds the same widths.
    user = _with_kron_radii(table, user)
    # Tables of photutils have flags of their own.
    if "flags" in user.colnames and _is_photutils(user):
        user = user.copy(copy_data=False)
        user.rename_column("flags", "photutils_flags")
    if "cutout" in user.colnames:
        _refuse(data, size, "the table has a column 'cutout'")
        groups, bands = column_groups(user, spec=spec, bands=bands, step=step)
        return Rows(user, len(user), step, "whole cutouts", bands, groups)
    if data is None:
        raise ValueError(
            f"table has no column 'cutout', only {user.colnames}: give the image beside it, "
            "for example classify_cutouts(table, data=image)"
        )
    tiles = read_tiles(data)
    if tiles is not None:
        names = _needed(tiles.bands, bands, spec)
        widths = _widths(user, size, spec, on_sky=True)
        found, order = _tile_groups(tiles, user, widths, names, spec=spec, step=step, sort=sort)
        return Rows(user, len(user), step, widths.rule, bands, found, order)
    images = read_images(data)
    if isinstance(data, Mapping):
        names = _needed(images, bands, spec)
    else:
        names, bands = band_names(len(images), bands, spec)
    on_sky = all(image.wcs is not None for image in images.values())
    widths = _widths(user, size, spec, on_sky=on_sky)
    cutouts = iter_cutouts(
        data,
        user,
        widths.values,
        shape=spec.shape,
        chunk=step,
        bands=names,
        conserve=_conserve(next(iter(images.values())).unit),
    )
    pieces = ([(slice(None), part)] for part in cutouts)
    return Rows(user, len(user), step, widths.rule, bands, pieces)


def _tile_groups(
    tiles: TileIndex,
    table: QTable,
    widths: Widths,
    bands: tuple[str, ...] | None,
    *,
    spec: InputSpec,
    step: int,
    sort: bool,
) -> tuple[Iterator[Group], NDArray[np.intp] | None]:
    """The cutouts of a table's rows out of the images of an index, and the rows' order."""
    positions = read_positions(table)
    if not isinstance(positions, SkyCoord):
        raise ValueError("the table must have positions on the sky, for an index of images")
    order = tiles.order(positions) if sort else None

    def cut(start: int) -> Group:
        rows: Any = slice(start, start + step)
        rows = rows if order is None else order[rows]
        options: dict[str, Any] = {"shape": spec.shape, "bands": bands, "conserve": _conserve}
        return list(tiles.groups(positions[rows], widths.values[rows], **options))

    return (cut(start) for start in range(0, len(table), step)), order


def _conserve(unit: u.UnitBase | None) -> Literal["surface brightness", "flux"]:
    """Per pixel or per solid angle: what the unit says must stay true of the new pixels."""
    known = nanomaggies(unit)
    return "surface brightness" if known is None or known[1] else "flux"


def _is_photutils(table: QTable) -> bool:
    """Whether photutils made a table, and no earlier run changed it."""
    version = table.meta.get("version")
    return isinstance(version, Mapping) and "photutils" in version and PROVENANCE not in table.meta


def _refuse(data: Any, size: Any, reason: str) -> None:
    for name, value in (("data", data), ("size", size)):
        if value is not None:
            raise ValueError(f"{name} must be left out: {reason}, which are used whole")


def _needed(images: Iterable[str], bands: Bands, spec: InputSpec) -> tuple[str, ...] | None:
    """The bands that the network will see; None if that cannot be told here."""
    if isinstance(bands, Mapping):
        wanted = list(bands.values())
    else:
        wanted = [bands] if isinstance(bands, str) else list(bands or spec.bands)
    return tuple(dict.fromkeys(wanted)) if set(wanted) <= set(images) else None


def _widths(user: QTable, size: Any, spec: InputSpec, *, on_sky: bool) -> Widths:
    """Width of each row's stamp: given, from the table, or the network's own."""
    if size is not None:
        return given_widths(size, user)
    found = None if spec.width is None else read_widths(user, spec.width)
    if found is not None:
        return found
    pixels = max(spec.shape)
    if spec.pixel_scale is not None and on_sky:
        return given_widths(pixels * spec.pixel_scale * u.arcsec, user)
    warnings.warn(
        f"the table does not say how large its sources are: every stamp is {pixels} pixels wide; "
        "give size=, for example an angle or the name of a column",
        AstrodlkitWarning,
        stacklevel=5,
    )
    return given_widths(pixels, user)


def _with_kron_radii(catalog: Any, user: QTable) -> QTable:
    """A photutils catalogue knows its sources' Kron radii, but does not put them in its table."""
    if not (hasattr(catalog, "to_table") and hasattr(catalog, "kron_radius")):
        return user
    # The second name is that before photutils 3.
    axis = "semimajor_axis" if hasattr(catalog, "semimajor_axis") else "semimajor_sigma"
    for name in ("kron_radius", axis):
        if name not in user.colnames:
            user[name] = np.atleast_1d(getattr(catalog, name))
    return user
