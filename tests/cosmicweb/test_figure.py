"""Pictures of maps."""

import numpy as np
import pytest
from astropy.nddata import NDDataArray
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from astrodlkit.cosmicweb import plot_density_maps


def panels(figure):
    return [axes for axes in figure.axes if axes.images]


@pytest.mark.parametrize(("n", "shape"), [(1, (32, 32)), (6, (16, 32)), (5, (32, 16))])
def test_every_map_is_there_and_none_hides_another(plain, n, shape):
    maps = plain.sample(n, shape=shape, rng=1)
    figure = plot_density_maps(maps, n_columns=3)
    shown = panels(figure)
    assert len(shown) == n
    width, height = figure.get_size_inches()
    for axes, values in zip(shown, maps.data, strict=True):
        assert_allclose(axes.images[0].get_array(), np.log10(values), rtol=1e-5)
        box = axes.get_position()
        assert_allclose(box.height * height / (box.width * width), shape[0] / shape[1], rtol=1e-6)
    boxes = [axes.get_position() for axes in figure.axes]
    for i, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= 1
        assert 0 <= box.y0 < box.y1 <= 1
        assert not any(box.overlaps(other) for other in boxes[:i])
    assert figure.texts[0].get_text().startswith("Planck18, σ8 = 0.81, z = 0\n")


def test_given_figure_and_wrong_arguments(plain):
    maps = plain.sample(1, shape=(16, 16), unit="Msun / Mpc2")
    figure = Figure()
    assert plot_density_maps(maps, figure=figure) is figure
    with pytest.raises(ValueError, match="n_columns must be positive, got 0"):
        plot_density_maps(maps, n_columns=0)
    for wrong in (1.5, "a", True, None):
        with pytest.raises(TypeError, match=f"n_columns must be a whole number, got {wrong!r}"):
            plot_density_maps(maps, n_columns=wrong)
    for wrong in (maps.data, maps.data * maps.unit, NDDataArray(maps.data)):
        with pytest.raises(TypeError, match=r"an NDData with a WCS, .* got one without: "):
            plot_density_maps(wrong)
    with pytest.raises(ValueError, match=r"maps must have the shape \(n, ny, nx\) with n > 0"):
        plot_density_maps(plain.sample(0, shape=(16, 16)))


def test_a_slice_is_one_map(plain):
    maps = plain.sample(2, shape=(16, 32), rng=1)
    figure, whole = plot_density_maps(maps[1]), plot_density_maps(maps[1:])
    (panel,), (wanted,) = panels(figure), panels(whole)
    assert_allclose(panel.images[0].get_array(), wanted.images[0].get_array())
    assert_allclose(panel.get_position().bounds, wanted.get_position().bounds)
    assert figure.texts[0].get_text() == whole.texts[0].get_text()
