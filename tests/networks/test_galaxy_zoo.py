"""GalaxyZooNetwork and build."""

import pytest
import torch

from astrodlkit.networks import GalaxyZooNetwork, build


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return build("galaxy-zoo", backbone="tf_efficientnet_lite0").eval()


@pytest.mark.parametrize("side", [32, 80, 96, 97])
def test_shapes(network, side):
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        outputs = network(images)
        assert network.features(images).shape == (2, network.backbone.num_features)
    assert outputs["votes"].shape == (2, 37)
    torch.testing.assert_close(outputs["class"].sum(dim=1), torch.ones(2))


def test_tree_holds_under_bf16_autocast(network):
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        votes = network(images)["votes"]
    assert votes.dtype == torch.float32
    torch.testing.assert_close(votes[:, :3].sum(dim=1), torch.ones(2))
    torch.testing.assert_close(votes[:, 3:5].sum(dim=1), votes[:, 1])


def test_gradient_reaches_every_parameter():
    network = GalaxyZooNetwork()
    images = torch.randn(4, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    outputs = network(images)
    (outputs["class"][:, 0].sum() + outputs["votes"].square().sum()).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())


def test_classes_are_a_function_of_the_votes(network):
    features = torch.zeros(1, network.backbone.num_features)
    with torch.inference_mode():
        outputs = network.heads(features)
        again = network.classes(outputs["votes"]).softmax(dim=1)
    torch.testing.assert_close(outputs["class"], again)


def test_unknown_architecture():
    with pytest.raises(ValueError, match=r"must be one of \['density-maps', .*got 'vgg'"):
        build("vgg")


def test_wrong_options():
    with pytest.raises(ValueError, match=r"options \{'depth': 3\} do not fit"):
        build("galaxy-zoo", depth=3)


@pytest.mark.parametrize("architecture", ["galaxy-zoo", "timm"])
def test_a_backbone_never_comes_from_the_network(architecture):
    with pytest.raises(ValueError, match="backbone must be the name of a timm model, got 'hf-hub"):
        build(architecture, backbone="hf-hub:timm/resnet18.a1_in1k")
