"""From linear fluxes, or from a finished picture, to channels between 0 and 1."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ._peak import PeakStretch
from ._record import Record

__all__ = ["LuptonStretch", "Picture", "Stretch", "stretch_from_dict"]

# Beyond this all is white; the sum of three is still a float32.
_LARGEST = np.float32(1e30)


@dataclass(frozen=True, kw_only=True)
class LuptonStretch(Record):
    """
    The asinh stretch of Lupton et al. (2004), as SDSS colour pictures have it.

    Parameters
    ----------
    scales : tuple of float
        Factor on each channel (red, green, blue) before the stretch; they
        set the colour balance.
    stretch, Q, minimum : float
        Parameters of `astropy.visualization.make_lupton_rgb`; for data with a
        flux unit in nanomaggies per square arcsecond, for others in the
        data's own numbers.

    References
    ----------
    Lupton, R. et al. 2004, PASP, 116, 133.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.specs import LuptonStretch
    >>> sdss = LuptonStretch(stretch=0.5, Q=5.0)
    >>> pictures = sdss.apply(np.full((1, 3, 2, 2), 0.1))
    >>> pictures.shape, bool(pictures.max() <= 1)
    ((1, 3, 2, 2), True)
    """

    stretch: float
    Q: float
    minimum: float = 0.0
    scales: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if not (self.stretch > 0 and self.Q > 0):
            raise ValueError(
                f"stretch and Q must be positive, got stretch={self.stretch}, Q={self.Q}"
            )
        if len(self.scales) != 3 or min(self.scales) <= 0:
            raise ValueError(f"scales must be three positive factors, got {self.scales}")

    def apply(self, values: np.ndarray) -> np.ndarray:
        """
        Stretch linear values.

        Parameters
        ----------
        values : `~numpy.ndarray`, shape (n, 3, ny, nx)
            Red, green and blue channel; finite.

        Returns
        -------
        pictures : `~numpy.ndarray` of float32, shape (n, 3, ny, nx)
            Between 0 and 1, in steps of 1/255 as in an 8-bit picture.
        """
        # In the units in which Lupton's function is asinh; float32, in place and in few passes,
        # as this is done to every pixel of a catalogue.
        soften = self.Q / self.stretch
        dtype = np.result_type(values, np.float32)
        scales = (np.array(self.scales) * soften).astype(dtype)[:, None, None]
        with np.errstate(over="ignore"):
            scaled = values * scales
            if self.minimum:
                scaled -= dtype.type(self.minimum * soften)
            pictures = scaled.astype(np.float32, copy=False)
        np.clip(pictures, -_LARGEST, _LARGEST, out=pictures)
        intensity = pictures[:, 0] + pictures[:, 1]
        intensity += pictures[:, 2]
        intensity *= np.float32(1 / 3)
        # No light gives black: 0 divided by a tiny number.
        np.maximum(intensity, 0, out=intensity)
        gain = np.arcsinh(intensity)
        gain /= np.maximum(intensity, np.finfo(np.float32).tiny)
        gain *= np.float32(self._slope)
        pictures *= gain[:, None]
        np.maximum(pictures, 0, out=pictures)
        # The hue of what is too bright is kept.
        peak = np.maximum(np.maximum(pictures[:, 0], pictures[:, 1]), pictures[:, 2])
        pictures /= np.maximum(peak, 1)[:, None]
        pictures *= np.float32(255)
        np.floor(pictures, out=pictures)
        pictures /= np.float32(255)
        return pictures

    def inverse(self, level: float) -> float:
        """
        The value that a grey pixel of a given level has before the stretch.

        Parameters
        ----------
        level : float
            Level after the stretch, between 0 and 1.

        Returns
        -------
        value : float
            Without the factors of ``scales``.
        """
        return self.minimum + self.stretch / self.Q * float(np.sinh(level / self._slope))

    @property
    def _slope(self) -> float:
        """Lupton et al.'s constant, as astropy has it: a tenth of ``stretch`` becomes a tenth."""
        return float(0.1 / np.arcsinh(0.1 * self.Q))


@dataclass(frozen=True, kw_only=True)
class Picture(Record):
    """
    Finished pictures: nothing is stretched, only brought between 0 and 1.

    Parameters
    ----------
    white : float
        Value of white: 255 for 8-bit pictures, 1 for pictures between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.specs import Picture
    >>> float(Picture(white=255).apply(np.full((1, 3, 1, 1), 51.0)).max())
    0.20000000298023224
    """

    white: float = 255.0

    def __post_init__(self) -> None:
        if not self.white > 0:
            raise ValueError(f"white must be positive, got {self.white}")

    def apply(self, values: np.ndarray) -> np.ndarray:
        """
        Scale and clip.

        Parameters
        ----------
        values : `~numpy.ndarray`, shape (n, 3, ny, nx)
            Picture values; finite.

        Returns
        -------
        pictures : `~numpy.ndarray` of float32, shape (n, 3, ny, nx)
            Between 0 and 1.
        """
        pictures = np.clip(values, 0, self.white).astype(np.float32, copy=False)
        pictures /= np.float32(self.white)
        return pictures


Stretch: TypeAlias = LuptonStretch | PeakStretch | Picture


def stretch_from_dict(record: Mapping[str, Any]) -> Stretch:
    """The stretch from its JSON form, which is told by the parameter that only one kind has."""
    for kind, name in ((Picture, "white"), (PeakStretch, "power")):
        if name in record:
            return kind.from_dict(record)
    return LuptonStretch.from_dict(record)
