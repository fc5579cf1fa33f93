"""From linear fluxes, or from a finished picture, to channels between 0 and 1."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from astropy.visualization import make_lupton_rgb

from ._peak import PeakStretch
from ._record import Record

__all__ = ["LuptonStretch", "Picture", "Stretch", "stretch_from_dict"]


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
        n, _, ny, nx = values.shape
        if n * ny * nx == 0:
            return np.zeros(values.shape, dtype=np.float32)
        # The mapping is pixel by pixel: all the stamps go as one tall image.
        red, green, blue = (
            np.ascontiguousarray(values[:, c]).reshape(n * ny, nx) * self.scales[c]
            for c in range(3)
        )
        with np.errstate(invalid="ignore"):  # astropy divides black by black, then replaces it
            rgb = make_lupton_rgb(
                red, green, blue, minimum=self.minimum, stretch=self.stretch, Q=self.Q
            )
        return np.moveaxis(rgb.reshape(n, ny, nx, 3), 3, 1).astype(np.float32) / np.float32(255)

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
        # Lupton et al.'s constants, as astropy has them: slope 0.1 at the origin.
        slope = 0.1 / np.arcsinh(0.1 * self.Q)
        return self.minimum + self.stretch / self.Q * float(np.sinh(level / slope))


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
        return np.clip(values / self.white, 0, 1).astype(np.float32)


Stretch: TypeAlias = LuptonStretch | PeakStretch | Picture


def stretch_from_dict(record: Mapping[str, Any]) -> Stretch:
    """The stretch from its JSON form, which is told by the parameter that only one kind has."""
    for kind, name in ((Picture, "white"), (PeakStretch, "power")):
        if name in record:
            return kind.from_dict(record)
    return LuptonStretch.from_dict(record)
