"""The arrays that `Cutouts` are made of."""

from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import ArrayLike, NDArray

__all__ = ["read_data", "shaped"]


def read_data(
    data: Any, unit: u.UnitBase | str | None
) -> tuple[NDArray, ArrayLike | None, u.UnitBase | None]:
    """A copy of the pixels as native floats, their mask and their unit."""
    unit = u.Unit(unit) if unit is not None else getattr(data, "unit", None)
    if isinstance(data, u.Quantity):
        data = data.to_value(unit)
    mask = getattr(data, "mask", None)
    array = np.asarray(np.ma.getdata(getattr(data, "unmasked", data)))
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"data must hold real numbers, not {array.dtype}; stamps of one shape are "
            "stacked with numpy.stack"
        )
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or 0 in array.shape[1:]:
        raise ValueError(f"data must have shape (n, c, ny, nx), got {array.shape}")
    wide = array.dtype.kind == "f" and array.dtype.itemsize >= 8
    return np.array(array, dtype=np.float64 if wide else np.float32, order="C"), mask, unit


def shaped(values: Any, shape: tuple[int, ...], name: str) -> NDArray:
    """What goes with the pixels, checked; of one band it may lack the axis of bands."""
    array = np.asarray(values)
    if array.shape == (shape[0], *shape[2:]) and shape[1] == 1:
        array = array[:, None]
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, but data have {shape}")
    return array
