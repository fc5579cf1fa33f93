"""Cutting stamps out of images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame
from numpy.typing import ArrayLike, NDArray

from .._flags import Flag
from ._cutouts import Cutouts, assemble
from ._grids import pixel_to_lonlat
from ._image import same_pixels
from ._images import read_images
from ._native import check_same_pixels, copy_stamps
from ._positions import read_positions
from ._settle import settle
from ._sizes import read_pixel_scale, read_shape, read_size
from ._tile_plan import TilePlan, read_tiles

__all__ = ["extract_cutouts", "iter_cutouts"]

_LARGEST = float(np.finfo(np.float32).max)
_METHODS = ("interp", "adaptive", "exact")
_CONSERVE = ("surface brightness", "flux")


def extract_cutouts(
    data: Any,
    positions: Any,
    size: int | Sequence[int] | u.Quantity | ArrayLike,
    *,
    shape: int | tuple[int, int] | None = None,
    pixel_scale: u.Quantity | None = None,
    north_up: bool = False,
    method: Literal["interp", "adaptive", "exact"] = "interp",
    conserve: Literal["surface brightness", "flux"] = "surface brightness",
    fill_value: float = 0.0,
    bands: Sequence[str] | None = None,
) -> Cutouts:
    """
    Cut equal stamps of many sources out of one image, or one for each band.

    With only ``data``, ``positions`` and ``size`` the stamps are the image's own
    pixels: one vectorised coordinate transformation for each band, then copies.
    With ``pixel_scale``, ``north_up`` or ``shape`` they are resampled: zoomed
    where they are neither turned nor distorted, and by reproject otherwise.

    Parameters
    ----------
    data : object
        `~astropy.nddata.NDData`, `~astropy.nddata.CCDData`, ``(array, wcs)``, an
        array without a WCS, an image HDU, an HDUList or the path of a FITS file
        (its first image; memory-mapped), with shape (ny, nx), or (c, ny, nx) for
        bands on one grid; or a dict or list of these, one for each band, each on
        its own grid. Mask and uncertainty are carried. Or many images: a `TileIndex`,
        its table or its Parquet file.
    positions : `~astropy.coordinates.SkyCoord` or table-like, n rows
        Coordinates, a table or QTable with sky or pixel columns (0-based, of the
        first band), a photutils ``SourceCatalog``, or anything ``Table()`` takes.
    size : int, (ny, nx), or `~astropy.units.Quantity`
        Size of the stamps in pixels or as an angle. With ``shape``: what fills
        its longer side, one number (pixels of the first band, or an angle) or one
        for each row.
    shape : int or (ny, nx), optional
        Pixels of the resampled stamps, when ``size`` is to fill them.
    pixel_scale : `~astropy.units.Quantity`, optional
        Angle of a pixel of the resampled stamps, the same in all bands.
    north_up : bool
        Whether the stamps are turned so that north is up and east to the left.
        Otherwise resampled stamps keep the orientation of the first band.
    method : {'interp', 'adaptive', 'exact'}
        How: bilinear interpolation, and averages where pixels become larger
        (fast); reproject's anti-aliasing Gaussian, which smooths; or its exact
        overlap of pixels on the sphere (slow).
    conserve : {'surface brightness', 'flux'}
        What resampling keeps: the values (of an image in units of surface
        brightness), or their sum (of an image in counts or flux by pixel).
    fill_value : float
        Value of pixels off the image or not finite; they are masked too.
    bands : sequence of str, optional
        Which bands of a dict, in which order; names for a list or 3-D array.

    Returns
    -------
    cutouts : Cutouts
        n stamps in the order of ``positions``. Trouble with one row is in its
        ``flags``, never an exception.

    Raises
    ------
    ValueError
        If arguments do not go together: sky positions without a WCS, bands whose
        pixels differ without ``pixel_scale``, a table without positions...
    TypeError
        If ``data``, ``positions`` or ``size`` are of a kind that means nothing.
    OSError
        If a file cannot be read.

    See Also
    --------
    iter_cutouts : The same in chunks of rows.

    Notes
    -----
    A stamp of n pixels begins at pixel ``ceil(x - n / 2)``, as
    `~astropy.nddata.Cutout2D` has it. Resampled stamps are tangential (TAN) and
    exactly centred on the position. Their variance is propagated with the squares
    of the weights, without the covariance between neighbours. A stamp pixel is
    masked if any masked pixel contributes to it, or lies under it.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit import extract_cutouts
    >>> image = np.arange(10000.0).reshape(100, 100)
    >>> cutouts = extract_cutouts(image, {"x": [50, 2], "y": [50, 99]}, 8)
    >>> cutouts.shape
    (2, 1, 8, 8)
    >>> cutouts.flags
    array([0, 6], dtype=int32)
    """
    options = _Options(shape, pixel_scale, north_up, method, conserve, fill_value, bands)
    plan = _plan(data, positions, size, options)
    return plan.cut(slice(0, plan.n_rows))


def iter_cutouts(
    data: Any, positions: Any, size: Any, *, chunk: int = 1024, **options: Any
) -> Iterator[Cutouts]:
    """
    Cut stamps in chunks of rows: memory does not grow with their number.

    Parameters
    ----------
    data, positions, size
        As of `extract_cutouts`.
    chunk : int
        Rows in a chunk.
    **options
        The keywords of `extract_cutouts`.

    Returns
    -------
    chunks : iterator of Cutouts
        Consecutive rows; one empty chunk if there are no positions.

    Raises
    ------
    ValueError
        If ``chunk`` is not positive, or as `extract_cutouts` does, at once and
        not at the first chunk.
    TypeError
        As of `extract_cutouts`.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.cutouts import iter_cutouts
    >>> table = {"x": np.full(5, 20.0), "y": np.arange(5) + 20.0}
    >>> [len(part) for part in iter_cutouts(np.zeros((40, 40)), table, 8, chunk=2)]
    [2, 2, 1]
    """
    if not isinstance(chunk, int | np.integer) or chunk < 1:
        raise ValueError(f"chunk must be a positive number of rows, got {chunk!r}")
    plan = _plan(data, positions, size, _Options(**options))
    starts = range(0, max(plan.n_rows, 1), chunk)
    return (plan.cut(slice(start, min(start + chunk, plan.n_rows))) for start in starts)


@dataclass(frozen=True)
class _Options:
    """The keywords of `extract_cutouts`."""

    shape: Any = None
    pixel_scale: Any = None
    north_up: bool = False
    method: str = "interp"
    conserve: str = "surface brightness"
    fill_value: float = 0.0
    bands: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ValueError(f"method must be one of {_METHODS}, got {self.method!r}")
        if self.conserve not in _CONSERVE:
            raise ValueError(f"conserve must be one of {_CONSERVE}, got {self.conserve!r}")
        if not isinstance(self.fill_value, Real) or not abs(self.fill_value) < _LARGEST:
            raise ValueError(f"fill_value must be a finite number, got {self.fill_value!r}")
        if self.shape is not None and self.pixel_scale is not None:
            raise ValueError("size and shape give the pixel_scale: give only two of the three")


def _plan(data: Any, positions: Any, size: Any, options: _Options) -> "_Plan | TilePlan":
    tiles = read_tiles(data)
    if tiles is None:
        return _Plan(data, positions, size, options)
    return TilePlan(tiles, positions, size, vars(options))


class _Plan:
    """All arguments, read and checked; ``cut`` makes the stamps of some rows."""

    def __init__(self, data: Any, positions: Any, size: Any, options: _Options) -> None:
        self.options = options
        shape, pixel_scale = options.shape, options.pixel_scale
        self.images = read_images(data, options.bands)
        self.same_pixels = same_pixels(list(self.images.values()))
        first = next(iter(self.images.values()))
        self.has_wcs = first.wcs is not None
        found: Any = read_positions(positions, prefer_sky=self.has_wcs)
        on_sky = isinstance(found, SkyCoord)
        self.coords: SkyCoord | None = found if on_sky else None
        self.pixels: Any = found
        self.n_rows = len(found if on_sky else found[0])
        self.size = read_size(size, self.n_rows, by_row=shape is not None)
        if not self.has_wcs:
            self._refuse_sky()
        # Degrees by pixel in y and x, where they are needed.
        own = proj_plane_pixel_scales(first.wcs)[::-1] if self.has_wcs else np.full(2, np.nan)
        self.scale: float | None = None
        if pixel_scale is not None:
            self.scale = read_pixel_scale(pixel_scale)
        elif options.north_up and shape is None:
            self.scale = float(np.sqrt(own[0] * own[1]))
        self.resampled = shape is not None or self.scale is not None
        if shape is not None:
            self.shape = read_shape(shape)
        elif self.size.pixels is not None:
            self.shape = self.size.pixels
        else:
            angle: Any = self.size.angle
            by_pixel = own if self.scale is None else np.full(2, self.scale)
            ny, nx = np.maximum(np.round(angle / by_pixel), 1).astype(int).tolist()
            self.shape = (ny, nx)
        if not self.resampled and self.has_wcs:
            check_same_pixels(self.images)

    def _refuse_sky(self) -> None:
        """Refuse what needs a WCS."""
        options = self.options
        needs = {
            "positions on the sky": self.coords is not None,
            "size as an angle": self.size.angle is not None or self.size.widths_are_angles,
            "pixel_scale": options.pixel_scale is not None,
            "north_up": options.north_up,
            "method='exact'": options.shape is not None and options.method == "exact",
        }
        for what in (name for name, needed in needs.items() if needed):
            raise ValueError(f"data has no celestial WCS, which {what} needs: pass (array, wcs)")

    def cut(self, rows: slice) -> Cutouts:
        """The stamps of some rows."""
        x, y, coords = self._where(rows)
        valid = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
        options, fill_value = self.options, float(self.options.fill_value)
        meta: dict[str, Any] = {"fill_value": fill_value}
        grid: Any
        images = list(self.images.values())
        if self.resampled:
            from ._resample import resample

            widths = None if self.size.widths is None else self.size.widths[rows]
            data, mask, variance, flags, grid = resample(
                images,
                coords,
                np.where(valid, x[:, 0], np.nan),
                np.where(valid, y[:, 0], np.nan),
                shape=self.shape,
                scale=self.scale,
                widths=widths,
                widths_are_angles=self.size.widths_are_angles,
                north_up=options.north_up,
                method=options.method,
                conserve=options.conserve,
                fill_value=fill_value,
            )
            meta |= {"method": options.method, "conserved": options.conserve}
        else:
            data, mask, variance, flags, grid = copy_stamps(
                images, x, y, shape=self.shape, fill_value=fill_value
            )
        flags[~valid] = Flag.INVALID_POSITION
        flags |= settle(data, mask, variance, fill_value)
        return assemble(
            data=data,
            unit=images[0].unit,
            mask=mask,
            variance=variance,
            bands=tuple(self.images),
            positions=coords,
            flags=flags,
            grid=grid,
            meta=meta,
        )

    def _where(self, rows: slice) -> tuple[NDArray, NDArray, SkyCoord | None]:
        """Positions in the pixels of each band, shape (n, c), and on the sky."""
        images = list(self.images.values())
        if not self.has_wcs:
            x, y = (np.repeat(p[rows, None], len(images), axis=1) for p in self.pixels)
            return x, y, None
        places: list[Any] = [None] * len(images)
        if self.coords is not None:
            coords = self.coords[rows]
        else:
            first = tuple(p[rows] for p in self.pixels)
            wcs = images[0].wcs
            coords = SkyCoord(
                *pixel_to_lonlat(wcs, *first), unit=u.deg, frame=wcs_to_celestial_frame(wcs)
            )
        for bands in self.same_pixels:
            given = self.coords is None and 0 in bands
            place = first if given else images[bands[0]].sky_to_pixel(coords)
            for k in bands:
                places[k] = place
        x, y = (np.stack(axis, axis=1) for axis in zip(*places, strict=True))
        return x, y, coords
