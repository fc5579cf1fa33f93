"""Power spectra: fields of known power, Poisson noise, shifted copies."""

import tracemalloc

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import CCDData, NDData
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from astrodlkit.metrics import (
    cross_power_spectrum,
    power_spectrum,
    power_spectrum_correlation,
)

BOX = 100 * u.Mpc


@pytest.fixture
def maps():
    return np.random.default_rng(3).lognormal(size=(5, 24, 24))


def plane(shape, pixel):
    """Wave vectors of all modes, by hand."""
    (ny, nx), (dy, dx) = shape, pixel
    ky, kx = 2 * np.pi * np.fft.fftfreq(ny, dy), 2 * np.pi * np.fft.fftfreq(nx, dx)
    return ky[:, np.newaxis], kx


def test_gaussian_field_of_known_power(gaussian_maps):
    shape, pixel, n = (48, 60), (2.0, 1.5), 60

    def power(k):
        return 300 * np.exp(-2 * k)

    maps = gaussian_maps(power, n, shape, pixel)
    spectrum = power_spectrum(maps, pixel_size=pixel * u.Mpc, bins=12)
    k = np.hypot(*plane(shape, pixel))
    place = np.digitize(k, spectrum.edges.to_value(1 / u.Mpc)) - 1
    place[0, 0] = -1
    truth = np.array([power(k[place == i]).mean() for i in range(12)])
    assert spectrum.n_modes.tolist() == [(place == i).sum() for i in range(12)]
    np.testing.assert_allclose(spectrum.k.value, [k[place == i].mean() for i in range(12)])
    error = truth * np.sqrt(2 / spectrum.n_modes)
    off = (spectrum.power.to_value(u.Mpc**2) - truth) / error
    assert (np.abs(off.mean(axis=0)) < 4 / np.sqrt(n)).all()
    np.testing.assert_allclose(off.std(axis=0), 1, atol=0.4)
    np.testing.assert_allclose(
        spectrum.error.value, spectrum.power.value * np.sqrt(2 / spectrum.n_modes)
    )


def test_shot_noise():
    density, pixel = 0.7, 1.3  # points per Mpc2
    mean = density * pixel**2
    counts = np.random.default_rng(2).poisson(mean, (40, 48, 48))
    spectrum = power_spectrum(counts / mean, pixel_size=pixel * u.Mpc, bins=5)
    off = spectrum.power.to_value(u.Mpc**2).mean(axis=0) * density - 1
    assert (np.abs(off) < 4 * np.sqrt(2 / spectrum.n_modes / 40)).all()


def test_one_wave():
    y, x = np.mgrid[:32, :32]
    map_ = 5 + 3 * np.cos(2 * np.pi * (3 * x + 4 * y) / 32 + 0.3)
    spectrum = power_spectrum(map_, box_size=BOX)
    at = np.argmax(spectrum.power)
    assert abs(spectrum.k[at] - 5 * 2 * np.pi / BOX) < 0.5 * 2 * np.pi / BOX
    assert (spectrum.power[at] * spectrum.n_modes[at] / BOX**2).value == pytest.approx(9 / 2)
    np.testing.assert_allclose(np.delete(spectrum.power.value, at), 0, atol=1e-20)


def test_powerbox_agrees(maps):
    powerbox = pytest.importorskip("powerbox")
    edges = np.array([0.05, 0.3, 0.7, 1.2])
    mine = power_spectrum(maps[0], box_size=[70, 90] * u.Mpc, bins=edges / u.Mpc)
    theirs = powerbox.get_power(
        maps[0], [70, 90], bins=edges, dimensionless=False, ignore_zero_mode=True, nthreads=1
    )
    power, k = (theirs.power, theirs.bin_avg) if hasattr(theirs, "power") else theirs[:2]
    np.testing.assert_allclose(mine.power.to_value(u.Mpc**2), power)
    np.testing.assert_allclose(mine.k.to_value(1 / u.Mpc), k)


