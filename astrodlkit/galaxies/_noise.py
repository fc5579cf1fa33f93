"""Noise of the sky, of the light and of the detector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

__all__ = ["Noise", "NoiseModel", "poisson", "read_gain"]

# Counts from which on they are Gaussian to the last digit.
_MANY = 1e15


@dataclass(frozen=True, kw_only=True)
class NoiseModel:
    """
    Noise of an image from which the sky is subtracted.

    Either ``sky_level`` with ``gain`` (and ``read_noise``), and light and sky
    are counted as electrons; or ``background_rms``, and with ``gain`` the light
    of the galaxy is counted on top of it. Each may be one number, or one for
    each band.

    Parameters
    ----------
    gain : `~astropy.units.Quantity`, optional
        Electrons for each unit of the stamps: ``5 * u.electron / u.nJy``.
    sky_level : `~astropy.units.Quantity`, optional
        Of a pixel, in the unit of the stamps, or of a square arcsecond.
    read_noise : `~astropy.units.Quantity`, optional
        Standard deviation in electrons; 0 by default.
    background_rms : `~astropy.units.Quantity`, optional
        Standard deviation of a pixel without a source, in the unit of the
        stamps.

    Raises
    ------
    TypeError, ValueError
        If neither or both are given, or a number has no unit or is negative.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astrodlkit.galaxies import NoiseModel
    >>> noise = NoiseModel(sky_level=80 * u.nJy / u.arcsec**2, gain=20 * u.electron / u.nJy,
    ...                    read_noise=9 * u.electron)
    >>> shallow = NoiseModel(background_rms=2 * u.nJy)
    """

    gain: u.Quantity | None = None
    sky_level: u.Quantity | None = None
    read_noise: u.Quantity | None = None
    background_rms: u.Quantity | None = None

    def __post_init__(self) -> None:
        for name in ("gain", "sky_level", "read_noise", "background_rms"):
            value: Any = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, u.Quantity):
                raise TypeError(f"{name}={value!r} has no unit: give a Quantity")
            low_enough = value.value > 0 if name == "gain" else value.value >= 0
            if not (np.isfinite(value.value).all() and np.all(low_enough)):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if (self.sky_level is None) == (self.background_rms is None):
            raise ValueError("give sky_level (with gain) or background_rms, one of the two")
        if self.sky_level is not None and self.gain is None:
            raise ValueError("sky_level needs gain, the electrons for each unit of the stamps")
        if self.read_noise is not None and self.sky_level is None:
            raise ValueError("read_noise goes with sky_level; background_rms has it in it")

    def on(self, unit: u.UnitBase, scale: float, bands: Sequence[str]) -> "Noise":
        """
        The noise of stamps.

        Parameters
        ----------
        unit : `~astropy.units.UnitBase`
            Of the stamps.
        scale : float
            Arcseconds a pixel.
        bands : sequence of str
            The stamps'.

        Returns
        -------
        noise : Noise
            Numbers in the unit of the stamps.
        """
        n = len(bands)
        electron = u.electron / unit
        gain = _numbers("gain", self.gain, (electron, unit**-1), n)
        if self.sky_level is None:
            rms = _numbers("background_rms", self.background_rms, (unit,), n)
            return Noise(gain=gain, sky=0 * rms, variance=rms**2)
        sky: Any = self.sky_level
        if not sky.unit.is_equivalent(unit):
            sky = sky * (scale * u.arcsec) ** 2
        levels = _numbers("sky_level", sky, (unit,), n)
        read = _numbers("read_noise", self.read_noise, (u.electron, u.dimensionless_unscaled), n)
        return Noise(gain=gain, sky=levels, variance=(read / gain) ** 2)


@dataclass(frozen=True)
class Noise:
    """
    Noise in the unit of the stamps; all of shape (c,).

    ``gain`` is electrons for each unit (0: light is not counted), ``sky`` what
    is counted too, ``variance`` the rest, which is Gaussian.
    """

    gain: NDArray[np.float64]
    sky: NDArray[np.float64]
    variance: NDArray[np.float64]

    def add(
        self, stamp: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """
        Add noise to a stamp.

        Parameters
        ----------
        stamp : ndarray, shape (c, ny, nx)
            Light alone.
        rng : `~numpy.random.Generator`
            Of this stamp.

        Returns
        -------
        noisy, variance : ndarray, shape (c, ny, nx)
            The sky is subtracted; the variance is that of the light expected.
        """
        noisy, variance = np.empty(stamp.shape), np.empty(stamp.shape)
        for i, light in enumerate(stamp):
            noisy[i], variance[i] = light, self.variance[i]
            if self.gain[i]:
                # Interpolation may go a little below nothing, and counts cannot.
                expected = np.maximum(light + self.sky[i], 0)
                noisy[i] += poisson(expected * self.gain[i], rng) / self.gain[i] - expected
                variance[i] += expected / self.gain[i]
            noisy[i] += rng.normal(0, np.sqrt(self.variance[i]), light.shape)
        return noisy, variance


def poisson(expected: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
    """Counts; Gaussian where there are more than whole numbers have room for."""
    if expected.max(initial=0) < _MANY:
        return rng.poisson(expected).astype(np.float64)
    return expected + np.sqrt(expected) * rng.standard_normal(expected.shape)


def read_gain(gain: Any, unit: u.UnitBase) -> float:
    """Read an argument ``gain``: electrons for each unit."""
    if not isinstance(gain, u.Quantity):
        raise TypeError(f"gain={gain!r} has no unit: {gain!r} * u.electron / u.Unit('{unit}')")
    value = _numbers("gain", gain, (u.electron / unit, unit**-1), 1)
    if not (np.isfinite(value) & (value > 0)).all():
        raise ValueError(f"gain must be positive and finite, got {gain}")
    return float(value[0])


def _numbers(name: str, value: Any, units: tuple[u.UnitBase, ...], n: int) -> NDArray[np.float64]:
    """One number for each band; 0 for None."""
    if value is None:
        return np.zeros(n)
    for unit in units:
        if value.unit.is_equivalent(unit):
            values = value.to_value(unit)
            if np.shape(values) not in ((), (n,)):
                raise ValueError(f"{name} must be one number or {n}, one for each band")
            return np.broadcast_to(np.asarray(values, float), n)
    raise u.UnitConversionError(f"{name} must have a unit like {units[0]}, got {value.unit}")
