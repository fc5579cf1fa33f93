"""What every model that comes with the package must fulfil."""

from hashlib import sha256
from importlib.resources import files

import numpy as np
import pytest
import torch

from astrodlkit.pretrained import describe_model, list_models, load_model

WEIGHTS = files("astrodlkit.pretrained") / "weights"
NAMES = list_models()

# With no model yet, pytest skips these tests and says that there is nothing to run them on.
every_model = pytest.mark.parametrize("name", NAMES)


@every_model
def test_names_agree(name):
    card = describe_model(name)
    assert name in (card.name, card.full_name)
    assert describe_model(card.full_name) == card


@every_model
def test_weights_are_those_of_the_card(name):
    weights = describe_model(name).weights
    data = (WEIGHTS / weights.file).read_bytes()
    assert sha256(data).hexdigest() == weights.sha256
    assert len(data) == weights.bytes <= 10_000_000


@every_model
def test_the_card_is_complete(name):
    card = describe_model(name)
    assert card.tag
    assert card.training
    assert card.training.n_train > 0
    assert card.training.n_validation > 0
    assert card.figures
    assert all(figure.error > 0 and figure.n > 1 for figure in card.figures)
    assert card.licence
    assert card.citations
    assert card.intended_use
    assert card.not_for
    assert card.astrodlkit_version
    assert {
        "classify": lambda: card.output.heads,
        "emulate": lambda: card.maps.fixed,
        "simulate": lambda: card.templates.domain,
    }[card.task]()


@every_model
def test_the_module_loads_and_keeps_the_contract_of_its_card(name):
    model = load_model(name, device="cpu")
    assert not model.module.training
    if model.card.task == "emulate":
        assert model.module.pixel == pytest.approx(model.card.maps.pixel)
        return
    if model.card.task == "simulate":
        assert model.module.side == model.card.templates.side
        return
    images = torch.from_numpy(
        np.random.default_rng(1).normal(size=(2, 3, *model.card.input.shape)).astype("f4")
    )
    with torch.inference_mode():
        outputs = model.module(images)
        features = model.module.features(images)
    assert features.ndim == 2
    for head in model.card.output.heads:
        shape = (2, len(head.labels))
        # Numbers come with their deviations.
        assert outputs[head.name].shape == ((*shape, 2) if head.kind == "numbers" else shape)
        assert bool(outputs[head.name].isfinite().all())


def test_all_weights_together_are_small():
    present = list(WEIGHTS.iterdir()) if WEIGHTS.is_dir() else []
    assert sum(len(path.read_bytes()) for path in present) <= 60_000_000
    named = {describe_model(name).weights.file for name in NAMES}
    assert {path.name for path in present if path.name.endswith(".safetensors")} == named
