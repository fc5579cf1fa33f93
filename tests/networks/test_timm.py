"""TimmNetwork."""

import timm
import torch

from astrodlkit.networks import build

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_outputs_are_timms():
    network = build("timm", backbone="test_resnet", n_classes=4).eval()
    other = timm.create_model("test_resnet", num_classes=4).eval()
    other.load_state_dict(network.backbone.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(network(IMAGES)["class"], other(IMAGES).softmax(dim=1))
        pooled = other.forward_head(other.forward_features(IMAGES), pre_logits=True)
        torch.testing.assert_close(network.features(IMAGES), pooled)


def test_without_classes():
    network = build("timm", backbone="test_resnet").eval()
    with torch.inference_mode():
        assert network(IMAGES) == {}
        assert network.features(IMAGES).ndim == 2
