"""What every bundled galaxy simulator does: one contract, run over the registry."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag, list_models, load_model

pytest.importorskip("galsim")

# With no simulator yet, pytest skips these tests.
every_simulator = pytest.mark.parametrize("name", list_models(task="simulate"))


@pytest.fixture
def table():
    n = 12
    rng = np.random.default_rng(1)
    return QTable(
        {
            "mag": rng.uniform(18, 22, n),
            "half_light_radius": rng.uniform(0.5, 1.2, n) * u.arcsec,
            "axis_ratio": rng.uniform(0.3, 0.95, n),
            "position_angle": rng.uniform(0, 180, n) * u.deg,
        }
    )


@every_simulator
def test_the_default_type_of_torch_decides_nothing(name, table, request):
    def light():
        simulator = load_model(name, device="cpu")
        return simulator.simulate(table, pixel_scale=0.1 * u.arcsec, shape=32, rng=1).data

    usual = light()
    request.getfixturevalue("double_default")
    assert_allclose(light(), usual, rtol=1e-3, atol=1e-3 * usual.max())


@every_simulator
def test_flux_and_size_are_those_asked_for(name, table):
    simulator = load_model(name, device="cpu")
    stamps = simulator.simulate(table, pixel_scale=0.1 * u.arcsec, shape=200, rng=1)
    assert not (stamps.flags & Flag.NO_RESULT).any()
    wanted = (table["mag"] * u.ABmag).to_value(u.nJy)
    assert_allclose(stamps.data.sum((1, 2, 3)), wanted, rtol=5e-3)
    y, x = (np.indices((200, 200)) - 99.5) * 0.1
    inside = np.hypot(x, y) < table["half_light_radius"].value[:, None, None]
    share = (stamps.data[:, 0] * inside).sum((1, 2)) / stamps.data.sum((1, 2, 3))
    assert_allclose(share, 0.5, atol=0.03)


@every_simulator
def test_a_row_depends_on_the_seed_and_its_number_alone(name, table):
    simulator = load_model(name, device="cpu")
    options = {"psf": 0.7 * u.arcsec, "pixel_scale": 0.2 * u.arcsec, "shape": 48}
    whole = simulator.simulate(table, rng=5, **options)
    assert_array_equal(simulator.simulate(table[:3], rng=5, **options).data, whole.data[:3])
    other = simulator.simulate(table, rng=6, **options)
    peaks = whole.data.max((1, 2, 3))
    assert (np.abs(other.data - whole.data).max((1, 2, 3)) > 1e-3 * peaks).all()


@every_simulator
def test_completed_conditions_are_in_the_domain(name, table):
    simulator = load_model(name, device="cpu")
    complete = simulator.complete(table["mag", "half_light_radius"], rng=1)
    for condition, (low, high) in simulator.spec.domain.items():
        assert (complete[condition] >= low - 1e-3).all()
        assert (complete[condition] <= high + 1e-3).all()
    outside = (complete["flags"] & Flag.OUTSIDE_DOMAIN) != 0
    assert outside.mean() < 0.3


@every_simulator
def test_codes_give_galaxies_that_look_the_same(name, table):
    simulator = load_model(name, device="cpu")
    templates = simulator.interpolate(table, n=1, rng=1)
    conditions = simulator.complete(table, rng=1)
    found = simulator.encode(templates, conditions[list(simulator.spec.conditions)])
    again = simulator.interpolate(found, n=1)
    ours, theirs = (each.data[:, simulator.spec.bands.index("r")] for each in (templates, again))
    off = np.abs(ours - theirs).sum((1, 2))
    other = np.abs(ours - np.roll(theirs, 1, axis=0)).sum((1, 2))
    assert np.median(off) < 0.7 * np.median(other)
