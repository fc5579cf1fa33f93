"""One band of an image."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from numpy.typing import NDArray

from ._grids import lonlat_to_pixel, sky_to_lonlat

__all__ = ["Image", "conversion", "same_pixels"]

_AB = u.zero_point_flux(3631 * u.Jy)


@dataclass(frozen=True)
class Image:
    """
    One band: pixels that are read, converted and scaled only where a stamp needs them.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
        Values as they are stored: they may be memory-mapped, big-endian and
        read-only.
    wcs : `~astropy.wcs.WCS` or None
        Two celestial axes.
    unit : `~astropy.units.UnitBase` or None
        Unit of the physical values.
    mask : ndarray of bool or None, shape (ny, nx)
        True where a pixel must not be used.
    uncertainty : ndarray or None, shape (ny, nx)
        As it is stored.
    power, uncertainty_scale, uncertainty_zero : int, float, float
        The variance is this power of so many times the sum of the stored
        uncertainty and its zero.
    scale, zero : float
        Turn stored into physical values.
    blank : int or None
        Stored value of a pixel without one.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.cutouts import read_images
    >>> image = read_images({"r": np.arange(6).reshape(2, 3)})["r"]
    >>> image.shape, image.values((slice(1), slice(2)))
    ((2, 3), array([[0, 1]]))
    """

    data: NDArray
    wcs: WCS | None = None
    unit: u.UnitBase | None = None
    mask: NDArray | None = None
    uncertainty: NDArray | None = None
    power: int = 1
    uncertainty_scale: float = 1.0
    uncertainty_zero: float = 0.0
    scale: float = 1.0
    zero: float = 0.0
    blank: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of the image."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """The floating type its stamps have."""
        wide = self.data.dtype.kind == "f" and self.data.dtype.itemsize >= 8
        return np.dtype(np.float64 if wide else np.float32)

    def to_pixel(self, lon: NDArray, lat: NDArray) -> tuple[NDArray, NDArray]:
        """0-based x and y of positions in degrees, in the frame of the WCS."""
        return lonlat_to_pixel(self.wcs, lon, lat, self.shape)

    def sky_to_pixel(self, coords: SkyCoord) -> tuple[NDArray, NDArray]:
        """0-based x and y of coordinates in any frame."""
        return self.to_pixel(*sky_to_lonlat(self.wcs, coords))

    def contains(self, x: NDArray, y: NDArray) -> NDArray[np.bool_]:
        """Whether positions lie on a pixel."""
        height, width = self.shape
        return (x >= -0.5) & (y >= -0.5) & (x < width - 0.5) & (y < height - 0.5)

    def same_pixels(self, other: "Image") -> bool:
        """Whether each pixel of another image is where it is in this one, as far as is known."""
        if self.shape != other.shape:
            return False
        if self.wcs is None or other.wcs is None or self.wcs is other.wcs:
            return self.wcs is other.wcs
        plain = not (self.wcs.has_distortion or other.wcs.has_distortion)
        return plain and self.wcs.wcs.compare(other.wcs.wcs)

    def converted(self, unit: u.UnitBase | None) -> "Image":
        """The same in another unit; raises `~astropy.units.UnitConversionError`."""
        if self.unit == unit:
            return self
        factor = conversion(self.unit, unit)
        if factor is None:
            raise u.UnitConversionError(f"{self.unit} and {unit} are not convertible")
        return replace(
            self,
            unit=unit,
            scale=self.scale * factor,
            zero=self.zero * factor,
            uncertainty_scale=self.uncertainty_scale * factor ** (2 / self.power),
        )

    def values(self, box: tuple[Any, Any]) -> NDArray:
        """Physical values in a box; NaN where there are none."""
        values = self.data[box]
        if self.scale == 1 and self.zero == 0 and self.blank is None:
            return values
        physical = values * np.float64(self.scale) + self.zero
        if self.blank is not None:
            physical[values == self.blank] = np.nan
        return physical

    def variance(self, box: tuple[Any, Any]) -> NDArray[np.float64]:
        """Variance in a box, in the square of the unit."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            stored = np.asarray(self.uncertainty[box], dtype=np.float64)  # type: ignore[index]
            return ((stored + self.uncertainty_zero) * self.uncertainty_scale) ** self.power


def conversion(unit: u.UnitBase | None, other: u.UnitBase | None) -> float | None:
    """Factor from a unit to another, maggies being on the AB system; None if there is none."""
    if unit == other:
        return 1.0
    if unit is None or other is None:
        return None
    # Flux by pixel, or surface brightness.
    for area in (u.dimensionless_unscaled, u.sr):
        with suppress(u.UnitConversionError):
            return float((unit * area).to(other * area, equivalencies=_AB))
    return None


def same_pixels(images: Sequence[Image]) -> list[list[int]]:
    """Numbers of the images, those on one grid together."""
    groups: list[list[int]] = []
    for k, image in enumerate(images):
        for group in groups:
            if images[group[0]].same_pixels(image):
                group.append(k)
                break
        else:
            groups.append([k])
    return groups
