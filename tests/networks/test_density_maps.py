"""Maps of the density from noise."""

import math

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.cosmology import FlatLambdaCDM
from numpy.testing import assert_allclose

from astrodlkit.cosmicweb._growth import linear_growth
from astrodlkit.metrics import cross_power_spectrum, power_spectrum
from astrodlkit.networks import DensityMapNetwork, _periodic_unet
from astrodlkit.networks._periodic_unet import PeriodicUNet
from astrodlkit.networks._zeldovich import displaced

PIXEL = 2.0
SIGMA = 0.8


def lognormal(**options):
    """A network whose field is white, of variance 1, and whose densities are lognormal."""
    network = DensityMapNetwork(pixel=PIXEL, widths=(8, 8), **options)
    network.spectrum[0] = math.log(PIXEL**2)
    network.distribution[0] = SIGMA * torch.linspace(*network.values)
    return network.requires_grad_(False)


def rows(n):
    return torch.tensor([[0.3, 0.8, 0.5]]).expand(n, 3)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


@pytest.fixture
def stirred(generator):
    """A network that adds something."""
    network = lognormal()
    for parameter in network.parameters():
        parameter.data = 0.15 * torch.randn(parameter.shape, generator=generator)
    return network


def test_field_has_the_spectrum(generator):
    network = lognormal()
    first, last, n = network.log_k
    slope = -1.2
    # P = k^-1.2 at the mean conditions, and twice that one spread of ln Om0 further.
    network.spectrum[0] = slope * torch.linspace(first, last, n)
    network.spectrum[1] = math.log(2)
    conditions = rows(40)
    network.centre[:] = torch.log(conditions[0] + torch.tensor([0, 0, 1.0]))
    noise = torch.randn(40, 2, 64, 64, generator=generator)
    for factor, matter in ((1, 0.3), (2, 0.3 * math.e)):
        chosen = conditions.clone()
        chosen[:, 0] = matter
        # Either of the two.
        field = network.gaussian(noise, chosen)[:, int(factor == 2)]
        found = power_spectrum(field.numpy(), pixel_size=PIXEL * u.Mpc)
        k = found.k.value
        good = (k > 3 * 2 * np.pi / 128) & np.isfinite(k)
        ratio = found.power.value.mean(0)[good] / (factor * k[good] ** slope)
        assert_allclose(ratio, 1, atol=0.1)


def test_fields_have_long_waves_in_common(generator):
    network = lognormal(coherence=8.0)
    first, second = network.gaussian(
        torch.randn(20, 2, 64, 64, generator=generator), rows(20)
    ).unbind(1)
    size = {"pixel_size": PIXEL * u.Mpc}
    cross = cross_power_spectrum(first.numpy(), second.numpy(), **size)
    own = power_spectrum(first.numpy(), **size).power.value.mean(0)
    k = cross.k.value[1:]
    found = (cross.power.value.mean(0) / own)[1:]
    assert_allclose(found, np.exp(-((8 * k) ** 2) / 2), atol=0.12)


def test_density_is_lognormal_with_mean_one(generator):
    network = lognormal()
    field = network.gaussian(torch.randn(8, 2, 128, 128, generator=generator), rows(8))[:, 0]
    density = network.density(field, rows(8))
    assert_allclose(density.mean().item(), 1, rtol=0.01)
    assert_allclose(density.log().std().item(), SIGMA, rtol=0.01)
    assert_allclose(density.log().mean().item(), -(SIGMA**2) / 2, rtol=0.01)


