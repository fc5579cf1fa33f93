"""Power spectra of periodic maps: of one map, of two, and their correlation matrix."""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.nddata import NDData
from numpy.typing import ArrayLike, NDArray

from ._maps import read_maps, read_pixel_size
from ._shells import WAVE_NUMBER, Shells

__all__ = [
    "CrossPowerSpectrum",
    "PowerSpectrum",
    "PowerSpectrumCorrelation",
    "cross_power_spectrum",
    "power_spectrum",
    "power_spectrum_correlation",
]


@dataclass(frozen=True, eq=False)
class PowerSpectrum:
    """
    Mean power of the Fourier modes in bins of wave number.

    Parameters
    ----------
    k : `~astropy.units.Quantity`, shape (m,)
        Mean wave number of the modes in each bin, 1/Mpc; NaN without modes.
    power, error : `~astropy.units.Quantity`, shape (..., m)
        Power in each bin, in Mpc2 times the square of the unit of the maps, and
        its error as of a Gaussian field, ``power * sqrt(2 / n_modes)``.
    n_modes : `~numpy.ndarray` of int, shape (m,)
        Number of modes in each bin; k and -k, which are one in a real map, are
        two.
    edges : `~astropy.units.Quantity`, shape (m + 1,)
        Edges of the bins, 1/Mpc; the lower one belongs to its bin.
    """

    k: u.Quantity
    power: u.Quantity
    error: u.Quantity
    n_modes: NDArray[np.intp]
    edges: u.Quantity


@dataclass(frozen=True, eq=False)
class CrossPowerSpectrum(PowerSpectrum):
    """
    Mean product of the Fourier modes of two maps in bins of wave number.

    Parameters
    ----------
    k, power, error, n_modes, edges
        As of `PowerSpectrum`; the power is the real part, and the error
        ``sqrt((power**2 + power_1 * power_2) / n_modes)``.
    correlation : `~numpy.ndarray`, shape (..., m)
        ``power / sqrt(power_1 * power_2)``, from -1 to 1; between maps that have
        nothing in common it scatters by ``1 / sqrt(n_modes)``.
    """

    correlation: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PowerSpectrumCorrelation:
    """
    How the powers in two bins go together from map to map.

    Parameters
    ----------
    k : `~astropy.units.Quantity`, shape (m,)
        Mean wave number of the modes in each bin, 1/Mpc.
    correlation, error : `~numpy.ndarray`, shape (m, m)
        Pearson's coefficient and its error,
        ``(1 - correlation**2) / sqrt(n_maps - 1)``.
    n_maps : int
        Number of maps.
    """

    k: u.Quantity
    correlation: NDArray[np.float64]
    error: NDArray[np.float64]
    n_maps: int