@given(
    shape=st.tuples(st.integers(3, 12), st.integers(3, 12)),
    pixel=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
    seed=st.integers(0, 1000),
)
def test_powers_add_up_to_the_variance(shape, pixel, seed):
    map_ = np.random.default_rng(seed).normal(size=shape)
    spectrum = power_spectrum(map_, pixel_size=pixel * u.Mpc, bins=[0, 10, 1e4] / u.Mpc)
    area = np.prod(shape) * np.prod(pixel)
    total = np.nansum(spectrum.power.value * spectrum.n_modes) / area
    assert total == pytest.approx(map_.var())
    assert spectrum.n_modes.sum() == map_.size - 1


def test_sizes_may_come_in_many_ways(maps):
    expected = power_spectrum(maps, box_size=BOX).power
    wcs = WCS(naxis=2)
    wcs.wcs.cdelt, wcs.wcs.cunit = [100 / 24] * 2, ["Mpc", "Mpc"]
    with_index = WCS(naxis=3)
    with_index.wcs.cdelt, with_index.wcs.cunit = [100 / 24, 100 / 24, 1], ["Mpc", "Mpc", ""]
    for data, options in [
        (maps, {"box_size": BOX.to(u.kpc)}),
        (maps, {"box_size": u.Quantity([BOX, BOX])}),
        (maps, {"pixel_size": BOX / 24}),
        (NDData(maps, wcs=wcs), {}),
        (NDData(maps, wcs=with_index), {}),
    ]:
        assert u.allclose(power_spectrum(data, **options).power, expected, rtol=1e-12)


def test_units_of_the_maps_come_back(maps):
    density = maps * u.Msun / u.Mpc**2
    spectrum = power_spectrum(density, box_size=BOX)
    assert spectrum.power.unit == u.Msun**2 / u.Mpc**2
    assert spectrum.k.unit == spectrum.edges.unit == u.Mpc**-1
    in_nddata = power_spectrum(NDData(maps, unit=density.unit), box_size=BOX)
    assert u.allclose(spectrum.power, in_nddata.power)
    cross = cross_power_spectrum(density, maps, box_size=BOX)
    assert cross.power.unit == u.Msun


@pytest.mark.parametrize("dtype", [">f4", "f2", "i2", "u1", ">f8"])
def test_any_real_dtype(maps, dtype):
    converted = (10 * maps).astype(dtype)
    expected = power_spectrum(converted.astype(float), box_size=BOX).power
    assert u.allclose(power_spectrum(converted, box_size=BOX).power, expected)


def test_batches_of_any_shape_and_files(maps, tmp_path):
    expected = power_spectrum(maps, box_size=BOX).power
    assert expected.shape == (5, 11)
    assert (power_spectrum(maps[2], box_size=BOX).power == expected[2]).all()
    assert (
        power_spectrum(maps[:4].reshape(2, 2, 24, 24), box_size=BOX).power[1, 0] == expected[2]
    ).all()
    assert power_spectrum(maps[:0], box_size=BOX).power.shape == (0, 11)
    stored = np.memmap(tmp_path / "maps", dtype="f8", mode="w+", shape=maps.shape)
    stored[:] = maps
    assert (power_spectrum(stored, box_size=BOX).power == expected).all()
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        file["maps"] = maps
        assert (power_spectrum(file["maps"], box_size=BOX).power == expected).all()