def test_matter_is_moved_to_where_the_field_is_high():
    # One wave along x: before sheets cross, Zel'dovich (1970) has the exact answer.
    n, amplitude = 64, 0.5
    q = (torch.arange(40_000) + 0.5) / 40_000 * n
    k = 2 * math.pi / n
    field = amplitude * torch.cos(k * torch.arange(n))
    density = displaced(field.expand(1, 16, n))
    assert_allclose(density[0], density[0, :1].expand(16, n), rtol=1e-4)
    # Of pixels: the moved mass is shared linearly between the two pixels about it. Four particles
    # a pixel are not many: their lattice shows by some per cent.
    at = (q - amplitude / k * torch.sin(k * q)) % n
    share = (1 - ((at[:, None] - torch.arange(n) + n / 2) % n - n / 2).abs()).clamp_min(0)
    assert_allclose(density[0, 0], share.sum(0) * n / len(q), atol=0.07)
    assert density[0, 0].argmax() == 0
    assert density[0, 0].max() > 1.6


@pytest.mark.parametrize("shape", [(1, 1), (5, 8), (16, 7)])
def test_matter_is_neither_lost_nor_made(generator, shape):
    field = 30 * torch.randn(3, *shape, generator=generator)
    density = displaced(field)
    assert_allclose(density.mean((1, 2)), torch.ones(3), rtol=1e-5)
    assert (density >= 0).all()
    # Pixels are alike: no place is the lattice's first.
    assert_allclose(displaced(field.roll(1, 2)), density.roll(1, 2), atol=2e-3 * density.max())


def test_gaussianised_is_the_inverse_of_density(generator):
    network = lognormal()
    field = torch.randn(3, 32, 32, generator=generator)
    again = network.gaussianised(network.density(field, rows(3)), rows(3))
    assert_allclose(again, field, atol=1e-4)
    # Beyond the table's ends it stays at them.
    assert network.gaussianised(torch.zeros(1, 4, 4), rows(1)).unique() == network.values[0]


def test_new_network_adds_nothing(generator):
    network = lognormal()
    noise = torch.randn(2, 3, 32, 32, generator=generator)
    web = network.web(network.gaussian(noise[:, :2], rows(2)), rows(2))
    assert_allclose(network(noise, rows(2)), network.density(web, rows(2)), rtol=1e-5)


def test_mean_of_the_field_stays(generator):
    network = lognormal()
    field = torch.randn(2, 2, 32, 32, generator=generator)
    more = network.web(field + 0.3, rows(2)) - network.web(field, rows(2))
    assert_allclose(more, torch.full_like(more, 0.3), atol=1e-3)


def test_edges_meet(stirred, generator):
    noise = torch.randn(1, 3, 48, 64, generator=generator)
    step = stirred.network.step
    rolled = stirred(noise.roll((3 * step, -step), (2, 3)), rows(1))
    assert_allclose(rolled, stirred(noise, rows(1)).roll((3 * step, -step), (1, 2)), rtol=1e-3)


def test_map_depends_on_its_own_noise(stirred, generator):
    noise = torch.randn(3, 3, 32, 32, generator=generator)
    together = stirred(noise, rows(3))
    assert_allclose(stirred(noise[1:2], rows(1))[0], together[1], rtol=1e-4)


def test_pieces_are_as_the_whole(generator):
    network = PeriodicUNet(2, (8, 8), n_conditions=3).requires_grad_(False)
    for parameter in network.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    maps = torch.randn(2, 2, 96, 64, generator=generator)
    whole = network(maps, rows(2))
    network.tile = 32
    assert_allclose(network(maps, rows(2)), whole, atol=1e-5)
    assert whole.std() > 0.1


def test_rows_at_a_time_are_as_the_whole(generator, monkeypatch):
    network = PeriodicUNet(2, (8, 8), n_conditions=3)
    for parameter in network.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    maps = torch.randn(2, 2, 96, 64, generator=generator)
    whole = network(maps, rows(2)).detach()
    # Not a divisor of the rows of any layer.
    monkeypatch.setattr(_periodic_unet, "_AT_ONCE", 19 * 2 * 8 * 32)
    with torch.inference_mode():
        assert_allclose(network(maps, rows(2)), whole, atol=1e-5)