def power_spectrum(
    maps: ArrayLike | u.Quantity | NDData,
    *,
    box_size: u.Quantity | None = None,
    pixel_size: u.Quantity | None = None,
    bins: int | u.Quantity | None = None,
) -> PowerSpectrum:
    r"""
    Power spectrum of periodic maps.

    :math:`P(k) = A \langle |F_k|^2 \rangle / N^2`, with the area :math:`A`, the
    number of pixels :math:`N` and the sum :math:`F_k` over the pixels of the map
    times :math:`e^{-i k x}`: the convention in which Poisson noise of
    :math:`\bar n` points per area has the power :math:`1 / \bar n` [1]_. The
    mean of the map (k = 0) is left out; the map is not divided by it. Neither
    is the shape of the pixel divided out, nor any noise subtracted.

    Parameters
    ----------
    maps : array_like, `~astropy.units.Quantity` or `~astropy.nddata.NDData`, shape (..., ny, nx)
        One plus the density contrast, or any real field. Maps are periodic along
        both sides. They are read one at a time: a memory map or a data set of a
        file may be larger than the memory.
    box_size : `~astropy.units.Quantity`, optional
        Side of the maps in comoving Mpc, or their sides (y, x).
    pixel_size : `~astropy.units.Quantity`, optional
        Side of a pixel instead, or its sides (y, x). Where neither is given, it is
        that of the WCS of ``maps``, whose axes must be lengths.
    bins : int or `~astropy.units.Quantity`, optional
        Number of equal bins up to the Nyquist wave number, or their edges in
        1/Mpc. By default they are as wide as the modes of the longer side are
        apart, and centred on these.

    Returns
    -------
    spectrum : PowerSpectrum
        Of each map.

    Raises
    ------
    TypeError
        If a length has no unit or is not given, ``bins`` is no number and no edges,
        or the maps are not real.
    ValueError
        If a pixel is NaN, infinite or masked, a shape or a length makes no sense,
        or edges do not increase.
    astropy.units.UnitConversionError
        If a length is not one.

    Notes
    -----
    ``powerbox.get_power`` gives the same numbers; it takes one map at a time and
    sets up the bins anew for each, therefore the transforms are SciPy's here.

    References
    ----------
    .. [1] Peacock 1999, Cosmological Physics, section 16.2.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from astrodlkit.metrics import power_spectrum
    >>> counts = np.random.default_rng(1).poisson(4, (8, 64, 64))
    >>> spectrum = power_spectrum(counts / 4, box_size=64 * u.Mpc, bins=[0.1, 1, 3] / u.Mpc)
    >>> print(spectrum.power.mean(axis=0).round(2), spectrum.n_modes)
    [0.25 0.25] Mpc2 [ 320 2616]
    """
    read = read_maps(maps)
    pixel = read_pixel_size(maps, read.shape, box_size, pixel_size)
    shells = Shells(read.shape, pixel, bins)
    powers = [shells.mean(_square(shells.modes(map_))) for map_ in read]
    power = np.reshape(powers, (*read.batch, len(shells.k))) * (read.unit**2 * u.Mpc**2)
    return PowerSpectrum(
        shells.k * WAVE_NUMBER,
        power,
        power * np.sqrt(2 / _or_nan(shells.n_modes)),
        shells.n_modes,
        shells.edges * WAVE_NUMBER,
    )


def cross_power_spectrum(
    maps: ArrayLike | u.Quantity | NDData,
    others: ArrayLike | u.Quantity | NDData,
    *,
    box_size: u.Quantity | None = None,
    pixel_size: u.Quantity | None = None,
    bins: int | u.Quantity | None = None,
) -> CrossPowerSpectrum:
    r"""
    Cross-power spectrum of periodic maps, two by two.

    As `power_spectrum`, with :math:`\mathrm{Re}(F_k G_k^*)` in place of
    :math:`|F_k|^2`.

    Parameters
    ----------
    maps, others : array_like, `~astropy.units.Quantity` or `~astropy.nddata.NDData`
        Maps as of `power_spectrum`, with the same ``(ny, nx)``; what stands before
        is broadcast, so that ``maps[:, None]`` and ``maps`` give all pairs.
    box_size, pixel_size, bins
        As of `power_spectrum`; a WCS is that of ``maps``.

    Returns
    -------
    spectrum : CrossPowerSpectrum
        Of each pair.

    Raises
    ------
    TypeError, ValueError, astropy.units.UnitConversionError
        As from `power_spectrum`, and if the shapes do not go together.

    Examples
    --------
    A shift of the map turns the phases, the faster the smaller the waves are.

    >>> import numpy as np
    >>> from astropy import units as u
    >>> from astrodlkit.metrics import cross_power_spectrum
    >>> map_ = np.random.default_rng(1).normal(size=(64, 64))
    >>> shifted = np.roll(map_, 1, axis=1)
    >>> spectrum = cross_power_spectrum(map_, shifted, pixel_size=1 * u.Mpc, bins=4)
    >>> print(spectrum.correlation.round(1))
    [ 0.9  0.6  0.2 -0.2]
    """
    read = read_maps(maps), read_maps(others, "others")
    if read[0].shape != read[1].shape:
        raise ValueError(
            f"maps and others must have one shape (ny, nx), got {read[0].shape} and {read[1].shape}"
        )
    pixel = read_pixel_size(maps, read[0].shape, box_size, pixel_size)
    shells = Shells(read[0].shape, pixel, bins)
    try:
        batch = np.broadcast_shapes(read[0].batch, read[1].batch)
    except ValueError as exc:
        raise ValueError(
            f"maps and others must broadcast, got {read[0].batch} and {read[1].batch} maps"
        ) from exc
    powers = []
    for index in np.ndindex(batch):
        modes, other = (shells.modes(each[_own(index, each.batch)]) for each in read)
        product = modes.real * other.real + modes.imag * other.imag
        powers.append([shells.mean(each) for each in (product, _square(modes), _square(other))])
    table = np.reshape(powers, (*batch, 3, len(shells.k)))
    power, both = table[..., 0, :], table[..., 1, :] * table[..., 2, :]
    unit = read[0].unit * read[1].unit * u.Mpc**2
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN where a map has no power
        correlation = power / np.sqrt(both)
    return CrossPowerSpectrum(
        shells.k * WAVE_NUMBER,
        power * unit,
        np.sqrt((power**2 + both) / _or_nan(shells.n_modes)) * unit,
        shells.n_modes,
        shells.edges * WAVE_NUMBER,
        correlation,
    )


