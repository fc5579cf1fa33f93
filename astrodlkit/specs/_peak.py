"""From radio fluxes to channels between 0 and 1: noise to black, the peak to white."""

from dataclasses import dataclass

import numpy as np
from astropy.stats import mad_std

from ._record import Record

__all__ = ["PeakStretch"]


@dataclass(frozen=True, kw_only=True)
class PeakStretch(Record):
    """
    Each stamp by itself: its noise becomes black, its brightest pixel white.

    What is less than ``threshold`` times the noise above the median is cut off, as
    is usual for radio sources (for example Griese et al. 2023, Data in Brief,
    47, 108974), and the rest between the threshold and the peak raised to
    a power. The unit does not matter. A stamp that is finished already, whose
    noise is all zeros, only gets the power.

    Parameters
    ----------
    threshold : float
        In standard deviations of the noise, which are told from the median
        absolute deviation of a stamp's pixels.
    power : float
        Of the scaled values; less than 1 lifts what is faint.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.specs import PeakStretch
    >>> stamp = np.zeros((1, 1, 8, 8))
    >>> stamp[0, 0, 3, 3:5] = 0.25, 1.0
    >>> PeakStretch(threshold=3.0, power=0.5).apply(stamp)[0, 0, 3, 2:6].tolist()
    [0.0, 0.5, 1.0, 0.0]
    """

    threshold: float = 3.0
    power: float = 0.5

    def __post_init__(self) -> None:
        if not self.threshold >= 0:
            raise ValueError(f"threshold must not be negative, got {self.threshold}")
        if not self.power > 0:
            raise ValueError(f"power must be positive, got {self.power}")

    def apply(self, values: np.ndarray) -> np.ndarray:
        """
        Stretch each channel of each stamp.

        Parameters
        ----------
        values : `~numpy.ndarray`, shape (n, c, ny, nx)
            Fluxes; finite.

        Returns
        -------
        pictures : `~numpy.ndarray` of float32, shape (n, c, ny, nx)
            Between 0 and 1.
        """
        values = np.asarray(values, dtype=np.float32)
        if values.size == 0:
            return values.copy()
        floor = np.median(values, axis=(2, 3)) + self.threshold * mad_std(values, axis=(2, 3))
        above = np.clip(values - floor[..., None, None], 0, None)
        peak = above.max(axis=(2, 3), keepdims=True)
        return (above / np.where(peak > 0, peak, 1)) ** np.float32(self.power)
