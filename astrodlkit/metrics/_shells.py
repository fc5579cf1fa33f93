"""Fourier modes of a periodic map, in shells of wave number."""

from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import NDArray
from scipy import fft

from ._values import read_bins

__all__ = ["WAVE_NUMBER", "Shells"]

WAVE_NUMBER = u.Mpc**-1


class Shells:
    """
    Shells of the Fourier plane of real maps, as `scipy.fft.rfft2` lays it out.

    Parameters
    ----------
    shape : (int, int)
        Pixels (ny, nx) of a map.
    pixel_size : (float, float)
        Height and width of a pixel in Mpc.
    bins : None, int or `~astropy.units.Quantity`
        As of `power_spectrum`.

    Attributes
    ----------
    area : float
        Of a map, Mpc2.
    nyquist : float
        Wave number, per Mpc, of the side along which it is lower.
    edges : `~numpy.ndarray`, shape (m + 1,)
        Of the shells, per Mpc.
    k : `~numpy.ndarray`, shape (m,)
        Mean wave number of the modes, per Mpc; NaN without modes.
    n_modes : `~numpy.ndarray` of int, shape (m,)
        Modes in each shell; k and -k are two.
    index : `~numpy.ndarray` of int, shape (ny, nx // 2 + 1)
        Shell of each mode; m for the modes in none.
    """

    def __init__(self, shape: tuple[int, int], pixel_size: tuple[float, float], bins: Any) -> None:
        (ny, nx), (dy, dx) = shape, pixel_size
        ky, kx = fft.fftfreq(ny, dy / (2 * np.pi)), fft.rfftfreq(nx, dx / (2 * np.pi))
        k = np.hypot(ky[:, np.newaxis], kx)
        self.nyquist = np.pi / max(dy, dx)
        self.area = ny * dy * nx * dx
        self.edges = self._read_bins(bins, min(ky[1], kx[1]))
        m = len(self.edges) - 1
        self.index = np.searchsorted(self.edges, k, side="right") - 1
        self.index[self.index < 0] = m
        self.index[0, 0] = m  # the mean is no fluctuation
        # The half plane that rfft2 leaves out is the complex conjugate of most of the other.
        self._weight = np.where((np.arange(len(kx)) == 0) | (2 * np.arange(len(kx)) == nx), 1, 2)
        self.n_modes = self._sum(np.ones_like(k)).astype(np.intp)
        self.k = self.mean(k)

    def _read_bins(self, bins: Any, fundamental: float) -> NDArray[np.float64]:
        if bins is None:
            return fundamental * np.arange(0.5, self.nyquist / fundamental + 1e-9)
        edges = read_bins(bins, WAVE_NUMBER)
        if isinstance(edges, int):
            return np.linspace(fundamental / 2, self.nyquist, edges + 1)
        if edges[0] < 0:
            raise ValueError(f"bins must not be negative, got {bins}")
        return edges

    def _sum(self, plane: NDArray[np.float64]) -> NDArray[np.float64]:
        weights = (plane * self._weight).ravel()
        total = np.bincount(self.index.ravel(), weights, minlength=len(self.edges))
        return np.asarray(total[:-1], dtype=np.float64)

    def modes(self, map_: NDArray[np.float64]) -> NDArray[np.complex128]:
        """
        Fourier modes of a map.

        Parameters
        ----------
        map_ : `~numpy.ndarray`, shape (ny, nx)
            The map.

        Returns
        -------
        modes : `~numpy.ndarray` of complex, shape (ny, nx // 2 + 1)
            Their mean square is the power in Mpc2.
        """
        modes: NDArray[np.complex128] = fft.rfft2(map_, norm="forward")
        return modes * np.sqrt(self.area)

    def mean(self, plane: NDArray[np.float64]) -> NDArray[np.float64]:
        """
        Average over the modes of each shell.

        Parameters
        ----------
        plane : `~numpy.ndarray`, shape (ny, nx // 2 + 1)
            Of something that is equal at k and -k.

        Returns
        -------
        mean : `~numpy.ndarray`, shape (m,)
            NaN without modes.
        """
        total = self._sum(plane)
        return np.divide(
            total, self.n_modes, out=np.full_like(total, np.nan), where=self.n_modes > 0
        )
