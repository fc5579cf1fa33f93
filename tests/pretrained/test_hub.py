import inspect
import json
import sys
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace

import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.torch import save

from astrodlkit.exceptions import MissingDependencyError, UnknownModelError, WeightsError
from astrodlkit.pretrained import describe_model, load_model, save_model

REVISION = "0123456789abcdef0123456789abcdef01234567"
NAME = f"hf-hub:someone/a.model@{REVISION}"
TENSORS = {"1.weight": torch.arange(6.0).reshape(2, 3), "1.bias": torch.ones(2)}
CONFIG = {
    "architecture": "resnet18",
    "num_classes": 2,
    "num_features": 512,
    "label_names": ["smooth", "featured"],
    "pretrained_cfg": {
        "tag": "a1_in1k",
        "input_size": [3, 64, 48],
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "license": "apache-2.0",
    },
}


class RepositoryNotFoundError(OSError):
    pass


class RevisionNotFoundError(OSError):
    pass


class FakeHub:
    """The client's two calls that are used, on a folder."""

    utils = SimpleNamespace(
        RepositoryNotFoundError=RepositoryNotFoundError,
        RevisionNotFoundError=RevisionNotFoundError,
    )

    def __init__(self, folder):
        self.folder, self.fetched, self.revision = folder, [], REVISION

    def HfApi(self):  # noqa: N802
        return self

    def model_info(self, repo_id, *, revision, files_metadata):
        assert files_metadata
        if repo_id != "someone/a.model":
            raise RepositoryNotFoundError(repo_id)
        if revision != REVISION:
            raise RevisionNotFoundError(revision)
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        siblings = [
            SimpleNamespace(
                rfilename=path.relative_to(self.folder).as_posix(),
                lfs=SimpleNamespace(sha256=sha256(path.read_bytes()).hexdigest())
                if path.suffix in (".safetensors", ".bin")
                else None,
            )
            for path in paths
        ]
        return SimpleNamespace(sha=self.revision, siblings=siblings)

    def hf_hub_download(self, repo_id, filename, *, revision):
        assert (repo_id, revision) == ("someone/a.model", REVISION)
        self.fetched.append(filename)
        return str(self.folder / filename)


@pytest.fixture
def hub(tmp_path, monkeypatch, classifier):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "README.md").write_text("A model.")
    hub = FakeHub(folder)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


@pytest.fixture
def hub_with_card(hub, card, module):
    save_model(hub.folder, card, module)
    return hub


@pytest.fixture
def hub_with_timm(hub):
    (hub.folder / "config.json").write_text(json.dumps(CONFIG))
    (hub.folder / "model.safetensors").write_bytes(save(TENSORS))
    (hub.folder / "pytorch_model.bin").write_bytes(b"\x80")
    return hub


def configure(hub, **changes):
    config = {**CONFIG, **changes}
    (hub.folder / "config.json").write_text(json.dumps(config))


def test_a_model_with_a_card(hub_with_card):
    model = load_model(NAME, download=True, device="cpu")
    assert model.card == describe_model(hub_with_card.folder)
    assert model.device == "cpu"
    assert hub_with_card.fetched == ["tiny.json", "tiny.safetensors"]


def test_a_card_goes_before_a_timm_configuration(hub_with_timm, card, module):
    save_model(hub_with_timm.folder, card, module)
    assert load_model(NAME, download=True).card.name == "tiny"


def test_a_card_in_a_subfolder_is_not_looked_at(hub_with_timm, card, module):
    save_model(hub_with_timm.folder / "old", card, module)
    assert load_model(NAME, download=True).card.architecture == "timm"


def test_a_damaged_model_is_refused(hub_with_card):
    path = hub_with_card.folder / "tiny.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="has sha256"):
        load_model(NAME, download=True)


