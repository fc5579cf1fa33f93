"""Bispectrum of periodic maps."""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
from astropy import units as u
from astropy.nddata import NDData
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from ._maps import read_maps, read_pixel_size
from ._shells import WAVE_NUMBER, Shells
from ._values import in_unit

__all__ = ["Bispectrum", "bispectrum"]


@dataclass(frozen=True, eq=False)
class Bispectrum:
    """
    Mean product of three Fourier modes that form a triangle.

    Parameters
    ----------
    k : `~astropy.units.Quantity`, shape (t, 3)
        Mean wave number in the bin of each side, 1/Mpc.
    bispectrum, error : `~astropy.units.Quantity`, shape (..., t)
        In Mpc4 times the cube of the unit of the maps, and its error as of a
        Gaussian field with the power of the map.
    n_triangles : `~numpy.ndarray` of int, shape (t,)
        Number of closed triples of modes; a triangle and its mirror image through
        the origin are two, and so are two orders of sides in the same bin.
    triangles : `~numpy.ndarray` of int, shape (t, 3)
        Bin of each side.
    edges : `~astropy.units.Quantity`, shape (m + 1,)
        Edges of the bins, 1/Mpc.
    """

    k: u.Quantity
    bispectrum: u.Quantity
    error: u.Quantity
    n_triangles: NDArray[np.int64]
    triangles: NDArray[np.intp]
    edges: u.Quantity


