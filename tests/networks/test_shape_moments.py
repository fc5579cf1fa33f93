"""Shapes of sources on black, and the novelty that is told from them."""

import pytest
import torch
from torch.nn.functional import avg_pool2d, pad

from astrodlkit.networks import GalaxyZooNetwork
from astrodlkit.networks._shape_moments import N_SHAPES, shape_moments
from astrodlkit.specs import InputSpec, PeakStretch
from astrodlkit.training import fit_novelty

MEAN, STD = 0.01, 0.07
SPEC = InputSpec(
    bands=("1.4 GHz",) * 3, shape=(96, 96), mean=(MEAN,) * 3, std=(STD,) * 3, stretch=PeakStretch()
)
STEEPEST, LIT, STEEP, COARSE, OFF, CUT, CUTS = range(N_SHAPES)


def blobs(at, width=1.3, n=96):
    """Pictures of sources with a beam's width; ``at``: offsets and peaks, shape (n, k, 3)."""
    y, x = torch.meshgrid(*[torch.arange(n) - (n - 1) / 2] * 2, indexing="ij")
    light = at[..., 2, None, None] * torch.exp(
        -((y - at[..., 0, None, None]) ** 2 + (x - at[..., 1, None, None]) ** 2) / (2 * width**2)
    )
    return stretched(light.sum(1))


def stretched(flux):
    """As `PeakStretch` does, with noise at a hundredth of the peak."""
    above = (flux / flux.amax((1, 2), keepdim=True) - 0.03).clamp(min=0)
    return (above / above.amax((1, 2), keepdim=True)).sqrt()


def draw(n, seed):
    """Two lobes and a core each."""
    generator = torch.Generator().manual_seed(seed)
    length = 12 * torch.rand(n, generator=generator)
    angle = 6.28 * torch.rand(n, generator=generator)
    lobe = torch.stack([length * angle.cos(), length * angle.sin()], dim=1)
    at = torch.stack([lobe, -lobe, torch.zeros(n, 2)], dim=1)
    at = at + 0.5 * torch.randn(n, 3, 2, generator=generator)
    peaks = 0.2 + 0.8 * torch.rand(n, 3, 1, generator=generator)
    return blobs(torch.cat([at, peaks], dim=2))


def images(pictures):
    return ((pictures - MEAN) / STD)[:, None].expand(-1, 3, -1, -1)


def shrunk(pictures):
    """Pixels three times too large."""
    small = avg_pool2d(pictures.square()[:, None], 3)[:, 0]
    return pad((small / small.amax((1, 2), keepdim=True)).sqrt(), (32,) * 4)


def cut(pictures):
    return torch.where(torch.arange(96) < 48, 0.0, pictures)


def peaks(pictures):
    """What noise leaves: a few white dots anywhere."""
    generator = torch.Generator().manual_seed(3)
    at = torch.rand(len(pictures), 4, 3, generator=generator)
    return blobs(at * torch.tensor([90.0, 90, 0.3]) + torch.tensor([-45, -45, 0.7]), 0.6)


def shifted(pictures):
    return pictures.roll(30, 2)


def striped(pictures):
    return torch.maximum(pictures, 0.3 * (torch.arange(96) % 9 < 3))


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = GalaxyZooNetwork(novelty="sources").eval()
    training, validation = (images(draw(n, seed)) for n, seed in ((300, 1), (200, 2)))
    fit_novelty(network, training.split(50), validation.split(50), spec=SPEC)
    return network


def novelty(network, pictures):
    with torch.inference_mode():
        return network(images(pictures))["novelty"][:, 0]


def test_is_a_quantile_of_images_like_those_of_validation(network):
    values = novelty(network, draw(200, 4))
    for quantile in (0.25, 0.5, 0.75):
        assert abs(float((values < quantile).float().mean()) - quantile) < 0.12


@pytest.mark.parametrize("defect", [shrunk, cut, peaks, shifted, striped])
def test_defects_are_far_though_no_fit_knew_of_them(network, defect):
    usual, far = novelty(network, draw(100, 5)), novelty(network, defect(draw(100, 6)))
    assert float((far[:, None] > usual).float().mean()) > 0.95


def test_black_and_white_are_far(network):
    flat = torch.stack([torch.zeros(96, 96), torch.ones(96, 96)])
    assert (novelty(network, flat) > 0.95).all()


def test_travels_with_the_weights(network):
    again = GalaxyZooNetwork(novelty="sources").eval()
    again.load_state_dict(network.state_dict())
    pictures = draw(4, 7)
    torch.testing.assert_close(novelty(again, pictures), novelty(network, pictures))


def test_rows_do_not_see_each_other(network):
    pictures = draw(6, 8)
    pictures[2] = torch.nan
    values = novelty(network, pictures)
    assert values.isnan().tolist() == [False, False, True, False, False, False]
    torch.testing.assert_close(values[3:], novelty(network, pictures[3:]), atol=1e-4, rtol=0)


def test_moments_do_not_turn_with_the_picture():
    pictures = draw(8, 9)
    expected = shape_moments(pictures)
    assert expected.shape == (8, N_SHAPES)
    for other in (torch.rot90(pictures, 1, (1, 2)), pictures.flip(2), pictures.mT):
        torch.testing.assert_close(shape_moments(other), expected, atol=1e-4, rtol=1e-4)


def test_each_moment_says_what_it_should():
    usual = shape_moments(blobs(torch.tensor([[[0.0, 0.0, 1.0]]])))[0]
    larger = shape_moments(blobs(torch.tensor([[[0.0, 0.0, 1.0]]]), width=4))[0]
    assert larger[LIT] > usual[LIT]
    assert larger[STEEP] < usual[STEEP]
    assert larger[STEEPEST] < usual[STEEPEST]
    assert larger[COARSE] > usual[COARSE]
    away = shape_moments(blobs(torch.tensor([[[0.0, 24.0, 1.0]]])))[0]
    assert abs(float(away[OFF].exp()) - 0.26) < 0.01
    torch.testing.assert_close(away[[LIT, STEEP]], usual[[LIT, STEEP]], atol=0.1, rtol=0)
    halved = shape_moments(cut(blobs(torch.tensor([[[0.0, 0.0, 1.0]]]), width=4)))[0]
    assert halved[CUT] > larger[CUT] + 2
    assert halved[CUTS] > larger[CUTS] + 2


def test_what_the_edge_of_the_picture_cuts_is_not_cut():
    middle = blobs(torch.tensor([[[0.0, 0.0, 1.0]]]), width=4)
    edge = blobs(torch.tensor([[[0.0, 48.0, 1.0]]]), width=4)
    torch.testing.assert_close(
        shape_moments(edge)[0, CUTS], shape_moments(middle)[0, CUTS], atol=0.5, rtol=0
    )


@pytest.mark.parametrize("shape", [(8, 8), (33, 50), (200, 96)])
def test_any_shape(shape):
    assert shape_moments(torch.rand(2, *shape)).isfinite().all()
