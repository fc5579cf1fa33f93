"""Novelty: distances as quantiles."""

import pytest
import torch
from torch import nn

from astrodlkit.networks import GalaxyZooNetwork, Novelty
from astrodlkit.networks._novelty import fit_distance, fit_rank, moments, rank
from astrodlkit.specs import InputSpec, Picture
from astrodlkit.training import fit_novelty

SPEC = InputSpec(
    bands=("i", "r", "g"), shape=(64, 64), mean=(0.2,) * 3, std=(0.2,) * 3, stretch=Picture()
)
BACKBONE = "tf_efficientnet_lite0"


def draw(n, seed):
    """Red blobs in noise that is strongest in red, standardised."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 64)] * 2, indexing="ij")
    width = 0.2 + 0.2 * torch.rand(n, 1, 1, 1, generator=generator)
    light = torch.exp(-(x**2 + y**2) / (2 * width**2))
    colour = torch.tensor([0.8, 0.6, 0.5]) + 0.05 * torch.randn(n, 3, generator=generator)
    noise = torch.tensor([0.03, 0.02, 0.01])[:, None, None]
    noise = noise * torch.randn(n, 3, 64, 64, generator=generator)
    pictures = (colour[:, :, None, None] * light + 0.05 + noise).clamp(0, 1)
    return (pictures - 0.2) / 0.2


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = GalaxyZooNetwork(BACKBONE, novelty="colour").eval()
    fit_novelty(network, draw(200, 1).split(50), draw(200, 2).split(50), spec=SPEC)
    return network


def novelty(network, images):
    with torch.inference_mode():
        return network(images)["novelty"]


def test_is_a_quantile_of_images_like_those_of_validation(network):
    values = novelty(network, draw(200, 3))
    assert values.shape == (200, 1)
    assert values.dtype == torch.float32
    assert ((values >= 0) & (values < 1)).all()
    for quantile in (0.25, 0.5, 0.75):
        assert abs(float((values < quantile).float().mean()) - quantile) < 0.12


@pytest.mark.parametrize(
    "defect",
    [
        lambda x: x.flip(1),
        lambda x: x[:, [1, 0, 2]],
        lambda x: torch.full_like(x, -1),
        lambda x: torch.where(torch.arange(64) < 30, -1.0, x),
        lambda x: x.repeat_interleave(3, 2).repeat_interleave(3, 3)[..., 64:128, 64:128],
        lambda x: torch.where((torch.arange(64) - 30).abs() < 3, 3.0, x),
    ],
    ids=["reversed", "red and green", "blank", "half masked", "too narrow", "trail"],
)
def test_defects_are_far(network, defect):
    far = novelty(network, defect(draw(50, 4)))
    assert (far > 0.99).float().mean() > 0.9


def test_farther_than_all_of_validation_is_still_ranked(network):
    images = draw(1, 5)
    trail = torch.where((torch.arange(64) - 30).abs() < 3, 1.0, 0.0)
    values = novelty(network, torch.cat([images + 4 * s * trail for s in (1, 2, 4, 8)]))[:, 0]
    assert (values > 0.99).all()
    assert (values < 1).all()
    assert (values.diff() > 0).all()


def test_autocast_changes_the_feature_maps_alone(network):
    images = draw(100, 6)
    exact = novelty(network, images)
    with torch.inference_mode():
        _, maps = network.backbone.forward_intermediates(images, indices=network.novelty.indices)
        with torch.autocast("cpu", torch.bfloat16):
            same = network.novelty(images, maps)
    torch.testing.assert_close(same, exact, atol=1e-4, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = novelty(network, images)
    assert rounded.dtype == torch.float32
    # Random layers, and images that are all alike: a trained network differs by much less.
    assert float((rounded - exact).abs().mean()) < 0.05


def test_rows_do_not_see_each_other(network):
    images = draw(6, 7)
    images[2] = torch.nan
    values = novelty(network, images)
    assert torch.isnan(values[:, 0]).tolist() == [False, False, True, False, False, False]
    torch.testing.assert_close(values[3:], novelty(network, images[3:]), atol=1e-4, rtol=0)


def test_the_rest_of_the_answer_is_as_without(network):
    images = draw(4, 8)
    with torch.inference_mode():
        outputs = network(images)
        plain = network.heads(network.features(images))
    assert list(outputs) == [*plain, "novelty"]
    for name, values in plain.items():
        torch.testing.assert_close(outputs[name], values)


def test_travels_with_the_weights(network):
    again = GalaxyZooNetwork(BACKBONE, novelty="colour").eval()
    again.load_state_dict(network.state_dict())
    images = draw(4, 9)
    torch.testing.assert_close(novelty(again, images), novelty(network, images))


def test_nan_before_it_is_fitted_and_nothing_by_default():
    images = draw(2, 10)
    assert novelty(GalaxyZooNetwork(BACKBONE, novelty="grey").eval(), images).isnan().all()
    plain = GalaxyZooNetwork(BACKBONE).eval()
    assert "novelty" not in plain(images)
    assert not any("novelty" in name for name in plain.state_dict())


def test_less_than_a_megabyte_at_half_precision():
    novelty = Novelty(GalaxyZooNetwork().backbone, "colour")
    assert sum(2 * buffer.numel() for buffer in novelty.buffers()) < 1e6


@pytest.mark.parametrize(
    ("backbone", "kind", "message"),
    [
        (nn.Linear(1, 1), "colour", "Linear does not: pass novelty=None"),
        (
            None,
            "color",
            r"novelty must be one of \('colour', 'grey', 'sources'\) or None, got 'color'",
        ),
    ],
)
def test_refusals(network, backbone, kind, message):
    with pytest.raises(ValueError, match=message):
        Novelty(backbone or network.backbone, kind)


def test_distance_is_that_of_mahalanobis():
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(400, 400, generator=generator, dtype=torch.float64)
    rows = torch.randn(5000, 400, generator=generator, dtype=torch.float64) @ mix
    fitted = fit_distance(rows.mean(0), rows.T.cov())
    assert fitted["axes"].shape == (400, 256)
    assert (fitted["weights"].diff() >= 0).all()
    torch.testing.assert_close(fitted["std"], rows.std(0))


def test_rank_of_an_exponential_distribution_is_the_value_itself():
    values = -torch.log1p(-torch.linspace(0, 0.9999, 20_001, dtype=torch.float64))
    table = fit_rank(values)
    for value in (0.5, 1.0, 3.0, 4.5):
        assert abs(float(rank(torch.tensor([value]), table)) - value) < 0.03
    tail = rank(torch.tensor([5.0, 6.0, 60.0, 1e6]), table)
    assert (tail.diff() > 0).all()
    assert abs(float(tail[0]) - 5.0) < 0.15


def test_rank_forgives_one_distance_far_off():
    values = torch.cat([torch.linspace(0, 1, 200), torch.tensor([1e7])])
    quantile = -torch.expm1(-rank(torch.tensor([0.25, 0.5, 0.75]), fit_rank(values)))
    torch.testing.assert_close(quantile, torch.tensor([0.25, 0.5, 0.75]), atol=0.03, rtol=0)
    tails = [rank(torch.tensor([5.0]), fit_rank(part)) for part in (values, values[:-1])]
    torch.testing.assert_close(*tails, atol=0.5, rtol=0)


def test_rank_of_equal_distances():
    rarity = rank(torch.tensor([1.0, 2.0]), fit_rank(torch.ones(50)))
    assert torch.isfinite(rarity).all()
    assert rarity[0] < rarity[1]


def test_moments():
    maps = torch.arange(16.0).reshape(1, 2, 2, 4)
    expected = [3.5, 11.5, *[torch.arange(8.0).std(correction=0)] * 2]
    torch.testing.assert_close(moments(maps), torch.tensor([expected]))
    torch.testing.assert_close(moments(torch.ones(1, 1, 3, 3)), torch.tensor([[1.0, 0.0]]))
