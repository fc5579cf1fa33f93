import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from astrodlkit.exceptions import UnknownModelError, WeightsError
from astrodlkit.pretrained import _registry, describe_model, list_models, load_model, save_model


@pytest.fixture
def bundle(tmp_path, monkeypatch, card, module):
    """A package with a default model and another tag of it."""
    cards, weights = tmp_path / "package" / "cards", tmp_path / "package" / "weights"
    cards.mkdir(parents=True)
    weights.mkdir()
    for stem, tag in (("tiny", "v2"), ("tiny.v1", "v1")):
        written = save_model(tmp_path / stem, replace(card, tag=tag), module)
        named = replace(written, weights=replace(written.weights, file=f"{stem}.safetensors"))
        (tmp_path / stem / "tiny.safetensors").rename(weights / f"{stem}.safetensors")
        (cards / f"{stem}.json").write_text(named.to_json(), encoding="utf-8")
    (cards / "notes.txt").write_text("not a card")
    monkeypatch.setattr(_registry, "_HOME", tmp_path / "package")
    return tmp_path / "package"


def test_list_models(bundle):
    assert list_models() == ["tiny", "tiny.v1"]
    assert list_models("*.v1") == ["tiny.v1"]
    assert list_models("Tiny") == []
    assert list_models(task="classify") == ["tiny", "tiny.v1"]


def test_no_models(tmp_path, monkeypatch):
    monkeypatch.setattr(_registry, "_HOME", tmp_path)
    assert list_models() == []
    with pytest.raises(UnknownModelError, match="there are: none"):
        describe_model("tiny")


def test_list_models_wrong_arguments():
    with pytest.raises(TypeError, match=r"pattern must be a str such as 'galaxy\*', got None"):
        list_models(None)
    with pytest.raises(
        ValueError, match="task must be one of classify, emulate, simulate, or None; got 'cook'"
    ):
        list_models(task="cook")
    with pytest.raises(TypeError, match="positional"):
        list_models("*", "classify")


@pytest.mark.parametrize(("name", "tag"), [("tiny", "v2"), ("tiny.v2", "v2"), ("tiny.v1", "v1")])
def test_names_and_tags(bundle, classifier, name, tag):
    assert describe_model(name).tag == tag
    model = load_model(name, device="cpu")
    assert isinstance(model, classifier)
    assert model.card == describe_model(name)
    assert model.device == "cpu"
    assert not model.module.training


def test_unknown_names_are_answered_with_the_known(bundle):
    for function in (describe_model, load_model):
        with pytest.raises(
            UnknownModelError,
            match=r"no model is called 'tniy'; did you mean 'tiny'.*; there are: tiny, tiny.v1; a",
        ):
            function("tniy")
        with pytest.raises(UnknownModelError, match="'zebra'; there are: tiny"):
            function("zebra")
        with pytest.raises(UnknownModelError, match="''"):
            function("")


def test_a_broken_card_in_the_package_says_which(bundle):
    (bundle / "cards" / "bad.json").write_text("{}")
    with pytest.raises(ValueError, match=r"bad.json is not a model card: format"):
        list_models()


def test_a_path_is_taken(saved, classifier, monkeypatch):
    for name in (saved.folder, str(saved.folder), saved.json, str(saved.json)):
        assert describe_model(name) == saved.card
        assert load_model(name).card == saved.card
    monkeypatch.chdir(saved.folder.parent)
    assert load_model("model").card == saved.card
    monkeypatch.chdir(saved.folder)
    assert load_model("tiny.json").card == saved.card
    assert load_model(Path()).card == saved.card


def test_a_registered_name_goes_before_a_folder(bundle, saved, monkeypatch):
    (saved.folder.parent / "here").mkdir()
    monkeypatch.chdir(saved.folder.parent / "here")
    saved.folder.rename("tiny.v1")
    (bundle / "weights" / "tiny.v1.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="has 0 bytes"):
        load_model("tiny.v1")
    assert describe_model("./tiny.v1") == saved.card


def test_a_card_called_card(saved, classifier):
    saved.json.rename(saved.folder / "card.json")
    assert load_model(saved.folder).card == saved.card


def test_a_folder_must_hold_one_model(saved, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no model, that is a NAME.json beside"):
        describe_model(tmp_path)
    (saved.folder / "notes.json").write_text("{}")
    assert describe_model(saved.folder) == saved.card
    (saved.folder / "notes.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"several models: .*\['notes.json', 'tiny.json'\]"):
        load_model(saved.folder)


@pytest.mark.parametrize("name", ["none.json", "no/such/folder", "./none"])
def test_a_missing_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in (name, Path(name)):
        with pytest.raises(FileNotFoundError, match="there is no card file"):
            load_model(given)


def test_a_file_that_is_no_card(saved):
    with pytest.raises(ValueError, match=r"tiny.safetensors is not a model card"):
        describe_model(saved.weights)
    saved.json.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"tiny.json is not a model card: 'utf-8'"):
        describe_model(saved.folder)


def test_damaged_weights_in_a_folder(saved):
    saved.weights.write_bytes(saved.weights.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="truncated"):
        load_model(saved.folder)
    saved.weights.unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        load_model(saved.json)


def test_a_card_cannot_lead_out_of_its_folder(saved):
    text = saved.json.read_text(encoding="utf-8")
    saved.json.write_text(text.replace('"tiny.safetensors"', '"../tiny.safetensors"'))
    with pytest.raises(ValueError, match="file must be a bare name"):
        load_model(saved.json)


@pytest.mark.parametrize("name", [None, 3, b"tiny", ["tiny"]])
def test_wrong_types(name):
    for function in (describe_model, load_model):
        with pytest.raises(TypeError, match="name must be a str or path-like, got"):
            function(name)


def test_download_must_be_a_bool(saved):
    with pytest.raises(TypeError, match="download must be True or False, got 'yes'"):
        load_model(saved.folder, download="yes")


def test_listing_and_describing_load_no_torch(saved):
    script = (
        "import sys\n"
        "from astrodlkit import describe_model, list_models\n"
        "names = list_models()\n"
        f"for name in [*names, {str(saved.folder)!r}]:\n"
        "    print(describe_model(name))\n"
        "    describe_model(name)._repr_html_()\n"
        "heavy = {'torch', 'timm', 'safetensors', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Stars from galaxies" in done.stdout
