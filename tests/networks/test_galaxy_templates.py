import copy

import numpy as np
import pytest
import torch

from astrodlkit.networks import GalaxyTemplateNetwork, build
from astrodlkit.networks._coupling_flow import CouplingFlow
from astrodlkit.networks._hot_deck import HotDeck
from astrodlkit.networks._petrosian import END, FADE, elliptic_radius, petrosian_radius

SMALL = {"widths": (16, 12, 8, 8), "n_global": 8, "n_local": 1, "n_table": 64}


def _conditions(network, n, seed=0):
    rng = np.random.default_rng(seed)
    rows = torch.full((n, len(network.condition_names)), 0.3)
    for name, low, high in (
        ("axis_ratio", 0.15, 1), ("sersic_index", 0.5, 5), ("g_r", 0, 1.2), ("r_i", -0.2, 0.6),
        ("psf_fwhm", 0.1, 0.9),
    ):  # fmt: skip
        values = rng.uniform(low, high, n).astype(np.float32)
        rows[:, network.condition_names.index(name)] = torch.from_numpy(values)
    return rows


@pytest.fixture(scope="module")
def trained():
    """A network that adds something."""
    torch.manual_seed(1)
    network = build("galaxy-templates", **SMALL)
    for parameter in (*network.decoder.parameters(), *network.flow.parameters()):
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.fixture(scope="module")
def profiles():
    """What a new network makes, its conditions and itself."""
    network = build("galaxy-templates", **SMALL).eval()
    rows = _conditions(network, 40)
    with torch.inference_mode():
        return network, rows, network(torch.randn(40, network.n_latent), rows)