def test_a_card_without_its_weights_is_refused(hub_with_card):
    (hub_with_card.folder / "tiny.json").rename(hub_with_card.folder / "card.json")
    (hub_with_card.folder / "tiny.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"has no file 'tiny.safetensors'"):
        load_model(NAME, download=True)


def test_a_card_that_names_no_weights_is_refused(hub, card):
    (hub.folder / "card.json").write_text(card.to_json())
    with pytest.raises(WeightsError, match="names no weights"):
        load_model(NAME, download=True)


def test_a_timm_model(hub_with_timm):
    model = load_model(NAME, download=True)
    card = model.card
    assert card.full_name == "resnet18.a1_in1k"
    assert (card.architecture, card.options) == (
        "timm",
        {"backbone": "resnet18", "n_classes": 2},
    )
    assert card.input.shape == (64, 48)
    assert card.input.std == (0.229, 0.224, 0.225)
    assert card.output.heads[0].labels == ("smooth", "featured")
    assert card.licence.weights == "apache-2.0"
    assert NAME.removeprefix("hf-hub:") in card.title
    assert (card.weights.n_parameters, card.weights.dtype) == (8, "float32")
    assert not model.module.training
    assert_array_equal(model.module.backbone[1].weight.detach(), TENSORS["1.weight"])
    assert hub_with_timm.fetched == ["config.json", "model.safetensors"]


def test_a_timm_model_can_be_saved_and_used_without_the_hub(hub_with_timm, tmp_path):
    model = load_model(NAME, download=True)
    written = save_model(tmp_path / "copy", model.card, model.module, dtype="float32")
    assert load_model(tmp_path / "copy").card == written
    assert replace(written, weights=None, astrodlkit_version="") == replace(
        model.card, weights=None
    )


def test_a_timm_backbone_without_classes(hub_with_timm):
    configure(hub_with_timm, num_classes=0, label_names=[])
    (hub_with_timm.folder / "model.safetensors").write_bytes(
        save({"1.weight": torch.zeros(8, 3, dtype=torch.float16), "1.bias": torch.zeros(8)})
    )
    card = load_model(NAME, download=True).card
    assert card.output.heads == ()
    assert card.weights.dtype == "float16"


def test_old_timm_configurations(hub_with_timm):
    old = {**CONFIG["pretrained_cfg"], "architecture": "resnet18", "num_classes": 2}
    (hub_with_timm.folder / "config.json").write_text(json.dumps(old))
    assert load_model(NAME, download=True).card.output.heads[0].labels == ("0", "1")


def test_arguments_of_timm_are_kept(hub_with_timm):
    arguments = {"in_chans": 3, "num_classes": 2, "global_pool": "avg"}
    configure(hub_with_timm, model_args=arguments)
    card = load_model(NAME, download=True).card
    assert card.options == {"backbone": "resnet18", "n_classes": 2, "global_pool": "avg"}


def test_labels_that_stand_twice_are_told_apart(hub_with_timm):
    configure(hub_with_timm, label_names=["crane", "crane"])
    labels = load_model(NAME, download=True).card.output.heads[0].labels
    assert labels == ("crane (0)", "crane (1)")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": None}, "architecture in config.json must be a timm name, got None"),
        ({"architecture": "hf-hub:a/b"}, "must be a timm name, got 'hf-hub:a/b'"),
        ({"architecture": "../b"}, "must be a timm name"),
        ({"model_args": {"checkpoint_path": "x"}}, "that are not supported: checkpoint_path"),
        ({"label_names": ["one"]}, "names 1 labels for 2 classes"),
        ({"pretrained_cfg": {"input_size": [1, 8, 8]}}, "three channels, not 1"),
        ({"pretrained_cfg": {"input_size": 3}}, "is not a timm model that fits"),
        ({"pretrained_cfg": {"input_size": [3, 8, 8]}}, "lacks 'mean'"),
        ({"pretrained_cfg": 1}, "is not a timm model that fits"),
        ({"num_classes": "two"}, "is not a timm model that fits"),
    ],
)
def test_other_configurations_are_refused(hub_with_timm, changes, message):
    configure(hub_with_timm, **changes)
    with pytest.raises(UnknownModelError, match=message):
        load_model(NAME, download=True)


def test_a_configuration_that_is_no_mapping_is_refused(hub_with_timm):
    (hub_with_timm.folder / "config.json").write_text("[]")
    with pytest.raises(UnknownModelError, match="is not a timm model that fits"):
        load_model(NAME, download=True)


def test_pickled_weights_are_not_loaded(hub_with_timm):
    (hub_with_timm.folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"no file 'model.safetensors'; only safetensors are"):
        load_model(NAME, download=True)
    assert hub_with_timm.fetched == ["config.json"]


