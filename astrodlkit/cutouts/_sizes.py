"""What the sizes, shapes and scales that users give mean in pixels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

__all__ = ["StampSize", "read_pixel_scale", "read_shape", "read_size", "some_sizes"]


@dataclass(frozen=True)
class StampSize:
    """
    How large the stamps are: one of three.

    ``pixels``: (ny, nx). ``angle``: (ny, nx) in degrees. ``widths``: of the
    longer side of each row's stamp, shape (n,), in pixels of the first band or,
    if ``widths_are_angles``, in degrees; NaN where invalid.
    """

    pixels: tuple[int, int] | None = None
    angle: tuple[float, float] | None = None
    widths: NDArray[np.float64] | None = None
    widths_are_angles: bool = False


def some_sizes(size: Any, rows: Any, shape: Any) -> Any:
    """The argument ``size`` for some rows: with ``shape``, each may have its own."""
    if shape is None or np.ndim(size) == 0:
        return size
    return (size if hasattr(size, "unit") else np.asanyarray(size))[rows]


def read_size(size: Any, n_rows: int, *, by_row: bool) -> StampSize:
    """
    Read the argument ``size``.

    Parameters
    ----------
    size : int, pair of int, or `~astropy.units.Quantity`
        The argument.
    n_rows : int
        Number of positions.
    by_row : bool
        Whether ``shape`` is given too, so that ``size`` is what fills it.

    Returns
    -------
    size : StampSize
        What it means.
    """
    mask = getattr(size, "mask", False)
    size = getattr(size, "unmasked", size)
    unit: Any = getattr(size, "unit", None)
    values = getattr(size, "value", size)
    angle = unit is not None and unit.is_equivalent(u.deg)
    if angle:
        values = unit.to(u.deg, values)
    elif unit is not None and unit not in (u.pix, u.dimensionless_unscaled):
        raise u.UnitConversionError(f"size must be in pixels or an angle, got the unit {unit}")
    values = np.ma.getdata(np.asarray(values))
    if values.dtype.kind not in "fiu":
        raise TypeError(f"size must be numbers or an angle, got {size!r}")
    if by_row:
        values = np.where(mask, np.nan, values.astype(np.float64))
        if values.ndim == 0:
            if not (np.isfinite(values) and values > 0):
                raise ValueError(f"size must be positive, got {size}")
            values = np.full(n_rows, values)
        if values.shape != (n_rows,):
            raise ValueError(
                f"size with shape= must be one number or one for each of the {n_rows} positions, "
                f"got shape {values.shape}"
            )
        values[~(np.isfinite(values) & (values > 0))] = np.nan
        return StampSize(widths=values, widths_are_angles=angle)
    if np.any(mask) or values.shape not in ((), (2,)):
        raise ValueError(
            f"size must be one number or (ny, nx), got shape {values.shape}; "
            "one size for each row needs shape=(ny, nx) too, to which all are resampled"
        )
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError(f"size must be positive, got {size}")
    if not angle and (values != np.round(values)).any():
        raise ValueError(
            f"size must be whole pixels, got {size}; an angle has a unit, 10 * u.arcsec"
        )
    ny, nx = np.broadcast_to(values, 2).tolist()
    return StampSize(angle=(ny, nx)) if angle else StampSize(pixels=(int(ny), int(nx)))


def read_shape(shape: Any) -> tuple[int, int]:
    """Read the argument ``shape``: (ny, nx) out of a whole number or two."""
    values = np.asarray(shape)
    if values.dtype.kind not in "iu" or values.shape not in ((), (2,)) or (values < 1).any():
        raise ValueError(f"shape must be a positive whole number or (ny, nx), got {shape!r}")
    ny, nx = np.broadcast_to(values, 2).tolist()
    return ny, nx


def read_pixel_scale(pixel_scale: Any) -> float:
    """Read the argument ``pixel_scale``: degrees a pixel."""
    if not isinstance(pixel_scale, u.Quantity):
        raise TypeError(
            f"pixel_scale={pixel_scale!r} has no unit; write pixel_scale={pixel_scale!r} * u.arcsec"
        )
    unit = u.deg / u.pix if (pixel_scale * u.pix).unit.is_equivalent(u.deg * u.pix**0) else u.deg
    try:
        scale = pixel_scale.to_value(unit)
    except u.UnitConversionError as exc:
        raise u.UnitConversionError(
            f"pixel_scale must be an angle (a pixel), got the unit {pixel_scale.unit}"
        ) from exc
    if np.ndim(scale) or not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"pixel_scale must be one positive angle, got {pixel_scale}")
    return float(scale)