def bispectrum(
    maps: ArrayLike | u.Quantity | NDData,
    *,
    triangles: Literal["equilateral", "squeezed", "all"] | ArrayLike | u.Quantity = "equilateral",
    box_size: u.Quantity | None = None,
    pixel_size: u.Quantity | None = None,
    bins: int | u.Quantity | None = None,
) -> Bispectrum:
    r"""
    Bispectrum of periodic maps, by Fourier transforms [1]_ [2]_.

    :math:`B(k_1, k_2, k_3) = A^2 \langle F_{k_1} F_{k_2} F_{k_3} \rangle / N^3`
    over all the modes of the three bins with :math:`k_1 + k_2 + k_3 = 0`, with
    area, number of pixels and sums as of `power_spectrum`: Poisson noise has the
    bispectrum :math:`1 / \bar n^2`. The error is
    :math:`\sqrt{s A P_1 P_2 P_3 / n}` for n triangles, with s = 6 where the three
    sides are of one bin, 2 where two are, else 1.

    Parameters
    ----------
    maps : array_like, `~astropy.units.Quantity` or `~astropy.nddata.NDData`, shape (..., ny, nx)
        As of `power_spectrum`, periodic, and read one at a time.
    triangles : str, array_like of int or `~astropy.units.Quantity`, shape (t, 3)
        ``"equilateral"``: three sides of one bin; ``"squeezed"``: one of the first
        bin, two of another; ``"all"``: whatever closes, which takes the memory of
        as many maps as there are bins. Or the bin of each side, by number, or by
        a wave number in it.
    box_size, pixel_size, bins
        As of `power_spectrum`.

    Returns
    -------
    bispectrum : Bispectrum
        Of each map. Named triangles are those that do not alias: the upper edges
        of their sides are in sum at most twice the Nyquist wave number.

    Raises
    ------
    TypeError, ValueError, astropy.units.UnitConversionError
        As from `power_spectrum`, and if a triangle does not close, aliases, or
        names no bin.

    References
    ----------
    .. [1] Scoccimarro 2000, ApJ 544, 597 (estimator and its error).
    .. [2] Scoccimarro 2015, Physical Review D 92, 083532 (by Fourier transforms).

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from astrodlkit.metrics import bispectrum
    >>> counts = np.random.default_rng(1).poisson(0.5, (4, 64, 64))
    >>> shot = bispectrum(counts / 0.5, box_size=64 * u.Mpc, bins=[1, 2] / u.Mpc)
    >>> print(shot.bispectrum.mean(axis=0).round(1))
    [4.1] Mpc4
    """
    read = read_maps(maps)
    pixel = read_pixel_size(maps, read.shape, box_size, pixel_size)
    shells = Shells(read.shape, pixel, bins)
    sides = _read_triangles(triangles, shells)
    ones = np.ones((read.shape[0], read.shape[1] // 2 + 1), dtype=complex)
    n_triangles = np.rint(_close(ones, sides, shells, read.shape)).astype(np.int64)
    if isinstance(triangles, str):
        sides, n_triangles = sides[n_triangles > 0], n_triangles[n_triangles > 0]
    elif (n_triangles == 0).any():
        raise ValueError(
            f"triangles {sides[n_triangles == 0].tolist()} close for no modes of these bins"
        )
    repeats = np.array([{1: 6, 2: 2, 3: 1}[len(set(side))] for side in sides.tolist()])
    values, errors = [], []
    for map_ in read:
        modes = shells.modes(map_)
        power = shells.mean(modes.real**2 + modes.imag**2)
        values.append(np.sqrt(shells.area) * _close(modes, sides, shells, read.shape) / n_triangles)
        errors.append(np.sqrt(repeats * shells.area * power[sides].prod(axis=1) / n_triangles))
    unit = read.unit**3 * u.Mpc**4
    shape = (*read.batch, len(sides))
    return Bispectrum(
        shells.k[sides] * WAVE_NUMBER,
        np.reshape(values, shape) * unit,
        np.reshape(errors, shape) * unit,
        n_triangles,
        sides,
        shells.edges * WAVE_NUMBER,
    )


def _read_triangles(triangles: str | ArrayLike | u.Quantity, shells: Shells) -> NDArray[np.intp]:
    """Read the bins of the sides, shape (t, 3)."""
    lower, upper = shells.edges[:-1], shells.edges[1:]
    if isinstance(triangles, str):
        filled = np.flatnonzero(shells.n_modes).tolist()
        named = {
            "equilateral": lambda: [(i, i, i) for i in filled],
            "squeezed": lambda: [(filled[0], i, i) for i in filled[1:]],
            "all": lambda: list(combinations_with_replacement(filled, 3)),
        }
        if triangles not in named:
            raise ValueError(
                f"triangles must be one of {list(named)} or an array (t, 3), got {triangles!r}"
            )
        sides = np.array(named[triangles](), dtype=np.intp).reshape(-1, 3)
        closes = lower[sides[:, 2]] < upper[sides[:, 0]] + upper[sides[:, 1]]
        return sides[closes & ~_alias(sides, shells)]
    if isinstance(triangles, u.Quantity):
        k = in_unit(triangles, WAVE_NUMBER, "triangles")
        sides = np.asarray(np.searchsorted(shells.edges, k, side="right") - 1)
    else:
        sides = np.asarray(triangles)
    if sides.ndim != 2 or sides.shape[1] != 3 or sides.dtype.kind not in "iu":
        raise ValueError(
            f"triangles must be wave numbers or numbers of bins, shape (t, 3), got {triangles!r}"
        )
    outside = ((sides < 0) | (sides >= len(lower))).any(axis=1)
    if outside.any():
        raise ValueError(
            f"triangles must lie in the {len(lower)} bins, got {sides[outside].tolist()}"
        )
    aliased = _alias(sides, shells)
    if aliased.any():
        raise ValueError(
            f"triangles {sides[aliased].tolist()} alias: the upper edges of the bins of a triangle "
            f"must be in sum at most {2 * shells.nyquist:.4g} / Mpc, twice the Nyquist wave number"
        )
    return sides


def _alias(sides: NDArray[np.intp], shells: Shells) -> NDArray[np.bool_]:
    """Tell where three modes may add up to the sampling wave number in place of 0."""
    return shells.edges[1:][sides].sum(axis=1) > 2 * shells.nyquist * (1 + 1e-9)


def _close(
    modes: NDArray[np.complex128],
    sides: NDArray[np.intp],
    shells: Shells,
    shape: tuple[int, int],
) -> NDArray[np.float64]:
    """Sum the product of three modes over all triples that close."""
    last = {shell: t for t, side in enumerate(sides.tolist()) for shell in side}
    fields: dict[int, NDArray[np.float64]] = {}
    total = np.empty(len(sides))
    for t, side in enumerate(sides.tolist()):
        for shell in set(side) - set(fields):
            within = np.where(shells.index == shell, modes, 0)
            fields[shell] = fft.irfft2(within, s=shape, norm="forward")
        first, second, third = (fields[shell] for shell in side)
        total[t] = np.mean(first * second * third)
        for shell in set(side):
            if last[shell] == t:
                del fields[shell]
    return total
