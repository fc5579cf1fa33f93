"""Copies of networks: the same numbers, and the network untouched."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from torch.nn import functional

from astrodlkit.engine import InferenceCopies, _folding, run_batches
from astrodlkit.engine._folding import FoldedConvolution
from astrodlkit.networks import build

CPU = torch.device("cpu")
SHAPE = (3, 32, 32)


def settle(module):
    """Statistics and weights as of a trained network, not those of a new one."""
    generator = torch.Generator().manual_seed(2)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats:
            layer.running_mean.normal_(0, 0.3, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            if layer.affine:
                nn.init.normal_(layer.weight, 1, 0.2, generator=generator)
                nn.init.normal_(layer.bias, 0, 0.2, generator=generator)
    return module.eval()


def images(n=8, shape=SHAPE):
    return np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)


def run(module, precision="float32", x=None):
    x = images() if x is None else x
    return run_batches(module, x, batch_size=32, device=CPU, precision=precision)["out"]


class Small(nn.Module):
    """What networks are made of; the parts are given by each test."""

    def __init__(self, *layers):
        super().__init__()
        self.body = nn.Sequential(*layers)

    def features(self, x):
        return self.body(x).float().mean(dim=(2, 3))

    def forward(self, x):
        return {"out": self.features(x)}


class SamePadding(nn.Conv2d):
    """As many pixels come out as go in, over the stride; an odd margin is at the end."""

    def forward(self, x):
        missing = [
            max((-(-size // s) - 1) * s + k - size, 0)
            for size, s, k in zip(
                x.shape[:1:-1], self.stride[::-1], self.kernel_size[::-1], strict=False
            )
        ]
        margins = [m for size in missing for m in (size // 2, size - size // 2)]
        return super().forward(functional.pad(x, margins))


def folded(module):
    return [layer for layer in module.modules() if isinstance(layer, FoldedConvolution)]


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()],
        [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU6(inplace=True)],
        [nn.Conv2d(3, 8, (3, 5), padding=(0, 2), bias=False), nn.BatchNorm2d(8), nn.SiLU()],
        [nn.Conv2d(3, 8, 3, dilation=2), nn.BatchNorm2d(8, affine=False), nn.Hardswish()],
        [nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 5, groups=8, padding=2), nn.BatchNorm2d(8)],
        [nn.Conv2d(3, 8, 1), SamePadding(8, 8, 3, stride=2, groups=8), nn.BatchNorm2d(8)],
        [nn.Conv2d(3, 8, 1), SamePadding(8, 8, 5, stride=2, groups=4), nn.BatchNorm2d(8)],
        [nn.Conv2d(3, 8, 1), SamePadding(8, 16, (5, 2), stride=(3, 2)), nn.BatchNorm2d(16)],
        [nn.Conv2d(3, 8, 1), SamePadding(8, 8, 3, dilation=1, stride=1, groups=2), nn.ReLU()],
    ],
)
@pytest.mark.parametrize("onednn", [True, False])
def test_all_layers_are_folded_and_the_numbers_are_the_same(layers, onednn, monkeypatch):
    if not onednn:
        # As on a GPU.
        monkeypatch.setattr(_folding, "_has_onednn", lambda dtype: False)
    torch.manual_seed(0)
    module = settle(Small(*layers))
    copies = InferenceCopies(SHAPE)
    copy = copies.get(module, "float32")
    assert len(folded(copy)) == sum(isinstance(layer, nn.Conv2d) for layer in layers)
    assert not any(isinstance(layer, (nn.Conv2d, nn.BatchNorm2d)) for layer in copy.modules())
    assert_allclose(run(copy), run(module), rtol=1e-5, atol=1e-5)
    assert_allclose(run(copies.get(module, "bfloat16"), "bfloat16"), run(module), atol=0.02)


class WithAShortcut(Small):
    """The activation sees the sum, which is written over the batch norm's numbers."""

    def features(self, x):
        y = self.body[1](self.body[0](x))
        y += x
        return self.body[2](y).mean(dim=(2, 3))


class WithASecondTaker(Small):
    """What the batch norm gives is needed twice, which watching the layers does not show."""

    def features(self, x):
        y = self.body[1](self.body[0](x))
        return (self.body[2](y) - 2 * y).mean(dim=(2, 3))


class CalledTwice(Small):
    """One convolution, two batch norms."""

    def features(self, x):
        return (self.body[1](self.body[0](x)) + self.body[2](self.body[0](-x))).mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("kind", "layers", "expected"),
    [
        (WithAShortcut, [nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()], 1),
        (WithASecondTaker, [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()], 0),
        (CalledTwice, [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.BatchNorm2d(8)], 0),
        (Small, [nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(8)], 0),
        (Small, [nn.Conv2d(3, 8, 3, padding="same"), nn.ReLU()], 0),
        (Small, [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8)], 1),
        (Small, [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False)], 1),
        (Small, [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.SiLU()], 1),
        (Small, [nn.Conv2d(3, 8, 3), nn.GELU()], 1),
        (Small, [nn.AvgPool2d(2)], 0),
    ],
)
def test_what_cannot_be_folded_is_left(kind, layers, expected):
    torch.manual_seed(0)
    module = settle(kind(*layers))
    for precision, tolerance in (("float32", 1e-5), ("bfloat16", 0.02)):
        copy = InferenceCopies(SHAPE).get(module, precision)
        assert len(folded(copy)) == expected
        assert_allclose(run(copy, precision), run(module), atol=tolerance)


