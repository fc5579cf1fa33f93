"""The promises of `Cutouts`: finite pixels, and flags that follow from them."""

import numpy as np
from numpy.typing import NDArray

from .._flags import Flag

__all__ = ["settle"]

# Pixels looked at together: what is temporary stays small, and in the processor's cache.
_PIXELS = 500_000


def settle(
    data: NDArray, mask: NDArray, variance: NDArray | None, fill_value: float
) -> NDArray[np.int32]:
    """
    Make the pixels finite, in place, and say which flags they give.

    What is not finite is filled and masked; a variance that is negative or not
    finite becomes infinite and its pixel is masked.
    """
    flags = np.zeros(len(data), dtype=np.int32)
    step = max(1, _PIXELS // data[:1].size) if len(data) else 1
    for start in range(0, len(data), step):
        rows = slice(start, start + step)
        values, bad = (array[rows].reshape(len(data[rows]), -1) for array in (data, mask))
        flag = flags[rows]
        if variance is not None:
            var = variance[rows].reshape(values.shape)
            wrong = ~(np.isfinite(var) & (var >= 0))
            var[wrong] = np.inf
            bad |= wrong
        # The extremes say all in one pass: a NaN goes through to them.
        with np.errstate(invalid="ignore"):
            low, high = values.min(axis=1), values.max(axis=1)
        for i in np.flatnonzero(~(np.isfinite(low) & np.isfinite(high))):
            wrong = ~np.isfinite(values[i])
            values[i, wrong] = fill_value
            bad[i] |= wrong
            if variance is not None:
                var[i, wrong] = np.inf
            flag[i] |= Flag.NON_FINITE
        some, every = bad.any(axis=1), bad.all(axis=1)
        flag[some] |= Flag.MASKED_PIXELS
        flag[every] |= Flag.ALL_MASKED
        blank = ~some & (low == high)
        for i in np.flatnonzero(some & ~every):
            usable = values[i, ~bad[i]]
            blank[i] = (usable == usable[0]).all()
        flag[blank] |= Flag.BLANK
    return flags
