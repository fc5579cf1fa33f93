"""The verb: which model is taken."""

import shutil

import astropy.units as u
import pytest
from numpy.testing import assert_array_equal

from astrodlkit import emulate_density_maps, load_model
from astrodlkit.exceptions import UnknownModelError
from astrodlkit.pretrained import _registry

SMALL = {"shape": (32, 32), "rng": 1}


@pytest.fixture
def bundle(folder, tmp_path, monkeypatch):
    """The model as if it came with the package."""
    for kind, name in (("cards", "web.json"), ("weights", "web.safetensors")):
        (tmp_path / kind).mkdir()
        shutil.copy(folder / name, tmp_path / kind)
    monkeypatch.setattr(_registry, "_HOME", tmp_path)


@pytest.mark.usefixtures("bundle")
def test_the_pixels_tell_the_model():
    maps = emulate_density_maps(2, box_size=64 * u.Mpc, **SMALL)
    assert maps.meta["model"] == "web.v1"
    assert_array_equal(emulate_density_maps(1, box_size=64 * u.Mpc, **SMALL).data, maps.data[:1])
    wide = emulate_density_maps(box_size=(64, 128) * u.Mpc, shape=(32, 64))
    assert wide.data.shape == (1, 32, 64)
    with pytest.raises(ValueError, match=r"pixels of 1.95312 x 1.95312 Mpc; web has pixels of"):
        emulate_density_maps()


def test_models_that_are_given(folder):
    maps = emulate_density_maps(box_size=64 * u.Mpc, model=folder, device="cpu", **SMALL)
    emulator = load_model(folder, device="cpu")
    again = emulate_density_maps(box_size=64 * u.Mpc, model=emulator, **SMALL)
    assert_array_equal(again.data, maps.data)
    with pytest.raises(ValueError, match=r"web.v1 has pixels of 2 Mpc"):
        emulate_density_maps(model=emulator)


def test_wrong_models(tmp_path, monkeypatch):
    with pytest.raises(UnknownModelError, match="no model is called 'web'"):
        emulate_density_maps(model="web")
    with pytest.raises(ValueError, match="model must be one for the task 'emulate', got <Cutout"):
        emulate_density_maps(model="galaxyzoo2")
    monkeypatch.setattr(_registry, "_HOME", tmp_path)
    with pytest.raises(UnknownModelError, match="no model is called 'cosmicweb-500mpc'"):
        emulate_density_maps()


def test_a_classifier_is_another_thing(folder):
    from astrodlkit import classify_cutouts
    from astrodlkit.classify import CutoutClassifier

    emulator = load_model(folder, device="cpu")
    with pytest.raises(ValueError, match="model must be one for the task 'classify', got <Density"):
        classify_cutouts([], model=folder)
    with pytest.raises(ValueError, match="card must be one for the task 'classify', got 'emulate'"):
        CutoutClassifier(emulator.card, emulator.module)
