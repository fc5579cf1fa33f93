"""Bispectra: sums over all triangles, Poisson noise, a quadratic field, Gaussian errors."""

from itertools import product

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given, settings
from hypothesis import strategies as st

from astrodlkit.metrics import bispectrum, power_spectrum

PIXEL = 1 * u.Mpc


def test_sum_over_all_triangles():
    """The definition, mode by mode, on a map that is neither square nor even."""
    ny, nx, dy, dx = 11, 8, 1.5, 2.0
    map_ = np.random.default_rng(5).lognormal(size=(ny, nx))
    edges = np.array([0.2, 0.6, 1.1])
    found = bispectrum(
        map_,
        triangles=[(0, 0, 0), (0, 0, 1), (1, 0, 1)],
        pixel_size=[dy, dx] * u.Mpc,
        bins=edges / u.Mpc,
    )
    whole_y, whole_x = np.fft.fftfreq(ny, 1 / ny), np.fft.fftfreq(nx, 1 / nx)
    modes = np.fft.fft2(map_)
    shells = [[], []]
    for i, j in product(range(ny), range(nx)):
        k = 2 * np.pi * np.hypot(whole_y[i] / (ny * dy), whole_x[j] / (nx * dx))
        for shell, low, high in zip(shells, edges[:-1], edges[1:], strict=True):
            if low <= k < high:
                shell.append((whole_y[i], whole_x[j], modes[i, j]))
    area = ny * dy * nx * dx
    for t, (one, two, three) in enumerate(found.triangles):
        products = [
            first[2] * second[2] * third[2]
            for first, second, third in product(shells[one], shells[two], shells[three])
            if first[0] + second[0] + third[0] == 0 == first[1] + second[1] + third[1]
        ]
        assert found.n_triangles[t] == len(products)
        expected = area**2 * np.mean(products) / map_.size**3
        assert found.bispectrum[t].to_value(u.Mpc**4) == pytest.approx(expected.real)
        assert expected.imag == pytest.approx(0, abs=1e-9 * abs(expected))


def test_shot_noise():
    density = 0.4
    counts = np.random.default_rng(2).poisson(density, (40, 40, 40))
    found = bispectrum(
        counts / density, triangles="all", pixel_size=PIXEL, bins=[0.3, 0.9, 1.4, 2] / u.Mpc
    )
    mean, error = found.bispectrum.value.mean(axis=0), found.bispectrum.value.std(axis=0)
    assert (np.abs(mean - density**-2) < 4 * error / np.sqrt(40)).all()
    assert (error / np.sqrt(40) < 0.2 * density**-2).any()


def test_quadratic_field_at_tree_level(gaussian_maps):
    """G + b / 2 (G2 - <G2>) has B = b (P1 P2 + P2 P3 + P3 P1), and more of b cubed."""
    b = 1.0
    gaussian = gaussian_maps(lambda k: 0.1 / (1 + k**2), 150, (40, 40))
    maps = gaussian + b / 2 * gaussian**2
    edges = [0.3, 0.9, 1.4, 2] / u.Mpc
    found = bispectrum(maps, triangles="all", pixel_size=PIXEL, bins=edges)
    power = power_spectrum(gaussian, pixel_size=PIXEL, bins=edges).power.value.mean(axis=0)
    p1, p2, p3 = power[found.triangles].T
    tree = b * (p1 * p2 + p2 * p3 + p3 * p1)
    mean = found.bispectrum.value.mean(axis=0)
    error = found.bispectrum.value.std(axis=0) / np.sqrt(150)
    assert (np.abs(mean - tree) < 4 * error + 0.1 * tree).all()
    assert (error < 0.1 * tree).any()


def test_errors_of_gaussian_fields(gaussian_maps):
    maps = gaussian_maps(lambda k: 1 / k, 200, (32, 32))
    found = bispectrum(maps, triangles="all", pixel_size=PIXEL, bins=[0.3, 0.7, 1.2, 2] / u.Mpc)
    off = (found.bispectrum / found.error).value
    assert {len(set(triangle)) for triangle in found.triangles.tolist()} == {1, 2, 3}
    assert (np.abs(off.mean(axis=0)) < 4 * off.std(axis=0) / np.sqrt(200)).all()
    np.testing.assert_allclose(off.std(axis=0), 1, atol=0.25)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), factor=st.floats(-3, 3), by=st.integers(0, 11))
def test_scaling_and_shifts(seed, factor, by):
    map_ = np.random.default_rng(seed).lognormal(size=(12, 10))
    expected = bispectrum(map_, pixel_size=PIXEL).bispectrum * factor**3
    found = bispectrum(7 + factor * np.roll(map_, by, axis=0), pixel_size=PIXEL).bispectrum
    assert u.allclose(found, expected, atol=1e-9 * u.Mpc**4)


def test_names_of_triangles():
    map_ = np.random.default_rng(1).normal(size=(24, 24)) * u.K
    found = {
        name: bispectrum(map_, triangles=name, pixel_size=PIXEL)
        for name in ("equilateral", "squeezed", "all")
    }
    assert found["equilateral"].triangles.tolist() == [[i, i, i] for i in range(7)]
    assert found["squeezed"].triangles.tolist() == [[0, i, i] for i in range(1, 10)]
    assert found["all"].bispectrum.unit == u.K**3 * u.Mpc**4
    by_triangle = dict(
        zip(map(tuple, found["all"].triangles.tolist()), found["all"].bispectrum, strict=True)
    )
    for name in ("equilateral", "squeezed"):
        for triangle, value in zip(found[name].triangles, found[name].bispectrum, strict=True):
            assert u.isclose(by_triangle[tuple(triangle.tolist())], value)
    assert (found["all"].n_triangles > 0).all()
    chosen = bispectrum(map_, triangles=found["squeezed"].k, pixel_size=PIXEL)
    assert (chosen.triangles == found["squeezed"].triangles).all()


@pytest.mark.parametrize(
    ("triangles", "error", "message"),
    [
        ("isosceles", ValueError, "must be one of"),
        ([(0, 0)], ValueError, r"shape \(t, 3\)"),
        ([(0.1, 0.1, 0.1)], ValueError, "wave numbers or numbers"),
        ([(0, 0, 20)], ValueError, "must lie in the 11 bins"),
        ([(9, 9, 9)], ValueError, "alias"),
        ([(0, 0, 8)], ValueError, "close for no modes"),
        ([(0.1, 0.1, 0.1)] * u.Mpc, u.UnitConversionError, "triangles must be in"),
    ],
)
def test_what_makes_no_sense(triangles, error, message):
    with pytest.raises(error, match=message):
        bispectrum(np.ones((24, 24)), triangles=triangles, pixel_size=PIXEL)
