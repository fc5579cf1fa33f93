"""Pictures of stamps."""

import numpy as np
import pytest

from astrodlkit import Cutouts
from astrodlkit.galaxies import plot_cutouts


@pytest.mark.parametrize("part", [0.01, 0.05, 0.5, 1.0])
def test_stretch_is_linear_up_to_a_twentieth_of_white(part):
    light = np.full((1, 1, 40, 40), 7.0)
    light[..., 20:] *= part
    (axes,) = plot_cutouts(Cutouts(light)).axes
    picture = np.asarray(axes.images[0].get_array())
    assert picture[:, :20] == pytest.approx(1, abs=1 / 255)
    # In steps of 8 bits.
    assert picture[:, 20:] == pytest.approx(np.arcsinh(20 * part) / np.arcsinh(20), abs=1 / 255)


def test_colours_are_those_of_the_light():
    light = np.ones((1, 3, 8, 8)) * np.array([1, 2, 3])[:, None, None]
    light[..., 4:] *= 0.02
    (axes,) = plot_cutouts(Cutouts(light, bands=("g", "r", "i"))).axes
    picture = np.asarray(axes.images[0].get_array())
    assert picture[0, 7, ::-1] / picture[0, 7, 1] == pytest.approx([0.5, 1, 1.5], rel=0.05)
