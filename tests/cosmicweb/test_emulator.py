"""What the maps are: analytic truth, seeds, units, coordinates."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.cosmology import FlatLambdaCDM, Planck18
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import load_model
from astrodlkit.cosmicweb import DensityMapEmulator, _emulator
from astrodlkit.cosmicweb._growth import linear_growth
from astrodlkit.metrics import cross_power_spectrum, power_spectrum

SHAPE = (64, 64)
# sigma8 for which the network of conftest has the deviation 0.8.
AT = {"sigma8": 0.8, "cosmology": Planck18}


@pytest.fixture(scope="module")
def emulator(folder):
    return load_model(folder, device="cpu")


def test_lognormal_maps(plain, monkeypatch):
    # Matter that has not moved is as dense as the field says.
    monkeypatch.setattr(plain.module, "web", lambda fields, _: fields[:, 0])
    maps = plain.sample(64, shape=SHAPE, rng=1, **AT)
    assert maps.data.dtype == np.float32
    logs = np.log(maps.data)
    # 64 maps of the same field; the scatter of their means says how sure this is.
    for found, wanted in (
        (maps.data.mean(axis=(1, 2)), 1),
        (logs.mean(axis=(1, 2)), -(0.8**2) / 2),
        (logs.var(axis=(1, 2)), 0.8**2),
    ):
        assert abs(found.mean() - wanted) < 4 * found.std() / 8
    bins = np.arange(0.3, 1, 0.05) / u.Mpc
    spectrum = power_spectrum(logs, box_size=128 * u.Mpc, bins=bins)
    ratio = spectrum.power.value.mean(axis=0) / np.exp(-4 * spectrum.k.value)
    assert_allclose(ratio, ratio.mean(), rtol=0.1)


def test_the_noise_of_a_map_is_philox(plain, monkeypatch):
    monkeypatch.setattr(_emulator, "run_batches", lambda _, noise, **__: {"maps": noise[:, 1]})
    maps = plain.sample(3, shape=(16, 32), rng=5)
    generator = np.random.Generator(np.random.Philox(key=[5, 2]))
    wanted = generator.standard_normal((3, 16, 32), dtype=np.float32)
    assert_array_equal(maps.data[2], wanted[1])


@settings(max_examples=10)
@given(n=st.integers(1, 7), pixels=st.sampled_from([1, 2000, 5000, 2**20]))
def test_a_map_depends_on_the_seed_and_its_number_alone(emulator, n, pixels):
    whole = emulator.sample(7, shape=(40, 24), rng=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_emulator, "_PIXELS", pixels)
        part = emulator.sample(n, shape=(40, 24), rng=3)
    assert_array_equal(part.data, whole.data[:n])


def test_threads_change_nothing(emulator):
    whole = emulator.sample(5, shape=(40, 24), rng=3)
    usual = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(usual, 2))
        assert_allclose(emulator.sample(5, shape=(40, 24), rng=3).data, whole.data, rtol=1e-5)
    finally:
        torch.set_num_threads(usual)


def test_seeds(emulator):
    options = {"n": 2, "shape": (32, 32)}
    first = emulator.sample(rng=1, **options)
    assert first.meta["seed"] == 1
    assert not np.allclose(emulator.sample(rng=2, **options).data, first.data)
    drawn = emulator.sample(**options)
    assert not np.allclose(drawn.data, emulator.sample(**options).data)
    assert_array_equal(emulator.sample(rng=drawn.meta["seed"], **options).data, drawn.data)
    one, other = (emulator.sample(rng=np.random.default_rng(4), **options) for _ in range(2))
    assert_array_equal(one.data, other.data)
    generator = np.random.default_rng(4)
    seeds = [emulator.sample(rng=generator, **options).meta["seed"] for _ in range(2)]
    assert seeds[0] == one.meta["seed"] != seeds[1]


def test_global_random_state_is_left_alone(emulator):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    emulator.sample(shape=(32, 32))
    assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert_array_equal(torch.get_rng_state(), before[1])


def test_the_same_seed_is_the_same_structure(emulator):
    options = {"n": 4, "shape": SHAPE, "box_size": 128 * u.Mpc}
    today = emulator.sample(rng=1, **options)
    earlier = emulator.sample(rng=1, redshift=1, **options)
    other = emulator.sample(rng=2, redshift=1, **options)
    assert earlier.data.std() < 0.9 * today.data.std()
    bins = [0.1, 0.5] / u.Mpc

    def alike(maps):
        found = cross_power_spectrum(today, maps, bins=bins)
        return found.correlation.mean()

    assert alike(earlier) > 0.9
    assert abs(alike(other)) < 0.3


def test_conditions(plain, monkeypatch):
    seen = []

    class Network(torch.nn.Module):
        n_channels = 2

        def forward(self, noise, conditions):
            seen.append(conditions)
            return noise[:, 0]

    emulator = DensityMapEmulator(plain.card, Network(), device="cpu")
    cosmology = FlatLambdaCDM(67.66, 0.3, meta={"sigma8": 0.7})
    emulator.sample(shape=(16, 16), redshift=1, cosmology=cosmology)
    wanted = (0.3, 0.7 * linear_growth(cosmology, 1), 1)
    assert_allclose(seen[0].numpy(), [wanted], rtol=1e-6)
    emulator.sample(shape=(16, 16), redshift=1, cosmology=cosmology, sigma8=0.9)
    assert_allclose(seen[1][0, 1], 0.9 * linear_growth(cosmology, 1), rtol=1e-6)


def test_surface_density(emulator):
    options = {"n": 2, "shape": (32, 32), "rng": 1}
    plain = emulator.sample(**options)
    for unit in (u.Msun / u.Mpc**2, "Msun / Mpc2", "g / cm2", u.kg / u.m**2):
        maps = emulator.sample(unit=unit, **options)
        assert maps.unit == u.Unit(unit)
        # 8 Mpc of the mean density.
        mean = 0.30966 * Planck18.critical_density0 * 8 * u.Mpc
        assert_allclose(maps.data, plain.data * mean.to_value(unit), rtol=1e-5)
    assert_allclose(emulator.sample(unit=u.percent, **options).data, 100 * plain.data, rtol=1e-5)
    for unit in ("g / Mpc2", "solMass / nm2"):
        with pytest.raises(ValueError, match=f"unit={unit} is beyond what float32 holds"):
            emulator.sample(unit=unit, **options)


def test_coordinates(emulator):
    maps = emulator.sample(3, shape=(32, 48), rng=1)
    assert maps.wcs.axis_type_names == ["X", "Y", "MAP"]
    assert list(maps.wcs.world_axis_units) == ["Mpc", "Mpc", ""]
    assert_allclose(maps.wcs.pixel_to_world_values(0, 0, 0), (1, 1, 0))
    assert_allclose(maps.wcs.pixel_to_world_values(47, 31, 2), (95, 63, 2))
    assert_allclose(maps.meta["box_size"].to_value("Mpc"), (64, 96))
    given = power_spectrum(maps.data, box_size=(64, 96) * u.Mpc)
    assert_allclose(power_spectrum(maps).power.value, given.power.value)
    assert maps[1].data.shape == (32, 48)


def test_meta(emulator, card):
    meta = emulator.sample(shape=(32, 32), redshift=0.5, rng=9).meta
    assert meta["cosmology"] is Planck18
    assert (meta["redshift"], meta["sigma8"], meta["seed"]) == (0.5, 0.8102, 9)
    assert_allclose(meta["sigma8_at_redshift"], 0.8102 * linear_growth(Planck18, 0.5))
    assert meta["thickness"] == 8 * u.Mpc
    assert meta["model"] == "web.v1"
    assert meta["sha256"] == emulator.card.weights.sha256
    assert meta["flags"] == {}


@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (128, 16)])
def test_any_shape(emulator, shape):
    maps = emulator.sample(2, shape=shape, rng=1)
    assert maps.data.shape == (2, *shape)
    assert (maps.data > 0).all()


def test_no_map(emulator):
    maps = emulator.sample(0, shape=(32, 48))
    assert maps.data.shape == (0, 32, 48)
    assert maps.data.dtype == np.float32
    assert maps.wcs.naxis == 3


@pytest.mark.parametrize("n", [10**12, 2**70])
def test_more_than_the_memory_holds(emulator, n):
    message = rf"n={n} maps of \(256, 256\) pixels take .* GiB of memory: .*\.stream writes them"
    with pytest.raises(ValueError, match=message):
        emulator.sample(n)


def test_progress(emulator, monkeypatch):
    monkeypatch.setattr(_emulator, "_PIXELS", 512)
    steps = []
    emulator.sample(5, shape=(16, 16), progress=lambda *done: steps.append(done))
    assert steps == [(2, 5), (4, 5), (5, 5)]


def test_wrong_parts(plain, card):
    with pytest.raises(TypeError, match="card must be a ModelCard, got str"):
        DensityMapEmulator("web", plain.module)
    with pytest.raises(TypeError, match=r"module must be a torch.nn.Module, got str"):
        DensityMapEmulator(card, "web")
    assert repr(plain) == "<DensityMapEmulator web.v1 on cpu>"
