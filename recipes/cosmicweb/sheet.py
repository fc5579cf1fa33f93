"""Densities from particles that are stretched as their neighbours moved, and their spectra."""

import numba
import numpy as np


@numba.njit(cache=True)
def _stretch(position: np.ndarray, side: int, first: int, slope: np.ndarray) -> None:
    """How a particle's position changes along each axis of the starting lattice, per spacing."""
    at = (first // side**2, first // side % side, first % side)
    for axis, stride in enumerate((side**2, side, 1)):
        here = first - at[axis] * stride
        ahead, behind = here + (at[axis] + 1) % side * stride, here + (at[axis] - 1) % side * stride
        order = True
        for x in range(3):
            # To the copies of the neighbours that are nearest.
            up, down = (
                position[ahead, x] - position[first, x],
                position[first, x] - position[behind, x],
            )
            up, down = up - np.rint(up), down - np.rint(down)
            slope[axis, x] = (up + down) / 2
            if x == axis:
                order = up > 0 and down > 0
        if not order:
            slope[axis] = 0


@numba.njit(cache=True)
def _fill(position: np.ndarray, side: int, per_cell: int, grid: np.ndarray) -> None:
    n = len(grid)
    slope, low, high = np.empty((3, 3)), np.empty(3, np.int64), np.empty(3)
    points = np.empty(3, np.int64)
    for first in range(side**3):
        _stretch(position, side, first, slope)
        for axis in range(3):
            longest = max(abs(slope[axis, 0]), abs(slope[axis, 1]), abs(slope[axis, 2]))
            points[axis] = max(1, int(np.ceil(per_cell * n * longest)))
        share = np.float32(1 / (points[0] * points[1] * points[2]))
        for p, q, r in np.ndindex(points[0], points[1], points[2]):
            a, b, c = (
                (p + 0.5) / points[0] - 0.5,
                (q + 0.5) / points[1] - 0.5,
                (r + 0.5) / points[2] - 0.5,
            )
            for x in range(3):
                at = position[first, x] + a * slope[0, x] + b * slope[1, x] + c * slope[2, x]
                at = at * n - 0.5
                low[x] = int(np.floor(at))
                high[x] = at - low[x]
            for corner in range(8):
                i, j, k = corner // 4, corner // 2 % 2, corner % 2
                weight = (
                    (high[0] if i else 1 - high[0])
                    * (high[1] if j else 1 - high[1])
                    * (high[2] if k else 1 - high[2])
                )
                grid[(low[0] + i) % n, (low[1] + j) % n, (low[2] + k) % n] += share * weight


def density(position: np.ndarray, cells: int, per_cell: int) -> np.ndarray:
    """
    The density in units of its mean.

    A particle stands for a cube of the starting lattice, filled with points. The cube is stretched
    to its six neighbours, but not along axes of the lattice on which a neighbour has come past
    it: in a void it fills its share of the void, in a wall or a filament of that, and in a halo
    it stays a particle. The points are assigned to the cells as clouds (CIC), whose window is
    left in.

    Parameters
    ----------
    position : `~numpy.ndarray`, (side**3, 3)
        Positions of the particles in units of the box, in the order of the starting lattice.
    cells : int
        Cells along a side.
    per_cell : int
        Points along a side of each cube for a cell that it covers; with 0 one point, the particle.

    Returns
    -------
    `~numpy.ndarray`, (cells, cells, cells)
        float32.
    """
    grid = np.zeros((cells, cells, cells), np.float32)
    _fill(position, round(len(position) ** (1 / 3)), per_cell, grid)
    return grid / grid.mean(dtype=float)


def power_spectrum(density: np.ndarray, box_size: float) -> tuple[np.ndarray, ...]:
    """
    The spectrum of a CIC density, its window divided out, in shells one fundamental mode wide.

    Parameters
    ----------
    density : `~numpy.ndarray`, (cells, cells, cells)
        In units of its mean.
    box_size : float
        Mpc.

    Returns
    -------
    k, power, modes : `~numpy.ndarray`
        Mean wave number (1/Mpc), power (Mpc^3) and number of modes, up to the Nyquist frequency.
    """
    n = len(density)
    whole, half = np.fft.fftfreq(n, 1 / n), np.arange(n // 2 + 1.0)
    amplitude = np.fft.rfftn(density)
    for axis, mode in enumerate((whole, whole, half)):
        window = np.sinc(mode / n) ** 2
        amplitude /= np.expand_dims(window, [a for a in range(3) if a != axis])
    k = np.sqrt(whole[:, None, None] ** 2 + whole[:, None] ** 2 + half**2)
    shell = np.rint(k).astype(int).ravel()
    # Modes with -k are not stored, but for the two planes that are their own mirror image.
    twice = np.broadcast_to(np.where((half == 0) | (half == n // 2), 1.0, 2.0), k.shape).ravel()
    count = np.bincount(shell, twice)
    mean_k = np.bincount(shell, twice * k.ravel()) / count
    mean_power = np.bincount(shell, twice * np.abs(amplitude.ravel()) ** 2) / count
    keep = slice(1, n // 2 + 1)
    return (
        2 * np.pi / box_size * mean_k[keep],
        mean_power[keep] * box_size**3 / n**6,
        count[keep],
    )
