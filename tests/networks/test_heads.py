"""HeadsNetwork."""

import pytest
import torch

from astrodlkit.networks import HeadsNetwork, build

HEADS = [
    {"name": "class", "kind": "classes", "n": 3},
    {"name": "size", "kind": "numbers", "n": 2},
    {"name": "votes", "kind": "fractions", "n": 4},
    {"name": "colour", "kind": "numbers", "n": 1},
]


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return build("heads", backbone="mobilenetv3_small_050", heads=HEADS).eval()


def test_shapes_and_sums(network):
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        outputs = network(images)
    assert {name: tuple(values.shape) for name, values in outputs.items()} == {
        "class": (2, 3),
        "size": (2, 2, 2),
        "votes": (2, 4),
        "colour": (2, 1, 2),
    }
    for name in ("class", "votes"):
        assert outputs[name].dtype == torch.float32
        torch.testing.assert_close(outputs[name].sum(dim=1), torch.ones(2))
    assert (outputs["size"][..., 1] > 0).all()


def test_numbers_come_in_the_units_of_the_labels():
    network = HeadsNetwork("mobilenetv3_small_050", HEADS).eval()
    features = torch.randn(5, network.n_features)
    before = network.heads(features)
    network.set_units("colour", torch.tensor([-3.0]), torch.tensor([10.0]))
    after = network.heads(features)
    torch.testing.assert_close(after["colour"][..., 0], -3 + 10 * before["colour"][..., 0])
    torch.testing.assert_close(after["colour"][..., 1], 10 * before["colour"][..., 1])
    torch.testing.assert_close(after["size"], before["size"])
    # They travel with the weights.
    again = HeadsNetwork("mobilenetv3_small_050", HEADS).eval()
    again.load_state_dict(network.state_dict())
    torch.testing.assert_close(again.heads(features)["colour"], after["colour"])


def test_gradient_reaches_every_parameter():
    network = HeadsNetwork("mobilenetv3_small_050", HEADS)
    outputs = network(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    sum(values.square().sum() for values in outputs.values()).backward()
    assert all(p.grad is not None for p in network.parameters())
    assert all(bool(p.grad.any()) for p in network.layers.parameters())


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([], "one or more of different names"),
        ([HEADS[0], HEADS[0]], "one or more of different names"),
        ([{"name": "class", "kind": "classes", "n": 1}], "n of head 'class' must be 2 or more"),
        ([{"name": "class", "kind": "boxes", "n": 3}], "kind of a head must be one of"),
        ([{"name": "class", "n": 3}], "must have name, kind and n"),
    ],
)
def test_wrong_heads(heads, message):
    with pytest.raises(ValueError, match=message):
        HeadsNetwork("mobilenetv3_small_050", heads)


def test_units_are_for_numbers(network):
    with pytest.raises(ValueError, match="must be that of a head of numbers, got 'class'"):
        network.set_units("class", torch.zeros(3), torch.ones(3))
    with pytest.raises(ValueError, match="scale must be positive"):
        network.set_units("colour", torch.zeros(1), torch.zeros(1))
