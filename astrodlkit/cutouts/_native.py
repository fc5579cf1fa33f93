"""Stamps of the images' own pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame
from numpy.typing import NDArray

from .._flags import Flag
from ._grids import ParentGrid, pixel_to_lonlat
from ._image import Image

__all__ = ["check_same_pixels", "copy_stamps"]

# Pixels of two bands may differ by this, relative, and still count as the same grid.
_SAME_GRID = 0.01
_FAR = 1e9
# So that the last digits of a transformation do not decide on which pixel a stamp begins.
_TIE = 1e-6


def copy_stamps(
    images: Sequence[Image],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    shape: tuple[int, int],
    fill_value: float,
) -> tuple[NDArray, NDArray, NDArray | None, NDArray, ParentGrid | None]:
    """
    Copy a stamp of each image around each position.

    Parameters
    ----------
    images : sequence of Image, length c
        The bands.
    x, y : ndarray, shape (n, c)
        The positions in each image; NaN if invalid.
    shape : (ny, nx)
        Pixels of a stamp.
    fill_value : float
        Value of pixels off the image.

    Returns
    -------
    data, mask, variance : ndarray, shape (n, c, ny, nx)
        The stamps; variance may be None.
    flags : ndarray, shape (n,)
        Bits known here.
    grid : ParentGrid or None
        The stamps' WCS.
    """
    (ny, nx), (n, c) = shape, x.shape
    valid: Any = (np.isfinite(x) & np.isfinite(y)).all(axis=1)
    x0, y0 = (
        np.where(valid[:, None], np.ceil(np.clip(p, -_FAR, _FAR) - k / 2 - _TIE), 0).astype(int)
        for p, k in ((x, nx), (y, ny))
    )
    data = np.empty((n, c, ny, nx), dtype=np.result_type(*(image.dtype for image in images)))
    mask = np.zeros(data.shape, dtype=bool)
    variance = None if images[0].uncertainty is None else np.empty_like(data)
    # 0: wholly on the image, 1: partly, 2: not at all.
    overlap = np.zeros((n, c), dtype=np.int8)
    for k, image in enumerate(images):
        height, width = image.shape
        left, bottom = x0[:, k], y0[:, k]
        inside = (left >= 0) & (bottom >= 0) & (left + nx <= width) & (bottom + ny <= height)
        off = (left + nx <= 0) | (bottom + ny <= 0) | (left >= width) | (bottom >= height)
        overlap[:, k] = np.where(off | ~valid, 2, ~inside)
        for i in np.flatnonzero(overlap[:, k]).tolist():
            data[i, k], mask[i, k] = fill_value, True
            if variance is not None:
                variance[i, k] = np.inf
        for i in np.flatnonzero(overlap[:, k] < 2).tolist():
            x1, y1 = int(left[i]), int(bottom[i])
            if overlap[i, k]:
                x2, y2 = max(x1, 0), max(y1, 0)
                box = slice(y2, min(y1 + ny, height)), slice(x2, min(x1 + nx, width))
                to = slice(y2 - y1, box[0].stop - y1), slice(x2 - x1, box[1].stop - x1)
            else:
                box, to = (slice(y1, y1 + ny), slice(x1, x1 + nx)), (slice(None), slice(None))
            data[i, k][to] = image.values(box)
            if image.mask is not None:
                mask[i, k][to] = image.mask[box]
            elif overlap[i, k]:
                mask[i, k][to] = False
            if variance is not None:
                variance[i, k][to] = image.variance(box)
    flags = np.zeros(n, dtype=np.int32)
    nowhere = (overlap == 2).all(axis=1)
    flags[nowhere] = Flag.NO_OVERLAP
    flags[~nowhere & (overlap > 0).any(axis=1)] = Flag.PARTIAL_OVERLAP
    grid = None
    if images[0].wcs is not None:
        index = np.where(valid[:, None], np.arange(c), -1).astype(np.int32)
        origins = np.stack([x0, y0], axis=-1)
        middle = ((nx - 1) / 2, (ny - 1) / 2)
        grid = ParentGrid([image.wcs for image in images], index, origins, middle)
    return data, mask, variance, flags, grid


def check_same_pixels(images: dict[str, Image]) -> None:
    """Refuse bands whose pixels differ in size or direction: their stamps would not match."""
    names = list(images)
    first = images[names[0]]
    height, width = first.shape
    x = (width - 1) / 2 + np.array([-0.5, 0.5, 0, 0])
    y = (height - 1) / 2 + np.array([0, 0, -0.5, 0.5])
    frame = wcs_to_celestial_frame(first.wcs)
    coords = SkyCoord(*pixel_to_lonlat(first.wcs, x, y), unit=u.deg, frame=frame)
    for name in names[1:]:
        image = images[name]
        px, py = image.sky_to_pixel(coords)
        step = np.array([[px[1] - px[0], px[3] - px[2]], [py[1] - py[0], py[3] - py[2]]])
        # Not (... <= ...): a NaN is a difference too.
        if not (np.abs(step - np.eye(2)) <= _SAME_GRID).all():
            scales = [
                np.sqrt(np.prod(proj_plane_pixel_scales(images[n].wcs))) * 3600
                for n in (names[0], name)
            ]
            raise ValueError(
                f"the pixels of bands {names[0]!r} and {name!r} differ in size or direction "
                f"({scales[0]:.4g} and {scales[1]:.4g} arcsec): resample to common ones with "
                f"pixel_scale={scales[0]:.4g} * u.arcsec"
            )