def test_the_network_is_left_as_it_is():
    module = settle(Small(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    copies = InferenceCopies(SHAPE)
    for precision in ("float32", "bfloat16"):
        run(copies.get(module, precision), precision)
    assert list(module.state_dict()) == list(before)
    for name, tensor in module.state_dict().items():
        assert_array_equal(tensor, before[name])
        assert tensor.dtype == before[name].dtype
    assert not any(layer._forward_hooks for layer in module.modules())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_copy_is_kept_until_the_network_changes():
    module = settle(Small(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))
    copies = InferenceCopies(SHAPE)
    first = copies.get(module, "float32")
    assert copies.get(module, "float32") is first
    assert copies.get(module, "bfloat16") is not first
    assert copies.get(module, "float32") is first

    def step():
        module.body[0].weight.grad = torch.ones_like(module.body[0].weight)
        torch.optim.SGD(module.parameters(), 0.1).step()

    def load():
        module.load_state_dict({n: t + 0.1 for n, t in module.state_dict().items()})

    def buffer():
        module.body[1].running_mean.add_(1)

    def replace():
        module.body[0].weight = nn.Parameter(module.body[0].weight + 0.1)

    for change in (step, load, buffer, replace):
        before = run(copies.get(module, "float32"))
        change()
        after = run(copies.get(module, "float32"))
        assert np.abs(after - before).max() > 1e-3
        assert_allclose(after, run(module), atol=1e-5)


class Slow(Small):
    """There is time to be interrupted between two layers."""

    def features(self, x):
        for layer in self.body:
            x = layer(x)
            time.sleep(0.02)
        return x.mean(dim=(2, 3))


def test_threads_that_ask_at_once_get_one_copy():
    torch.manual_seed(0)
    module = settle(Slow(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3)))
    copies = InferenceCopies(SHAPE)
    asked = ["float32", "bfloat16"] * 4
    with ThreadPoolExecutor(len(asked)) as pool:
        found = list(pool.map(lambda precision: copies.get(module, precision), asked))
    for start in range(2):
        assert len({id(copy) for copy in found[start::2]}) == 1
        assert len(folded(found[start])) == 2
    assert_allclose(run(found[0]), run(module), rtol=1e-5, atol=1e-5)


def test_a_network_can_be_used_while_it_is_copied():
    hooks = []

    class Watched(Small):
        def features(self, x):
            hooks.extend(hook for layer in module.modules() for hook in layer._forward_hooks)
            return super().features(x)

    module = settle(Watched(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    assert len(folded(InferenceCopies(SHAPE).get(module, "float32"))) == 1
    assert not hooks


def test_a_network_made_in_inference_mode():
    with torch.inference_mode():
        module = settle(Small(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    assert_allclose(run(InferenceCopies(SHAPE).get(module, "float32")), run(module), atol=1e-5)


def test_bfloat16_keeps_the_sums_of_depthwise_kernels():
    torch.manual_seed(0)
    module = settle(Small(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 5, groups=8, padding=2)))
    first, second = folded(InferenceCopies(SHAPE).get(module, "bfloat16"))
    assert (first.weight.dtype, first.bias.dtype) == (torch.float32, torch.float32)
    assert (second.weight.dtype, second.bias.dtype) == (torch.bfloat16, torch.float32)
    weight = module.body[1].weight.detach().flatten(1)
    wrong = (second.weight.float().flatten(1).sum(1) - weight.sum(1)).abs()
    plain = (weight.bfloat16().float().sum(1) - weight.sum(1)).abs()
    # What is left is the rounding of the last element.
    assert (wrong <= 2**-9 * weight.abs().max()).all()
    assert wrong.mean() < plain.mean()


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "resnet18", "convnext_atto"])
def test_networks_of_timm(backbone):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = settle(build("timm", backbone=backbone, n_classes=4))
    x = images(5, (3, 64, 64))
    copies = InferenceCopies((3, 64, 64))
    exact, found, rounded = (
        run_batches(network, x, batch_size=8, device=CPU, precision=precision)["class"]
        for network, precision in (
            (module, "float32"),
            (copies.get(module, "float32"), "float32"),
            (copies.get(module, "bfloat16"), "bfloat16"),
        )
    )
    assert folded(copies.get(module, "float32"))
    assert_allclose(found, exact, atol=1e-5)
    assert_allclose(rounded, exact, atol=0.05)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_neighbours_and_numbers_of_images_do_not_matter(precision):
    torch.manual_seed(0)
    module = settle(build("timm", backbone="tf_efficientnet_lite0", n_classes=4))
    network = InferenceCopies((3, 64, 64)).get(module, precision)
    x = images(40, (3, 64, 64))
    whole = run_batches(network, x, batch_size=64, device=CPU, precision=precision)["class"]
    for rows in ([3], [0, 39], range(7), range(39, 22, -1)):
        part = run_batches(network, x[rows], batch_size=5, device=CPU, precision=precision)
        # Other numbers of images are other kernels, whose sums are in another order.
        assert_allclose(part["class"], whole[rows], atol=3e-6)