def test_memory_does_not_grow_with_the_maps(tmp_path):
    stored = np.memmap(tmp_path / "maps", dtype="f4", mode="w+", shape=(300, 64, 64))  # 4.9 MB
    stored[:] = np.random.default_rng(1).normal(size=(64, 64))
    tracemalloc.start()
    power_spectrum(stored, box_size=BOX, bins=5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_default_bins_have_modes():
    for shape in [(8, 64), (33, 32), (3, 3)]:
        spectrum = power_spectrum(np.ones(shape), pixel_size=1 * u.Mpc)
        assert (spectrum.n_modes > 0).all()
        assert (np.diff(spectrum.k) > 0).all()
        assert spectrum.edges[-1].value <= np.pi


def test_bins_without_modes_are_nan(maps):
    spectrum = power_spectrum(maps[0], box_size=BOX, bins=[1e-4, 1e-3, 0.5] / u.Mpc)
    assert np.isnan(spectrum.power.value).tolist() == [True, False]
    assert np.isnan(spectrum.error.value).tolist() == [True, False]


def test_shifted_copies_turn_the_phases(maps):
    down, right = 3, 5
    cross = cross_power_spectrum(
        maps, np.roll(maps, (down, right), axis=(1, 2)), pixel_size=[2, 1] * u.Mpc, bins=6
    )
    ky, kx = plane((24, 24), (2.0, 1.0))
    k = np.hypot(ky, kx)
    place = np.digitize(k, cross.edges.value) - 1
    place[0, 0] = -1
    power = np.abs(np.fft.fft2(maps)) ** 2 * 2 / 24**2
    turned = power * np.cos(ky * 2 * down + kx * right)
    expected = [[each[place == i].mean() for i in range(6)] for each in turned]
    np.testing.assert_allclose(cross.power.to_value(u.Mpc**2), expected)


def test_cross_power_with_itself_is_power(maps):
    power = power_spectrum(maps, box_size=BOX)
    cross = cross_power_spectrum(maps, -2 * maps, box_size=BOX)
    assert u.allclose(cross.power, -2 * power.power)
    assert u.allclose(cross.error, 2 * power.error)
    np.testing.assert_allclose(cross.correlation, -1)


def test_strangers_do_not_correlate(gaussian_maps):
    maps = gaussian_maps(lambda k: 1 / k, 10, (32, 32))
    cross = cross_power_spectrum(maps[:, np.newaxis], maps, pixel_size=1 * u.Mpc, bins=6)
    assert cross.power.shape == (10, 10, 6)
    np.testing.assert_allclose(np.diagonal(cross.correlation), 1)
    pairs = cross.correlation[np.triu_indices(10, 1)] * np.sqrt(cross.n_modes)
    np.testing.assert_allclose(pairs.std(axis=0), 1, atol=0.35)
    assert np.abs(pairs.mean()) < 4 / np.sqrt(pairs.size)


def test_cross_power_of_an_empty_map(maps):
    assert np.isnan(cross_power_spectrum(maps, np.ones((24, 24)), box_size=BOX).correlation).all()


def test_correlation_matrix_of_gaussian_fields(gaussian_maps):
    maps = gaussian_maps(lambda k: 1 / k, 200, (24, 24))
    matrix = power_spectrum_correlation(maps, pixel_size=1 * u.Mpc, bins=5)
    assert matrix.correlation.shape == (5, 5)
    assert matrix.n_maps == 200
    off = matrix.correlation[np.triu_indices(5, 1)]
    assert (np.abs(off) < 4 / np.sqrt(200)).all()
    np.testing.assert_allclose(np.diagonal(matrix.correlation), 1)


def test_correlation_matrix_of_maps_of_one_shape(maps):
    scaled = maps[0] * np.arange(1, 8)[:, np.newaxis, np.newaxis]
    matrix = power_spectrum_correlation(scaled, box_size=BOX)
    np.testing.assert_allclose(matrix.correlation, 1)
    np.testing.assert_allclose(matrix.error, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda maps: np.where(maps > 3, np.nan, maps), {}, ValueError, "pixels that are NaN"),
        (lambda maps: np.ma.masked_greater(maps, 3), {}, ValueError, "masked pixels"),
        (lambda maps: NDData(maps, mask=maps > 3), {}, ValueError, "masked pixels"),
        (lambda maps: maps[0, 0], {}, ValueError, "must have the shape"),
        (lambda maps: maps[:, :2], {}, ValueError, "3 pixels or more"),
        (lambda maps: maps[:, :9], {}, ValueError, "is one length"),
        (lambda maps: maps + 1j, {}, TypeError, "real numbers"),
        (lambda maps: maps.astype(str), {}, TypeError, "real numbers"),
        (None, {"box_size": 100}, TypeError, r"write box_size=100 \* u.Mpc"),
        (
            None,
            {"box_size": 100 * u.deg},
            u.UnitConversionError,
            "box_size must be in Mpc, got the unit deg",
        ),
        (lambda m: [np.ma.array(m[0], mask=m[0] > 1)], {}, TypeError, "stack them first"),
        (lambda m: [CCDData(m[0], unit="Jy")], {}, TypeError, "stack them first"),
        (lambda m: m * u.ABmag, {}, u.UnitTypeError, "must have linear units, got mag"),
        (None, {"box_size": -BOX}, ValueError, "positive"),
        (None, {"box_size": [1, 2, 3] * BOX}, ValueError, r"\(y, x\)"),
        (None, {"box_size": None}, TypeError, "is needed"),
        (None, {"pixel_size": BOX}, TypeError, "give one of them"),
        (None, {"bins": 0}, ValueError, "1 or more"),
        (None, {"bins": [0.1, 0.2]}, TypeError, "has no unit"),
        (None, {"bins": [1, 2] * u.Mpc}, u.UnitConversionError, "bins must be in"),
        (None, {"bins": [0.2, 0.1] / u.Mpc}, ValueError, "increase"),
        (None, {"bins": [0.2, np.inf] / u.Mpc}, ValueError, "finite"),
        (None, {"bins": [-1, 1] / u.Mpc}, ValueError, "negative"),
    ],
)
def test_what_makes_no_sense(maps, change, options, error, message):
    maps = change(maps) if change else maps
    for call in (power_spectrum, power_spectrum_correlation):
        with pytest.raises(error, match=message):
            call(maps, **{"box_size": BOX, **options})


