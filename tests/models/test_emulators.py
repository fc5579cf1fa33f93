"""What every bundled emulator does: one contract, run over the registry."""

import astropy.units as u
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import emulate_density_maps, list_models, load_model
from astrodlkit.metrics import power_spectrum

# With no emulator yet, pytest skips these tests.
every_emulator = pytest.mark.parametrize("name", list_models(task="emulate"))


@every_emulator
def test_maps_are_densities(name):
    emulator = load_model(name, device="cpu")
    for redshift in (0, 1.9):
        maps = emulator.sample(8, shape=(128, 128), redshift=redshift, rng=1)
        assert maps.meta["flags"] == {}
        assert (maps.data > 0).all()
        # The mean of a slab scatters, the more the smaller it is.
        means = maps.data.mean(axis=(1, 2))
        assert_allclose(means.mean(), 1, atol=0.02 + 3 * means.std(ddof=1) / len(means) ** 0.5)
        assert maps.data.max() > 3


@every_emulator
@pytest.mark.parametrize("sides", [(31.5, 31.5), (34, 125)])
def test_the_mean_of_small_maps(name, sides):
    """Waves longer than the map give it another mean, but not on average."""
    emulator = load_model(name, device="cpu")
    shape = [int(side / emulator.card.maps.pixel) for side in sides]
    means = emulator.sample(96, shape=shape, rng=1).data.mean(axis=(1, 2))
    scatter = means.std(ddof=1)
    assert scatter < 2
    assert_allclose(means.mean(), 1, atol=4 * scatter / len(means) ** 0.5)


@every_emulator
def test_a_map_depends_on_the_seed_and_its_number_alone(name):
    emulator = load_model(name, device="cpu")
    whole = emulator.sample(3, shape=(65, 48), rng=5)
    assert_array_equal(emulator.sample(1, shape=(65, 48), rng=5).data, whole.data[:1])


@every_emulator
def test_the_default_box_finds_the_model(name):
    card = load_model(name, device="cpu").card
    box_size = card.maps.pixel * 64 * u.Mpc
    found = emulate_density_maps(0, box_size=box_size, shape=(64, 64), device="cpu")
    assert found.meta["model"].split(".")[0] == card.name


@every_emulator
def test_no_seam_where_the_edges_meet(name):
    emulator = load_model(name, device="cpu")
    logs = np.log(emulator.sample(8, shape=(128, 128), rng=2).data)
    steps = np.square(np.diff(logs, axis=2, append=logs[:, :, :1])).mean(axis=(0, 1))
    # Steps across the edge are like the others, which scatter.
    assert abs(steps[-1] - steps.mean()) < 5 * steps.std()


@every_emulator
def test_structure_grows(name):
    emulator = load_model(name, device="cpu")
    bins = np.array([0.1, 0.5]) * np.pi / emulator.spec.pixel / u.Mpc
    power = [
        power_spectrum(
            emulator.sample(4, shape=(64, 64), redshift=z, rng=1), bins=bins
        ).power.mean()
        for z in (2, 1, 0)
    ]
    assert power[0] < power[1] < power[2]


@pytest.mark.parametrize("redshift", [0, 0.6])
def test_no_bend_towards_the_end_of_the_domain(redshift):
    """Polynomials that few boxes tell of rise or fall where matter densities end."""
    emulator = load_model("cosmicweb-500mpc", device="cpu")
    fixed = {name: emulator.spec.fixed[name] for name in ("H0", "Ob0", "Tcmb0")}

    def variance(matter, seed):
        cosmology = FlatLambdaCDM(Om0=matter, **fixed)
        maps = emulator.sample(6, cosmology=cosmology, sigma8=0.98, redshift=redshift, rng=seed)
        return maps.data.var()

    # Six maps scatter by 0.05 in this.
    bends = [
        np.diff(np.log([variance(matter, seed) for matter in (0.155, 0.2, 0.26)]), 2)
        for seed in (3, 4, 5, 6)
    ]
    assert abs(np.mean(bends)) < 0.06
