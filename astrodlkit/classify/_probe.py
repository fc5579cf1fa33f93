"""Pictures of simple galaxies on which two precisions are compared."""

import numpy as np

from ..specs import InputSpec

__all__ = ["probe_images"]


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