def test_lists_of_quantities_keep_their_units(maps):
    wanted = power_spectrum(maps * u.Jy, box_size=BOX, bins=[0.1, 0.2] / u.Mpc)
    found = power_spectrum(
        [each * u.Jy for each in maps], box_size=(BOX, BOX), bins=[0.1 / u.Mpc, 0.2 / u.Mpc]
    )
    assert found.power.unit == u.Jy**2 * u.Mpc**2
    assert_allclose(found.power.value, wanted.power.value)


def test_which_map_is_bad(maps):
    maps[3, 1, 1] = np.inf
    with pytest.raises(ValueError, match="1 pixels that are NaN or infinite in map 3"):
        power_spectrum(maps, box_size=BOX)


def test_a_celestial_wcs_is_no_length(maps):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    with pytest.raises(u.UnitConversionError, match="must have lengths"):
        power_spectrum(NDData(maps, wcs=wcs))


def test_maps_that_do_not_go_together(maps):
    with pytest.raises(ValueError, match="one shape"):
        cross_power_spectrum(maps, maps[:, :9], pixel_size=1 * u.Mpc)
    with pytest.raises(ValueError, match="three or more"):
        power_spectrum_correlation(maps[:2], box_size=BOX)
    with pytest.raises(ValueError, match="does not vary"):
        power_spectrum_correlation(maps[[0, 0, 0]], box_size=BOX)


@pytest.mark.parametrize("bins", [2.5, "a", True])
def test_bins_that_are_none(bins):
    with pytest.raises(TypeError, match=f"bins must be .*, or their edges, got {bins!r}"):
        power_spectrum(np.ones((4, 4)), bins=bins, box_size=1 * u.Mpc)


def test_batches_that_do_not_go_together():
    maps = np.ones((4, 8, 8))
    message = r"maps and others must broadcast, got \(4,\) and \(3,\) maps"
    with pytest.raises(ValueError, match=message):
        cross_power_spectrum(maps, maps[:3], box_size=1 * u.Mpc)