def test_reach_holds_all_that_a_pixel_depends_on():
    network = PeriodicUNet(1, (4, 4), n_conditions=3)
    for parameter in network.parameters():
        parameter.data = torch.rand(parameter.shape) / parameter.shape.numel() ** 0.5
    maps = torch.zeros(1, 1, 160, 160, requires_grad=True)
    at = slice(80, 80 + network.step)
    (gradient,) = torch.autograd.grad(network(maps, rows(1))[0, at, at].sum(), maps)
    seen = gradient[0, 0].abs().sum(0).nonzero()
    assert 80 - network.reach <= seen.min() < 80 - network.reach / 2
    assert 83 + network.reach / 2 < seen.max() <= 83 + network.reach


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (33, 64), (7, 130)])
def test_any_shape(stirred, generator, shape):
    density = stirred(torch.randn(2, 3, *shape, generator=generator), rows(2))
    assert density.shape == (2, *shape)
    assert torch.isfinite(density).all()
    assert (density > 0).all()


def test_corrections(generator):
    network = lognormal()
    noise = torch.randn(4, 3, 64, 64, generator=generator)
    before = network.shaped(network.gaussian(noise[:, :2], rows(4)), noise[:, 2:], rows(4))
    network.last_correction.filter[0] = math.log(0.5)
    network.last_correction.shift[0] = 0.25
    after = network.shaped(network.gaussian(noise[:, :2], rows(4)), noise[:, 2:], rows(4))
    assert_allclose(after, before / 2 + 0.25, atol=1e-5)


def test_corrections_of_a_higher_degree_than_the_spectrum():
    network, lower = lognormal(correction_degree=4), lognormal()
    assert network.terms(rows(2)).shape == (2, 35)
    assert_allclose(network.terms(rows(2))[:, :20], lower.terms(rows(2)))
    field = torch.zeros(2, 8, 8)
    assert_allclose(network.density(field, rows(2)), lower.density(field, rows(2)))
    network.last_correction.shift[20:] = 0.1
    wanted = 0.1 * network.terms(rows(2))[:, 20:].sum(1)
    shifted = network.corrected(field, rows(2), network.last_correction)
    assert_allclose(shifted, wanted[:, None, None].expand(2, 8, 8), rtol=1e-5)


def test_corrections_beyond_their_limits():
    cosmology = FlatLambdaCDM(H0=70, Om0=0.3, Tcmb0=0)
    network = lognormal(limits=[(0.1, 0.5), (0.6, 1.0), (0, 2)])
    network.last_correction.shift[2] = 1
    network.last_correction.shift[3] = 1
    field = torch.zeros(1, 8, 8)

    def corrected(sigma8, redshift):
        then = sigma8 * linear_growth(cosmology, redshift)
        known = torch.tensor([[0.3, then, redshift]], dtype=torch.float32)
        return network.corrected(field, known, network.last_correction)

    free = lognormal()
    free.last_correction.load_state_dict(network.last_correction.state_dict())
    inside = torch.tensor([[0.3, 0.8, 0.0]])
    assert_allclose(corrected(0.8, 0.0), free.corrected(field, inside, free.last_correction))
    assert_allclose(corrected(0.8, 5.0), corrected(0.8, 2.0), atol=0.01)
    assert_allclose(corrected(1.2, 1.0), corrected(1.0, 1.0), atol=0.01)
    assert_allclose(corrected(0.4, 0.0), corrected(0.6, 0.0), atol=0.01)
    assert (corrected(0.8, 1.0) - corrected(0.6, 1.0)).abs().min() > 0.1


def test_autocast_leaves_spectrum_and_distribution_alone(stirred, generator):
    noise = torch.randn(2, 3, 32, 32, generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        field = stirred.gaussian(noise[:, :2], rows(2))
        density = stirred.density(field[:, 0], rows(2))
    assert_allclose(field, stirred.gaussian(noise[:, :2], rows(2)), rtol=1e-6)
    assert_allclose(density, stirred.density(field[:, 0], rows(2)), rtol=1e-6)
