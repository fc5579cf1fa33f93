"""fit_novelty."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from astrodlkit.networks import GalaxyZooNetwork
from astrodlkit.specs import InputSpec, Picture
from astrodlkit.training import fit_novelty
from astrodlkit.training._novelty import _ordering_form

SPEC = InputSpec(
    bands=("i", "r", "g"), shape=(48, 48), mean=(0.2,) * 3, std=(0.2,) * 3, stretch=Picture()
)


def images(n, seed):
    return torch.randn(n, 3, 48, 48, generator=torch.Generator().manual_seed(seed))


def make(kind):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return GalaxyZooNetwork(novelty=kind)


@pytest.mark.parametrize("kind", ["colour", "grey", "sources"])
def test_fills_every_buffer_and_nothing_else(kind):
    network = make(kind)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fit_novelty(network, [images(40, 1)], [images(30, 2)], spec=SPEC)
    assert network.training
    for name, value in network.state_dict().items():
        if name.startswith("novelty."):
            assert before[name].isnan().all()
            assert value.isfinite().all(), name
        else:
            torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_pieces_do_not_matter():
    whole, parts = make("colour"), make("colour")
    training, validation = images(90, 1), images(30, 2)
    fit_novelty(whole, [training], [validation], spec=SPEC)
    fit_novelty(parts, training.split(7), validation.split(11), spec=SPEC)
    probe = images(8, 3) * torch.linspace(0.8, 1.2, 8)[:, None, None, None]
    with torch.inference_mode():
        one, other = (n.eval()(probe)["novelty"] for n in (whole, parts))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_the_first_order_is_told_where_others_are_nearer_to_the_mean():
    rng = np.random.default_rng(6)
    # The other five are wider along one axis and narrower along the other.
    scatter = np.array([[1, 1], *[[1.5, 0.3]] * 5])
    rows, held = scatter * rng.normal(size=(2, 2000, 6, 2))
    form = _ordering_form(rows)
    assert_allclose(form, form.T, atol=1e-12)
    assert form[0, 0] > 0 > form[1, 1]
    right, euclid = (
        (np.einsum("noi,ij,noj->no", held, f, held).argmin(1) == 0).mean()
        for f in (form, np.eye(2))
    )
    assert right > euclid + 0.2


def test_where_orders_are_alike_nothing_is_bent():
    rows = np.random.default_rng(7).normal(size=(100, 1, 3)).repeat(6, axis=1)
    assert_allclose(_ordering_form(rows), np.eye(3), atol=1e-12)


def test_one_band_three_times_has_no_order():
    network = make("grey")
    grey = images(60, 4)[:, :1].expand(-1, 3, -1, -1)
    fit_novelty(network, [grey[:40]], [grey[40:]], spec=SPEC)
    with torch.inference_mode():
        values = network.eval()(grey)["novelty"]
        torch.testing.assert_close(network(grey.flip(1))["novelty"], values)
    assert ((values >= 0) & (values < 1)).all()


@pytest.mark.parametrize(
    ("kind", "training", "validation", "message"),
    [
        (None, 30, 30, "network must have been made with a novelty, such as"),
        ("colour", 19, 30, "training must have 20 images or more, got 19"),
        ("colour", 30, 5, "validation must have 20 images or more, got 5"),
    ],
)
def test_refusals(kind, training, validation, message):
    with pytest.raises(ValueError, match=message):
        fit_novelty(make(kind), [images(training, 1)], [images(validation, 2)], spec=SPEC)


def test_refuses_what_is_not_finite():
    broken = images(30, 1)
    broken[3, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="training must be finite images, row 0 or one after"):
        fit_novelty(make("colour"), [broken], [images(30, 2)], spec=SPEC)
