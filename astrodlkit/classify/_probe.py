"""Pictures of simple galaxies on which two precisions are compared, and how."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..specs import Head, InputSpec, OutputSpec
from ..specs._calibration import LEVELS

__all__ = ["PLAIN_ERROR", "difference_in_errors", "probe_images"]

PLAIN_ERROR = 0.1
"""Error of a fraction or probability of which none is known: that of a share of 25 answers."""


def probe_images(spec: InputSpec, n: int = 64) -> np.ndarray:
    """
    Exponential discs and de Vaucouleurs spheroids, alone and together, with noise.

    They are the same in every run, so the precision that is chosen on them
    does not depend on the user's rows.

    Parameters
    ----------
    spec : InputSpec
        What the network takes.
    n : int
        Number of pictures.

    Returns
    -------
    images : `~numpy.ndarray` of float32, shape (n, 3, *spec.shape)
        Standardised as for the network.
    """
    rng = np.random.default_rng(0)
    ny, nx = spec.shape
    y, x = np.mgrid[-1 : 1 : ny * 1j, -1 : 1 : nx * 1j]

    def profile(index: float) -> np.ndarray:
        angle, ratio, size = np.pi * rng.random(n), rng.uniform(0.2, 1, n), rng.uniform(0.1, 0.4, n)
        cos, sin = (f(angle)[:, None, None] for f in (np.cos, np.sin))
        radius = np.hypot(x * cos + y * sin, (y * cos - x * sin) / ratio[:, None, None])
        return np.exp(-((radius / size[:, None, None] * 2) ** (1 / index)))

    weight = rng.random((n, 1, 1))
    light = weight * profile(1) + (1 - weight) * profile(4)
    colour = rng.uniform(0.3, 1, (n, 3, 1, 1))
    pictures = light[:, None] * colour + rng.normal(0.05, 0.02, (n, 3, ny, nx))
    return spec.standardise(np.clip(pictures, 0, 1).astype(np.float32))


def difference_in_errors(
    full: Mapping[str, NDArray], other: Mapping[str, NDArray], output: OutputSpec
) -> float:
    """
    How far two answers to the same images are from each other.

    Parameters
    ----------
    full : dict of `~numpy.ndarray`
        For each head its numbers, n along the first axis.
    other : dict of `~numpy.ndarray`
        The same numbers, computed in another way.
    output : OutputSpec
        What the numbers mean, and how uncertain they are.

    Returns
    -------
    difference : float
        Root mean square over a head's numbers, divided by that of their
        errors, for the head where it is largest. The error of a fraction is
        half its 68 % interval, where there is a calibration, and that of a
        number is what the network says; else it is `PLAIN_ERROR`.
    """
    ratios = [0.0]
    for head in output.heads:
        change, error = _change_and_error(full[head.name], other[head.name], head)
        ratios.append(float(_root_mean_square(change) / _root_mean_square(error)))
    return float(np.max(ratios))  # not max(), which may pass a NaN over


def _change_and_error(full: NDArray, other: NDArray, head: Head) -> tuple[NDArray, NDArray]:
    if head.kind == "numbers":
        # Labels may have different units.
        return (other - full)[..., 0] / full[..., 1], np.ones(1)
    error = np.full(1, PLAIN_ERROR)
    if head.kind == "fractions" and head.calibration is not None:
        widths = [head.calibration.half_widths(v, LEVELS[0], i) for i, v in enumerate(full.T)]
        error = np.array(widths)
    return other - full, error


def _root_mean_square(values: NDArray) -> float:
    return np.sqrt(np.mean(np.square(values)))
