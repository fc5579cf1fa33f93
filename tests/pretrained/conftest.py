from types import SimpleNamespace

import pytest
import torch
from torch import nn

import astrodlkit.networks
from astrodlkit.pretrained import Figure, Licence, ModelCard, Training, save_model
from astrodlkit.pretrained._card import TASKS
from astrodlkit.specs import Head, InputSpec, LuptonStretch, OutputSpec


class Tiny(nn.Module):
    """All kinds of tensors that a state dict has: matrices, vectors, integers."""

    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 2)

    def features(self, images):
        return self.norm(self.conv(images)).mean(dim=(2, 3))

    def forward(self, images):
        return {"kind": self.head(self.features(images)).softmax(dim=1)}


class FakeTimm(nn.Module):
    """What networks makes of a timm model: the model as ``backbone``."""

    def __init__(self, backbone, n_classes, *, global_pool="avg"):
        assert (backbone, global_pool) == ("resnet18", "avg")
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(3, n_classes or 8))


@pytest.fixture(autouse=True, scope="package")
def tiny_networks():
    build = astrodlkit.networks.build
    small = {"tiny": Tiny, "timm": FakeTimm}

    def with_tiny(architecture, **options):
        if architecture in small:
            return small[architecture](**options)
        return build(architecture, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(astrodlkit.networks, "build", with_tiny)
        yield


@pytest.fixture(scope="session")
def card():
    return ModelCard(
        name="tiny",
        tag="v1",
        title="Stars from galaxies",
        task="classify",
        architecture="tiny",
        options={"width": 4},
        input=InputSpec(
            bands=("i", "r", "g"),
            shape=(9, 8),
            mean=(0.1, 0.2, 0.3),
            std=(1.0, 1.0, 1.0),
            stretch=LuptonStretch(stretch=0.5, Q=5.0),
            width=4.24,
        ),
        output=OutputSpec(heads=(Head(name="kind", kind="classes", labels=("star", "galaxy")),)),
        training=Training(
            data="Made up",
            n_train=1000,
            n_validation=200,
            split="crc32 of the id",
            seed=1,
            recipe="recipes/tiny",
            date="2026-01-31",
        ),
        figures=[Figure(name="accuracy", value=0.95234, error=0.0041, n=200, split="validation")],
        licence=Licence(weights="BSD-3-Clause", data="none"),
        citations=["Nobody 2026"],
        intended_use="Tests.",
        not_for=["The sky."],
    )


@pytest.fixture
def module():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Tiny().eval()


@pytest.fixture
def saved(tmp_path, card, module):
    """A model in a folder: its card as written and the paths of its two files."""
    folder = tmp_path / "model"
    written = save_model(folder, card, module)
    return SimpleNamespace(
        folder=folder,
        card=written,
        json=folder / "tiny.json",
        weights=folder / "tiny.safetensors",
    )


@pytest.fixture
def classifier(monkeypatch):
    """A stand-in for the model object, so that loading is tested by itself."""

    class Classifier:
        def __init__(self, card, module, *, device):
            self.card, self.module, self.device = card, module, device

    monkeypatch.setitem(__import__("sys").modules, "fake_classify", SimpleNamespace(C=Classifier))
    monkeypatch.setitem(TASKS, "classify", "fake_classify:C")
    return Classifier