def test_timm_weights_are_checked(hub_with_timm, monkeypatch):
    path = hub_with_timm.folder / "model.safetensors"
    path.write_bytes(save({**TENSORS, "extra": torch.ones(1)}))
    with pytest.raises(WeightsError, match=r"'resnet18' do not agree; .* backbone.extra"):
        load_model(NAME, download=True)
    path.write_bytes(save({**TENSORS, "1.bias": torch.full((2,), torch.nan)}))
    with pytest.raises(WeightsError, match="not finite"):
        load_model(NAME, download=True)
    path.write_bytes(save({"1.weight": TENSORS["1.weight"], "a": torch.ones(1, 1).half()}))
    with pytest.raises(WeightsError, match="must store one type, got float16, float32"):
        load_model(NAME, download=True)
    other = hub_with_timm.folder.parent / "other.safetensors"
    other.write_bytes(save({"1.weight": torch.zeros(2, 3), "1.bias": torch.ones(2)}))
    fetch = hub_with_timm.hf_hub_download

    def fetch_other(repo, file, *, revision):
        return str(other) if file == path.name else fetch(repo, file, revision=revision)

    monkeypatch.setattr(hub_with_timm, "hf_hub_download", fetch_other)
    with pytest.raises(WeightsError, match="has sha256"):
        load_model(NAME, download=True)


def test_weights_without_a_checksum_are_refused(hub_with_timm, monkeypatch):
    info = hub_with_timm.model_info("someone/a.model", revision=REVISION, files_metadata=True)
    for item in info.siblings:
        item.lfs = None
    monkeypatch.setattr(hub_with_timm, "model_info", lambda *_, **__: info)
    with pytest.raises(WeightsError, match=r"has no sha256 for model.safetensors"):
        load_model(NAME, download=True)


def test_a_repository_without_a_model(hub):
    with pytest.raises(UnknownModelError, match="neither a model card nor a timm configuration"):
        load_model(NAME, download=True)


def test_what_the_hub_does_not_have(hub):
    for name in (NAME.replace("someone", "nobody"), NAME.replace("0", "f")):
        with pytest.raises(UnknownModelError, match=f"no model '{name}' on the hub"):
            load_model(name, download=True)
    hub.revision = "f" * 40
    with pytest.raises(WeightsError, match="the hub gave revision ffff"):
        load_model(NAME, download=True)


def test_nothing_without_download(hub_with_card):
    with pytest.raises(ValueError, match=r"download must be True to fetch 'hf-hub:someone/a.model"):
        load_model(NAME)
    with pytest.raises(ValueError, match=r"once it is loaded, load_model\(name, download=True\)"):
        describe_model(NAME)
    assert hub_with_card.fetched == []


@pytest.mark.parametrize(
    "name",
    [
        "hf-hub:",
        "hf-hub:someone/a.model",
        "hf-hub:someone/a.model@main",
        "hf-hub:someone/a.model@v1.0",
        f"hf-hub:someone/a.model@{REVISION[:7]}",
        f"hf-hub:someone/a.model@{REVISION.upper()}",
        f"hf-hub:someone/a.model@{REVISION}\n",
        f"hf-hub:a.model@{REVISION}",
        f"hf-hub:a/b/c@{REVISION}",
        f"hf-hub:../model@{REVISION}",
    ],
)
@pytest.mark.parametrize("download", [True, False])
def test_a_revision_must_be_pinned(hub, name, download):
    with pytest.raises(ValueError, match="with a full commit hash of 40 digits"):
        load_model(name, download=download)


def test_without_the_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'astrodlkit\[hub\]'"):
        load_model(NAME, download=True)


def test_the_real_client_has_what_is_used():
    hub = pytest.importorskip("huggingface_hub")
    inspect.signature(hub.HfApi().model_info).bind("a/b", revision="c", files_metadata=True)
    inspect.signature(hub.hf_hub_download).bind("a/b", "config.json", revision="c")
    assert issubclass(hub.utils.RepositoryNotFoundError, Exception)
    assert issubclass(hub.utils.RevisionNotFoundError, Exception)
    assert {"sha256"} <= set(hub.hf_api.BlobLfsInfo.__dataclass_fields__)