@pytest.fixture(scope="module")
def deck():
    """Two numbers that correlate by 0.8, and two probabilities that follow from the first."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    y = 0.8 * x + 0.6 * rng.normal(size=4000)
    spiral = 1 / (1 + np.exp(-3 * x))
    rows = np.stack([x, y, spiral, 1 - spiral], axis=1).astype(np.float32)
    deck = HotDeck(["x", "y", "class_spiral", "class_other"], 2000)
    deck.fit(torch.from_numpy(rows))
    return deck


def _moments(image):
    centres = torch.arange(80) - 39.5
    total = image.sum((1, 2))
    along = [centres.expand(80, 80), centres[:, None].expand(80, 80)]
    return [(image * a * b).sum((1, 2)) / total for a in along for b in along]


class TestNew:
    """What a network gives that has learned nothing: Sersic profiles."""

    def test_half_of_the_light_is_within_the_radius_however_it_is_asked(self, profiles):
        network, _, light = profiles
        y, x = np.mgrid[:80, :80] - 39.5
        order = np.argsort(np.hypot(x, y).ravel(), kind="stable")
        curve = np.cumsum(light[:, 1].numpy().reshape(40, -1)[:, order], axis=1)
        area = np.pi * network.half_light**2
        share = np.array([np.interp(area, np.arange(1, 6401), row) for row in curve])
        np.testing.assert_allclose(share, 0.5, atol=0.004)

    def test_the_profile_is_wide_enough_before_it_is_corrected(self, profiles):
        network, rows, _ = profiles
        start = network.profile(rows)[:, 0].flatten(1)
        # Profiles of high index have light beyond the template.
        assert ((start @ network.inside) - 0.5).abs().max() < 0.08

    def test_the_major_axis_is_along_x_and_as_long_as_asked(self):
        network = build("galaxy-templates", **SMALL).eval()
        rows = _conditions(network, 9)
        wanted = torch.linspace(0.4, 1, 9)
        rows[:, network.condition_names.index("axis_ratio")] = wanted
        rows[:, network.condition_names.index("sersic_index")] = 0.5  # a Gaussian has all moments
        rows[:, network.condition_names.index("psf_fwhm")] = 0.1
        xx, xy, _, yy = _moments(network.profile(rows)[:, 0])
        assert xy.abs().max() < 1e-3
        torch.testing.assert_close((yy / xx).sqrt(), wanted, atol=0.02, rtol=0)

    def test_a_sersic_index_of_one_is_an_exponential(self):
        network = build("galaxy-templates", **SMALL).eval()
        rows = _conditions(network, 1)
        for name, value in (("axis_ratio", 1.0), ("sersic_index", 1.0), ("psf_fwhm", 0.1)):
            rows[:, network.condition_names.index(name)] = value
        light = network.profile(rows)[0, 0, 40, 45:70].log()
        slope = (light[-1] - light[0]) / 24
        assert abs(float(slope) + 1.678 / 9) < 0.003


class TestForward:
    def test_flux_and_colours_are_those_asked_for(self, trained):
        rows = _conditions(trained, 20)
        with torch.inference_mode():
            light = trained(torch.randn(20, trained.n_latent), rows)
        g, r, i = light.double().sum((2, 3)).T
        torch.testing.assert_close(r, torch.ones_like(r), atol=1e-5, rtol=0)
        wanted = trained.column(rows, "g_r").double(), trained.column(rows, "r_i").double()
        torch.testing.assert_close(-2.5 * (g / r).log10(), wanted[0], atol=2e-5, rtol=0)
        torch.testing.assert_close(-2.5 * (r / i).log10(), wanted[1], atol=2e-5, rtol=0)
        assert light.min() >= 0
        assert (light[:, 1].flatten(1) @ trained.inside - 0.5).abs().max() < 1e-3

    def test_another_latent_is_another_galaxy_and_the_same_is_the_same(self, trained):
        rows = _conditions(trained, 1).expand(3, -1)
        latent = torch.randn(3, trained.n_latent)
        latent[2] = latent[0]
        with torch.inference_mode():
            first, other, again = trained(latent, rows)[:, 1]
        torch.testing.assert_close(first, again, atol=1e-7, rtol=1e-4)
        assert (first - other).abs().sum() > 0.02

    def test_rows_do_not_depend_on_their_batch(self, trained):
        rows, latent = _conditions(trained, 5), torch.randn(5, trained.n_latent)
        with torch.inference_mode():
            together, alone = trained(latent, rows), trained(latent[3:4], rows[3:4])
        torch.testing.assert_close(together[3:4], alone, atol=1e-7, rtol=1e-4)
        with torch.inference_mode():
            assert trained(latent[:0], rows[:0]).shape == (0, 3, 80, 80)

    def test_half_precision_keeps_flux_and_shape(self, trained):
        rows, latent = _conditions(trained, 8), torch.randn(8, trained.n_latent)
        with torch.inference_mode():
            exact = trained(latent, rows)
            with torch.autocast("cpu", torch.bfloat16):
                light = trained(latent, rows)
        assert light.dtype == torch.float32
        torch.testing.assert_close(light[:, 1].sum((1, 2)), torch.ones(8), atol=1e-5, rtol=0)
        assert ((light - exact).abs().sum((1, 2, 3)) / 3).max() < 0.05

    def test_gradients_reach_every_parameter(self, trained):
        rows, latent = _conditions(trained, 2), torch.randn(2, trained.n_latent)
        mean, variance = trained.posterior(trained(latent, rows), rows)
        (mean.square().sum() + variance.sum()).backward()
        for name, parameter in trained.named_parameters():
            assert parameter.grad is not None, name
        trained.zero_grad()

    def test_without_a_condition_that_it_needs_it_says_so(self):
        with pytest.raises(ValueError, match="axis_ratio"):
            GalaxyTemplateNetwork(["sersic_index", "g_r", "r_i"])


def test_templates_end_as_those_that_they_learn_from(trained):
    rows = _conditions(trained, 20)
    with torch.inference_mode():
        made = trained(torch.randn(20, trained.n_latent), rows)
    radius = elliptic_radius(80, trained.column(rows, "axis_ratio"))
    reach = petrosian_radius(made[:, 1], radius)[:, None, None]
    for band in made.unbind(1):
        beyond = (band * (radius > 1.02 * END * (1 + FADE) * reach)).sum((1, 2))
        assert (beyond < 1e-4 * band.sum((1, 2))).all()


def test_maps_of_four_leave_no_grid(trained):
    rows, latent = _conditions(trained, 3), torch.randn(3, trained.n_latent)
    other = copy.deepcopy(trained)
    bias = other.decoder.widen[-1].bias
    bias.data += torch.tensor([0.5, -0.5, -0.5, 0.5]).repeat(len(bias) // 4)
    with torch.inference_mode():
        torch.testing.assert_close(other(latent, rows), trained(latent, rows), atol=1e-7, rtol=1e-3)


def test_encoding_has_the_shape_of_the_latent_and_goes_through_the_flow(trained):
    rows = _conditions(trained, 4)
    with torch.inference_mode():
        light = trained(torch.randn(4, trained.n_latent), rows)
        latent, (mean, _) = trained.encode(light, rows), trained.posterior(light, rows)
        again = trained(latent, rows)
        code = torch.cat([mean, torch.zeros(4, trained.n_latent - trained.n_global)], 1)
        torch.testing.assert_close(again, trained.decode(code, rows), atol=1e-6, rtol=1e-3)
    assert latent.shape == (4, trained.n_latent)


def test_the_encoder_may_be_wider_than_the_decoder():
    network = GalaxyTemplateNetwork(**SMALL, encoder_widths=(24, 16, 12, 8)).eval()
    nothing = torch.full((2, len(network.condition_names)), torch.nan)
    conditions = network.complete(nothing, torch.rand(2, network.n_uniform))
    mean, _ = network.posterior(network.profile(conditions).expand(-1, 3, -1, -1), conditions)
    assert mean.shape == (2, SMALL["n_global"])
    assert network.encoder.blocks[-1].first.in_channels == 24
    assert network.decoder.blocks[0].first.in_channels == SMALL["widths"][0]


def test_the_flow_may_be_larger():
    network = GalaxyTemplateNetwork(**SMALL, flow_layers=3, flow_hidden=20)
    assert [len(layer[0].weight) for layer in network.flow.layers] == [20, 20, 20]


def test_the_flow_is_invertible_and_knows_its_volume():
    torch.manual_seed(0)
    flow = CouplingFlow(4, 1, n_layers=3, n_hidden=8)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    x, conditions = torch.randn(1, 4), torch.ones(1, 1)
    y = flow(x, conditions)
    back, volume = flow.inverse(y, conditions)
    torch.testing.assert_close(back, x, atol=1e-5, rtol=0)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v, conditions), x)
    determinant = jacobian.view(4, 4).det().abs().log()
    torch.testing.assert_close(-volume[0], determinant, atol=1e-4, rtol=0)


class TestHotDeck:
    """Conditions from a joint distribution that is known."""

    @staticmethod
    def _uniform(n, seed=1):
        return torch.rand(n, 1, generator=torch.Generator().manual_seed(seed))

    def test_nothing_given_is_the_whole_distribution(self, deck):
        rows = deck.complete(torch.full((6000, 4), torch.nan), self._uniform(6000)).numpy()
        assert abs(rows[:, 0].mean()) < 0.08
        assert abs(rows[:, 0].std() - 1) < 0.05
        assert abs(np.corrcoef(rows[:, 0], rows[:, 1])[0, 1] - 0.8) < 0.03

    @pytest.mark.parametrize("x", [-1.0, 0.0, 1.5])
    def test_what_is_given_stays_and_the_rest_follows(self, deck, x):
        given = torch.full((4000, 4), torch.nan)
        given[:, 0] = x
        rows = deck.complete(given, self._uniform(4000))
        assert (rows[:, 0] == x).all()
        # Kernels of 0.2 standard deviations, on 2,000 rows.
        assert abs(float(rows[:, 1].mean()) - 0.8 * x) < 0.12
        assert abs(float(rows[:, 1].std()) - 0.62) < 0.12

    def test_classes_sum_to_one_with_what_is_given(self, deck):
        given = torch.full((500, 4), torch.nan)
        given[:, 2] = torch.linspace(0, 1, 500)
        rows = deck.complete(given, self._uniform(500))
        torch.testing.assert_close(rows[:, 2], given[:, 2])
        torch.testing.assert_close(rows[:, 2:].sum(1), torch.ones(500), atol=1e-5, rtol=0)

    def test_the_same_uniform_number_gives_the_same_row_in_any_batch(self, deck):
        given, uniform = torch.full((1500, 4), torch.nan), self._uniform(1500)
        given[:, 1] = torch.linspace(-2, 2, 1500)
        rows = deck.complete(given, uniform)
        torch.testing.assert_close(
            rows[1200:1201], deck.complete(given[1200:1201], uniform[1200:1201])
        )
        assert deck.complete(given[:0], uniform[:0]).shape == (0, 4)

    def test_far_outside_the_nearest_rows_are_taken(self, deck):
        given = torch.full((50, 4), torch.nan)
        given[:, 0] = 40.0
        rows = deck.complete(given, self._uniform(50))
        assert (rows[:, 1] > 1).all()

    def test_support_is_even_within_and_one_far_outside(self, deck):
        rng = np.random.default_rng(5)
        x = rng.normal(size=1000)
        spiral = 1 / (1 + np.exp(-3 * x))
        more = np.stack([x, 0.8 * x + 0.6 * rng.normal(size=1000), spiral, 1 - spiral], axis=1)
        quantile = deck.support(torch.from_numpy(more.astype(np.float32)))
        assert abs(float(quantile.median()) - 0.5) < 0.06
        assert abs(float((quantile > 0.9).float().mean()) - 0.1) < 0.04
        assert deck.support(torch.tensor([[9.0, -9.0, 0.5, 0.5]])) == 1
        assert deck.support(torch.zeros(0, 4)).shape == (0,)
