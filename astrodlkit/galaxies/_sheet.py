"""What is added to an image: light, its variance, and pixels that are not known."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.nddata import NDData, VarianceUncertainty
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, uniform_filter

from .._flags import Flag
from ..cutouts import Cutouts
from ..cutouts._arrays import POWERS
from ._noise import poisson
from ._paste import StampsOnImage

__all__ = ["Sheet"]

# Part of a pixel's light from masked ones from which on it is masked too.
_TOUCHED = 1e-3


@dataclass
class Sheet:
    """
    Planes of the shape (ny, nx) of an image, in its unit.

    ``variance`` is None as long as nothing has noise.
    """

    light: NDArray
    variance: NDArray | None
    bad: NDArray[np.bool_]

    @classmethod
    def like(cls, image: NDData, *, with_variance: bool) -> "Sheet":
        """Nothing, for an image; in double precision unless that has less."""
        single = image.data.dtype.kind == "f" and image.data.dtype.itemsize <= 4
        light = np.zeros(image.data.shape, np.float32 if single else np.float64)
        # Squares of such units as erg / (s cm2 Hz) are too small for single precision.
        variance = np.zeros(light.shape) if with_variance else None
        return cls(light, variance, np.zeros(light.shape, bool))

    def paste(
        self, places: StampsOnImage, row: int, cutouts: Cutouts, band: int, factor: float
    ) -> tuple[float, float, int]:
        """
        Add a stamp.

        Parameters
        ----------
        places : StampsOnImage
            Where it is.
        row, band : int
            Which stamp.
        cutouts : Cutouts
            All stamps.
        factor : float
            From their unit to that of the image.

        Returns
        -------
        light, on_image : float
            Of the stamp, and of the part of it that is on the image.
        flags : int
            What there is to say.
        """
        flags = int(cutouts.flags[row])
        if flags & (Flag.NO_RESULT | Flag.ALL_MASKED) or not places.exists(row):
            return np.nan, 0.0, flags | Flag.NO_RESULT
        masked = cutouts.mask[row, band]
        plane = np.where(masked, 0, cutouts.data[row, band]) * factor
        total = float(plane.sum(dtype=np.float64))
        region = places.region(row, self.light.shape)
        if region is None:
            return total, 0.0, flags | Flag.NO_OVERLAP
        if places.partial(row, self.light.shape):
            flags |= Flag.PARTIAL_OVERLAP
        if not places.aligned[row]:
            flags |= Flag.RESAMPLED
        if masked.any():
            # A hole would ring in the spline.
            known = distance_transform_edt(masked, return_distances=False, return_indices=True)
            plane = plane[tuple(known)]
            plane = np.where(masked, uniform_filter(plane, 3), plane)
        moved = places.moved(row, region, plane)
        if masked.any():
            part = places.moved(row, region, masked.astype(np.float64), order=1, power=0)
            moved = np.where(part > _TOUCHED, 0, moved)
            self.bad[region] |= part > _TOUCHED
        self.light[region] += moved
        if self.variance is not None and cutouts.variance is not None:
            noise = np.where(masked, 0, cutouts.variance[row, band]) * factor**2
            self.variance[region] += places.moved(row, region, noise, order=1, power=2)
        return total, float(moved.sum(dtype=np.float64)), flags

    def count(self, gain: float, rng: np.random.Generator) -> None:
        """Give the light the noise of its electrons, ``gain`` to a unit."""
        expected = np.maximum(self.light, 0, dtype=np.float64)
        noise = (poisson(expected * gain, rng) / gain - expected).astype(self.light.dtype)
        variance = expected / gain
        self.light += noise
        self.variance = variance if self.variance is None else self.variance + variance

    def added_to(self, image: NDData) -> NDData:
        """
        A new image with this on it.

        Parameters
        ----------
        image : `~astropy.nddata.NDData`
            Of the same shape.

        Returns
        -------
        image : of the type of ``image``
            With mask and uncertainty brought up to date.
        """
        mask = deepcopy(image.mask)
        if self.bad.any():
            mask = self.bad if mask is None else np.asarray(mask, bool) | self.bad
        result = type(image)(
            self.light + image.data,
            uncertainty=self._uncertainty(image),
            mask=mask,
            wcs=image.wcs,
            meta=deepcopy(image.meta),
            unit=image.unit,
        )
        for name in ("psf", "flags"):
            if getattr(image, name, None) is not None:
                setattr(result, name, getattr(image, name))
        return result

    def _uncertainty(self, image: NDData) -> Any:
        """Of the image, with the variance in it; that of what was added alone if it has none."""
        old = image.uncertainty
        if self.variance is None:
            return deepcopy(old)
        if old is None:
            return VarianceUncertainty(self.variance)
        power, scale = POWERS[type(old)], 1.0
        if old.unit is not None and image.unit is not None:
            scale = (old.unit ** (power / 2)).to(image.unit) ** (2 / power)
        # Where the variance is infinite it stays so.
        with np.errstate(divide="ignore"):
            variance = (np.asarray(old.array) * scale) ** float(power) + self.variance
            return type(old)(variance ** (1 / power) / scale, unit=old.unit)
