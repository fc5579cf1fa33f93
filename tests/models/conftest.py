"""The same drawn galaxies for every model."""

from collections.abc import Callable

import numpy as np
import pytest
from astropy.modeling.models import Sersic2D

SIDE = 80


@pytest.fixture(scope="session")
def draw() -> Callable[[int], np.ndarray]:
    """The function that draws n galaxies."""
    return draw_galaxies


def draw_galaxies(n: int) -> np.ndarray:
    """Pictures of Sersic galaxies, round to thin, red to blue; shape (n, 3, 80, 80), uint8."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    pictures = []
    for i in range(n):
        galaxy = Sersic2D(
            amplitude=0.2,
            r_eff=8 + i % 4,
            n=1 + i % 3,
            ellip=0.85 * i / max(n - 1, 1),
            theta=0.5 * i,
        )
        colour = np.array([1.2 - 0.05 * i, 1.0, 0.6 + 0.05 * i])[:, None, None]
        pictures.append(np.clip(255 * colour * galaxy(x, y) + 6, 0, 255))
    return np.array(pictures).astype(np.uint8)
