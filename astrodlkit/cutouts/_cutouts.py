"""The `Cutouts` container."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData, VarianceUncertainty
from astropy.table import QTable, Table
from astropy.wcs import WCS
from numpy.typing import ArrayLike, NDArray

from .._flags import Flag
from .._typing import PathLike
from ._grids import ParentGrid, TangentGrid
from ._pixels import read_data, shaped
from ._settle import settle

__all__ = ["Cutouts", "assemble"]


class Cutouts:
    """
    Equal stamps of many sources, in one or more bands.

    Parameters
    ----------
    data : array_like or `~astropy.units.Quantity`, shape (n, c, ny, nx)
        The pixels; (n, ny, nx) is one band. Real numbers of any kind, kept as
        native float32 or (if they are float64) float64. A pixel that is not
        finite becomes ``0``, masked, and its row gets the flag ``non_finite``.
    unit : unit-like, optional
        Unit of ``data``; that of a `~astropy.units.Quantity` otherwise.
    mask : array_like of bool, optional
        True where a pixel must not be used; the shape of ``data``.
    variance : array_like or `~astropy.units.Quantity`, optional
        Variance of ``data`` in the square of its unit; infinite where there
        are no data.
    bands : sequence of str, optional
        Names of the bands; ``band0``, ``band1``... by default.
    positions : `~astropy.coordinates.SkyCoord`, shape (n,), optional
        Where the sources are.
    flags : array_like of int, shape (n,), optional
        Bits of `~astrodlkit.Flag` known already; those that follow from the
        pixels and the mask are added.
    wcs : `~astropy.wcs.WCS`, optional
        The WCS of a stamp when all stamps share it.
    meta : dict, optional
        What else is known, in JSON types if it is to be stored.

    Raises
    ------
    ValueError
        If shapes do not go together.
    TypeError
        If ``data`` does not hold real numbers.

    See Also
    --------
    extract_cutouts : Cut them out of images.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit import Cutouts
    >>> cutouts = Cutouts(np.arange(32.0).reshape(2, 1, 4, 4), unit="nJy", bands=("r",))
    >>> cutouts
    <Cutouts: 2 x 1 band (r) of 4 x 4 pixels, float64, nJy>
    >>> cutouts[1].image(0, "r").data.sum()
    np.float64(376.0)
    """

    def __init__(
        self,
        data: ArrayLike | u.Quantity,
        *,
        unit: u.UnitBase | str | None = None,
        mask: ArrayLike | None = None,
        variance: ArrayLike | u.Quantity | None = None,
        bands: Sequence[str] | None = None,
        positions: SkyCoord | None = None,
        flags: ArrayLike | None = None,
        wcs: WCS | ParentGrid | TangentGrid | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        array, inner_mask, self._unit = read_data(data, unit)
        self._data = array
        n, c = array.shape[:2]
        self._mask = np.zeros(array.shape, dtype=bool)
        for part in (mask, inner_mask):
            if part is not None and part is not np.ma.nomask:
                self._mask |= shaped(part, array.shape, "mask").astype(bool)
        self._variance = None
        if variance is not None:
            if isinstance(variance, u.Quantity):
                variance = variance.to_value((self._unit or u.dimensionless_unscaled) ** 2)
            self._variance = shaped(variance, array.shape, "variance").astype(array.dtype)
        if isinstance(bands, str):
            bands = (bands,)
        self._bands = tuple(str(b) for b in bands or (f"band{i}" for i in range(c)))
        if len(self._bands) != c or len(set(self._bands)) != c:
            raise ValueError(f"bands must be {c} different names, got {self._bands}")
        if positions is not None and (
            not isinstance(positions, SkyCoord) or positions.shape != (n,)
        ):
            raise ValueError(f"positions must be a SkyCoord of shape ({n},), got {positions!r}")
        self._positions = positions
        self._flags = settle(self._data, self._mask, self._variance, 0.0)
        if flags is not None:
            flags = np.asarray(flags)
            if flags.shape != (n,) or flags.dtype.kind not in "iu":
                raise ValueError(f"flags must be {n} integers, got {flags.dtype} {flags.shape}")
            if n and (flags.max() > sum(Flag) or flags.min() < 0):
                raise ValueError("flags have bits without a meaning: see decode_flags")
            self._flags |= flags.astype(np.int32)
        if isinstance(wcs, WCS):
            centre = ((array.shape[3] - 1) / 2, (array.shape[2] - 1) / 2)
            zero = np.zeros((n, c), dtype=np.int32)
            wcs = ParentGrid([wcs], zero, np.zeros((n, c, 2), dtype=np.int64), centre)
        self._grid = wcs
        self._meta = dict(meta or {})

    @property
    def data(self) -> NDArray:
        """The pixels, always finite; native float32 or float64, shape (n, c, ny, nx)."""
        return self._data

    @property
    def unit(self) -> u.UnitBase | None:
        """Unit of the pixels, or None."""
        return self._unit

    @property
    def mask(self) -> NDArray[np.bool_]:
        """True where a pixel must not be used, shape (n, c, ny, nx)."""
        return self._mask

    @property
    def variance(self) -> NDArray | None:
        """Variance of the pixels, infinite where there are none; or None."""
        return self._variance

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return self._bands

    @property
    def positions(self) -> SkyCoord | None:
        """Where the sources are on the sky, shape (n,); or None."""
        return self._positions

    @property
    def flags(self) -> NDArray[np.int32]:
        """Bits of `~astrodlkit.Flag`, shape (n,)."""
        return self._flags

    @property
    def meta(self) -> dict[str, Any]:
        """What else is known."""
        return self._meta

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, c, ny, nx)."""
        return self._data.shape

    @property
    def pixel_scale(self) -> u.Quantity | None:
        """Mean angle of a pixel at the middle of each stamp, shape (n,); None without a WCS."""
        if self._grid is None:
            return None
        return (self._grid.pixel_scale * u.deg).to(u.arcsec) / u.pix

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        n, c, ny, nx = self.shape
        bands = f"{c} band{'s' * (c != 1)} ({', '.join(self._bands)})"
        extras = [str(self._unit)] if self._unit is not None else []
        extras += ["with variance"] if self._variance is not None else []
        return (
            ", ".join(
                [f"<Cutouts: {n} x {bands} of {ny} x {nx} pixels", str(self._data.dtype), *extras]
            )
            + ">"
        )

    def __getitem__(self, rows: int | slice | ArrayLike) -> "Cutouts":
        if isinstance(rows, str | tuple):
            raise TypeError(f"rows are chosen with an int, a slice or an array, got {rows!r}")
        if not isinstance(rows, slice):
            chosen: Any = rows if np.size(rows) else []
            rows = np.atleast_1d(np.arange(len(self))[chosen])
        sliced = {
            name: None if part is None else part[rows]
            for name, part in vars(self).items()
            if name[1:] in ("data", "mask", "variance", "positions", "flags", "grid")
        }
        return assemble(**{name[1:]: part for name, part in (vars(self) | sliced).items()})

    def image(self, row: int, band: str | int = 0) -> CCDData:
        """
        One stamp in one band, with its own WCS.

        Parameters
        ----------
        row : int
            Which source.
        band : str or int
            Name or number of the band.

        Returns
        -------
        image : `~astropy.nddata.CCDData`
            The stamp, with mask, variance and WCS; it shares the pixels of the
            cutouts. CCDData demand a unit: without one they are dimensionless.

        Raises
        ------
        KeyError
            If there is no such band.
        IndexError
            If there is no such row.
        """
        if isinstance(band, str):
            if band not in self._bands:
                raise KeyError(f"band must be one of {self._bands}, got {band!r}")
            band = self._bands.index(band)
        if not -len(self) <= row < len(self):
            raise IndexError(f"row must be below {len(self)}, got {row}")
        variance = None if self._variance is None else self._variance[row, band]
        return CCDData(
            self._data[row, band],
            unit=self._unit or u.dimensionless_unscaled,
            mask=self._mask[row, band],
            uncertainty=None if variance is None else VarianceUncertainty(variance),
            wcs=None if self._grid is None else self._grid.wcs(row, band),
            meta={"band": self._bands[band], "flags": int(self._flags[row])},
        )

    def to_table(self) -> QTable:
        """
        The cutouts as a table of one row a source.

        Returns
        -------
        table : `~astropy.table.QTable`
            Columns ``cutout`` (a `~astropy.units.Quantity` if there is a unit),
            ``cutout_mask``, ``cutout_variance``, ``position``, ``flags`` and
            those, named ``wcs_...``, that rebuild the WCS; bands and meta are in
            ``table.meta["CUTOUTS"]`` as JSON. Rows may be removed, sorted,
            stacked and joined; the table can be written as ECSV, FITS or HDF5.

        Raises
        ------
        ValueError
            If the WCS has distortion lookup tables, which no column can hold.
        TypeError
            If ``meta`` has what JSON has no type for.
        """
        from ._store import to_table

        return to_table(self)

    @classmethod
    def from_table(cls, table: Table) -> "Cutouts":
        """
        Cutouts out of a table with a column ``cutout``.

        Parameters
        ----------
        table : `~astropy.table.Table` or table-like
            One that ``to_table`` made, or any with a column ``cutout`` of shape
            (n, c, ny, nx) or (n, ny, nx).

        Returns
        -------
        cutouts : Cutouts
            The cutouts.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        from ._store import from_table

        return from_table(table)

    def write(self, path: PathLike, *, overwrite: bool = False) -> None:
        """
        Write to a file, whole or not at all.

        Parameters
        ----------
        path : path-like
            Where to; the suffix decides: ``.fits`` (``.fit``, ``.fits.gz``), or
            ``.h5``, ``.hdf5`` (needs h5py, the extra ``hdf5``).
        overwrite : bool
            Whether an existing file may be replaced.

        Raises
        ------
        OSError
            If the file exists and ``overwrite`` is False.
        ValueError
            If the suffix is another.
        astrodlkit.exceptions.MissingDependencyError
            If h5py is needed and missing.
        """
        from ._store import write

        write(self, path, overwrite=overwrite)

    @classmethod
    def read(cls, path: PathLike) -> "Cutouts":
        """
        Read what ``write`` wrote, or a simulator did, to Zarr (``.zarr``) too.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        cutouts : Cutouts
            The cutouts.

        Raises
        ------
        OSError
            If the file is missing, damaged or of another kind.
        ValueError
            If the suffix is unknown, or the file does not hold cutouts.
        """
        from ._store import read

        return read(path)

    @classmethod
    def concatenate(cls, parts: Sequence["Cutouts"]) -> "Cutouts":
        """
        The rows of several cutouts, one after another.

        Parameters
        ----------
        parts : sequence of Cutouts
            At least one; all of the same bands, stamp shape and unit.

        Returns
        -------
        cutouts : Cutouts
            All rows, with the meta of the first.

        Raises
        ------
        ValueError
            If the parts do not go together.
        """
        from ._join import concatenate

        return concatenate(parts)


def assemble(**parts: Any) -> Cutouts:
    """Cutouts of parts (their private attributes) that are right already."""
    cutouts = Cutouts.__new__(Cutouts)
    for name, value in parts.items():
        setattr(cutouts, f"_{name}", value)
    return cutouts
