"""Maps whose statistics are known."""

import numpy as np
import pytest
from scipy import fft


@pytest.fixture
def gaussian_maps():
    """Draw Gaussian maps that have a given P(k), in Mpc2, exactly on the average."""

    def draw(power, n, shape, pixel=(1.0, 1.0), seed=1):
        (ny, nx), (dy, dx) = shape, pixel
        k = np.hypot(
            2 * np.pi * fft.fftfreq(ny, dy)[:, np.newaxis], 2 * np.pi * fft.rfftfreq(nx, dx)
        )
        k[0, 0] = np.inf
        white = np.random.default_rng(seed).normal(size=(n, *shape))
        return fft.irfft2(fft.rfft2(white) * np.sqrt(power(k) / (dy * dx)), s=shape)

    return draw