def power_spectrum_correlation(
    maps: ArrayLike | u.Quantity | NDData,
    *,
    box_size: u.Quantity | None = None,
    pixel_size: u.Quantity | None = None,
    bins: int | u.Quantity | None = None,
) -> PowerSpectrumCorrelation:
    """
    Correlation matrix of the power spectrum over maps [1]_.

    Parameters
    ----------
    maps, box_size, pixel_size, bins
        As of `power_spectrum`; three maps or more.

    Returns
    -------
    correlation : PowerSpectrumCorrelation
        The unit matrix within its errors for Gaussian fields; gravity couples
        the small scales.

    Raises
    ------
    TypeError, ValueError, astropy.units.UnitConversionError
        As from `power_spectrum`, and if there are fewer than three maps or the
        power of a bin is the same in all of them.

    References
    ----------
    .. [1] Rodriguez et al. 2018, Computational Astrophysics and Cosmology 5, 4,
       section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from astrodlkit.metrics import power_spectrum_correlation
    >>> maps = np.random.default_rng(1).normal(size=(50, 32, 32))
    >>> maps *= np.linspace(1, 2, 50)[:, np.newaxis, np.newaxis]
    >>> matrix = power_spectrum_correlation(maps, box_size=100 * u.Mpc, bins=2)
    >>> print(matrix.correlation.round(1))
    [[1.  0.9]
     [0.9 1. ]]
    """
    spectrum = power_spectrum(maps, box_size=box_size, pixel_size=pixel_size, bins=bins)
    power = spectrum.power.value.reshape(-1, len(spectrum.k))
    n_maps = len(power)
    if n_maps < 3:
        raise ValueError(f"maps must be three or more for a correlation over them, got {n_maps}")
    still = np.flatnonzero(~(np.ptp(power, axis=0) > 0))
    if len(still):
        raise ValueError(f"the power does not vary over the maps in the bins {still.tolist()}")
    correlation = np.atleast_2d(np.corrcoef(power, rowvar=False))
    error = (1 - correlation**2) / np.sqrt(n_maps - 1)
    return PowerSpectrumCorrelation(spectrum.k, correlation, error, n_maps)


def _square(modes: NDArray[np.complex128]) -> NDArray[np.float64]:
    return modes.real**2 + modes.imag**2


def _own(index: tuple[int, ...], batch: tuple[int, ...]) -> tuple[int, ...]:
    """Tell the index in a batch from that in the batch to which it is broadcast."""
    index = index[len(index) - len(batch) :]
    return tuple(i if n > 1 else 0 for i, n in zip(index, batch, strict=True))


def _or_nan(n: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.where(n > 0, n, np.nan)
