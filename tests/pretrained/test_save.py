import json
from dataclasses import replace

import pytest
import torch

from astrodlkit import __version__
from astrodlkit.exceptions import WeightsError
from astrodlkit.pretrained import _weights, describe_model, save_model


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_written(saved, card):
    assert sorted(content(saved.folder)) == ["tiny.json", "tiny.safetensors"]
    assert saved.card == describe_model(saved.folder)
    assert saved.card.weights.bytes == saved.weights.stat().st_size
    assert saved.card.astrodlkit_version == __version__
    assert replace(saved.card, weights=None, astrodlkit_version="") == card
    assert json.loads(saved.json.read_text(encoding="utf-8"))["format"] == 1


def test_the_module_is_left_as_it_was(tmp_path, card, module):
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    save_model(tmp_path, card, module)
    assert module.training
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_saving_what_was_saved_changes_nothing(saved, tmp_path):
    module = _weights.load_module(saved.card, saved.folder)
    again = save_model(tmp_path / "again", saved.card, module)
    assert again == saved.card
    assert content(tmp_path / "again") == content(saved.folder)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_dtype(tmp_path, card, module, dtype):
    assert save_model(tmp_path, card, module, dtype=dtype).weights.dtype == dtype


@pytest.mark.parametrize("name", ["tiny.json", "tiny.safetensors"])
def test_never_over_existing_files(tmp_path, card, module, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match=f"{name} exists; pass overwrite=True"):
        save_model(tmp_path, card, module)
    assert content(tmp_path) == {name: b"mine"}
    written = save_model(tmp_path, card, module, overwrite=True)
    assert describe_model(tmp_path) == written


def test_nothing_is_left_of_a_failure(saved, card, module, monkeypatch):
    before = content(saved.folder)

    def fail(self, data):
        raise OSError("disk full")

    monkeypatch.setattr(_weights.Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(saved.folder, card, module, overwrite=True)
    assert content(saved.folder) == before


def test_what_could_not_be_loaded_is_not_written(tmp_path, card, module):
    folder = tmp_path / "model"
    with pytest.raises(WeightsError, match="do not agree"):
        save_model(folder, replace(card, options={"width": 5}), module)
    with pytest.raises(ValueError, match="architecture must be one of"):
        save_model(folder, replace(card, architecture="none"), module)
    with torch.no_grad():
        module.head.bias[0] = torch.nan
    with pytest.raises(WeightsError, match=r"not finite, in head.bias"):
        save_model(folder, card, module)
    assert not folder.exists()


def test_wrong_types(tmp_path, card, module):
    with pytest.raises(TypeError, match="folder must be a str or path-like, got 3"):
        save_model(3, card, module)
    with pytest.raises(TypeError, match=r"card must be a ModelCard, got \{\}"):
        save_model(tmp_path, {}, module)
    with pytest.raises(TypeError, match=r"module must be a torch.nn.Module, got OrderedDict"):
        save_model(tmp_path, card, module.state_dict())
    with pytest.raises(ValueError, match="dtype must be one of"):
        save_model(tmp_path, card, module, dtype="float8")
