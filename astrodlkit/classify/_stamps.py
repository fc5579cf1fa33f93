"""Cutouts from a table column, and the names of their bands."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from astropy.nddata import NDData
from astropy.table import QTable
from numpy.typing import NDArray

from ..cutouts import Cutouts, read_images
from ..cutouts._native import check_same_pixels
from ..specs import InputSpec

__all__ = ["CUTOUTS_META", "Bands", "band_names", "column_groups"]

Bands: TypeAlias = Sequence[str] | Mapping[str, str] | str | None

CUTOUTS_META = "CUTOUTS"
"""Key of the meta of tables that `Cutouts.to_table` made."""


def band_names(n_bands: int, bands: Bands, spec: InputSpec) -> tuple[tuple[str, ...] | None, Bands]:
    """
    Names for bands that have none.

    Parameters
    ----------
    n_bands : int
        Number of bands.
    bands : sequence of str, dict, str or None
        What the user said: a sequence of as many names as there are bands
        names them.
    spec : InputSpec
        What the network takes; without names, as many bands as it has are
        its own, in its order.

    Returns
    -------
    names : tuple of str or None
        The bands' names; None if nothing tells them.
    bands : sequence of str, dict, str or None
        What is to be said to `InputSpec.prepare`.
    """
    if isinstance(bands, str):
        bands = (bands,)
    if bands is None or isinstance(bands, Mapping) or len(bands) != n_bands:
        return (spec.bands if n_bands == len(spec.bands) else None), bands
    names = tuple(bands)
    return names, None if set(spec.bands) <= set(names) else bands


def column_groups(
    table: QTable, *, spec: InputSpec, bands: Bands, step: int
) -> tuple[Iterator[Sequence[tuple[slice | NDArray[np.intp], Cutouts]]], Bands]:
    """
    The cutouts of a table's column, a few rows at a time.

    Parameters
    ----------
    table : `~astropy.table.QTable`, length n
        With a column ``cutout`` of shape (n, ny, nx) or (n, c, ny, nx), or of
        objects: arrays, NDData, Cutout2D, or None.
    spec : InputSpec
        What the network takes.
    bands : sequence of str, dict, str or None
        Names of the bands.
    step : int
        Rows at a time.

    Returns
    -------
    groups : iterator of list
        For each chunk: places in it, and the cutouts that belong there, all
        of one shape and unit.
    bands : sequence of str, dict, str or None
        What is to be said to `InputSpec.prepare`.

    Raises
    ------
    ValueError
        If the column has another shape.
    TypeError
        If it does not hold numbers or images.
    """
    column = table["cutout"]
    starts = range(0, len(table), step)
    if column.dtype.kind == "O":
        groups = (_object_groups(column, i, i + step, spec, bands) for i in starts)
        return groups, band_names(len(bands or ()), bands, spec)[1]
    if len(table) == 0:
        return iter(()), bands
    if column.dtype.kind not in "fiub":
        raise TypeError(f"column 'cutout' must hold numbers or images, not {column.dtype}")
    if column.ndim not in (3, 4) or 0 in column.shape:
        raise ValueError(
            f"column 'cutout' must have the shape (n, ny, nx) or (n, c, ny, nx), got {column.shape}"
        )
    n_bands = 1 if column.ndim == 3 else column.shape[1]
    if n_bands > 4 and column.shape[-1] in (3, 4):
        raise ValueError(
            f"column 'cutout' has the shape {column.shape}, as of pictures with their colours "
            "last; bands come first: numpy.moveaxis(table['cutout'], -1, 1)"
        )
    if CUTOUTS_META in table.meta:
        return ([(slice(None), Cutouts.from_table(table[i : i + step]))] for i in starts), bands
    names, bands = band_names(n_bands, bands, spec)
    mask = table["cutout_mask"] if "cutout_mask" in table.colnames else None

    def cut(rows: slice) -> Cutouts:
        return Cutouts(column[rows], mask=None if mask is None else mask[rows], bands=names)

    return ([(slice(None), cut(slice(i, i + step)))] for i in starts), bands


def _object_groups(
    column: Any, start: int, stop: int, spec: InputSpec, bands: Bands
) -> list[tuple[NDArray[np.intp], Cutouts]]:
    """Rows of a column of objects, those of one kind together."""
    groups: dict[tuple, list[tuple[int, Cutouts]]] = defaultdict(list)
    for place, element in enumerate(column[start:stop]):
        if element is None or element is np.ma.masked or 0 in getattr(element, "shape", ()):
            continue
        try:
            stamp = _stamp(element, spec, bands)
        except (OSError, TypeError, ValueError) as exc:
            raise type(exc)(f"cutout of row {start + place}: {exc}") from exc
        kind = (stamp.shape, stamp.bands, str(stamp.unit), stamp.pixel_scale is None)
        groups[kind].append((place, stamp))
    return [
        (
            np.array([place for place, _ in members]),
            Cutouts.concatenate([stamp for _, stamp in members]),
        )
        for members in groups.values()
    ]


def _stamp(element: Any, spec: InputSpec, bands: Bands) -> Cutouts:
    """One object as cutouts of one row."""
    if not isinstance(element, NDData) and hasattr(element, "wcs") and hasattr(element, "data"):
        element = (element.data, element.wcs)  # a Cutout2D
    images = read_images(element)
    names: tuple[str, ...] | None = tuple(images)
    if not isinstance(element, Mapping):
        names, _ = band_names(len(images), bands, spec)
    whole = (slice(None), slice(None))
    planes = list(images.values())
    if not all(planes[0].same_pixels(plane) for plane in planes):
        # They are laid one on another as they are.
        check_same_pixels(images)
    mask = [
        np.zeros(plane.shape, dtype=bool) if plane.mask is None else plane.mask for plane in planes
    ]
    return Cutouts(
        np.stack([plane.values(whole) for plane in planes])[None],
        unit=planes[0].unit,
        mask=np.stack(mask)[None],
        bands=names,
        wcs=planes[0].wcs,
    )
