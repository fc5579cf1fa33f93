"""Models on the Hugging Face hub; the only file that knows its client."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._optional import import_optional
from ..exceptions import UnknownModelError, WeightsError
from ..specs import Head, InputSpec, OutputSpec, Picture
from ._card import ModelCard
from ._parts import Licence, Weights
from ._registry import pick_card, read_card
from ._weights import (
    build_module,
    count_parameters,
    fill,
    load_module,
    read_bytes,
    stored_dtypes,
    unpack,
    widen,
)

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["load_from_hub"]

_NAME = re.compile(r"hf-hub:([\w-][\w.-]*/[\w-][\w.-]*)@([0-9a-f]{40})", re.ASCII)
_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"


def load_from_hub(name: str, *, download: bool) -> tuple[ModelCard, Module]:
    """
    Fetch a model and put it through the same checks as a local one.

    Parameters
    ----------
    name : str
        ``"hf-hub:ORG/NAME@REVISION"``; the repository holds a card and weights
        as `save_model` writes them, or a timm model.
    download : bool
        Must be True.

    Returns
    -------
    card : ModelCard
        For a timm model made from its configuration.
    module : `~torch.nn.Module`
        Ready for use.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"name must be 'hf-hub:ORG/NAME@REVISION' with a full commit hash of 40 digits (a "
            f"branch or tag may change under you), got {name!r}"
        )
    if not download:
        raise ValueError(f"download must be True to fetch {name!r} over the network")
    repo, revision = match.groups()
    hub = import_optional("huggingface_hub", extra="hub", purpose="to load models from the hub")
    try:
        info = hub.HfApi().model_info(repo, revision=revision, files_metadata=True)
    except (hub.utils.RepositoryNotFoundError, hub.utils.RevisionNotFoundError) as exc:
        raise UnknownModelError(f"no model {name!r} on the hub") from exc
    if info.sha != revision:
        raise WeightsError(f"the hub gave revision {info.sha} of {repo}, asked for {revision}")
    listed = {item.rfilename: item for item in info.siblings}

    def fetch(file: str) -> Path:
        if file not in listed:
            raise WeightsError(f"{name!r} has no file {file!r}; only safetensors are loaded")
        return Path(hub.hf_hub_download(repo, file, revision=revision))

    card_file = pick_card(file for file in listed if "/" not in file)
    if card_file is not None:
        card = read_card(fetch(card_file))
        # Without weights load_module says what is wrong.
        folder = fetch(card.weights.file).parent if card.weights else Path()
        return card, load_module(card, folder)
    if _CONFIG not in listed:
        raise UnknownModelError(f"{name!r} holds neither a model card nor a timm configuration")
    try:
        card = _timm_card(json.loads(fetch(_CONFIG).read_text(encoding="utf-8")), name)
    except KeyError as exc:
        raise UnknownModelError(f"{_CONFIG} of {name!r} lacks {exc}") from exc
    except (AttributeError, TypeError, ValueError) as exc:
        raise UnknownModelError(f"{name!r} is not a timm model that fits: {exc}") from exc
    path = fetch(_WEIGHTS)
    if listed[_WEIGHTS].lfs is None:
        raise WeightsError(f"the hub has no sha256 for {_WEIGHTS} of {name!r}")
    return _load_timm(card, path, listed[_WEIGHTS].lfs.sha256)


def _load_timm(card: ModelCard, path: Path, sha256: str) -> tuple[ModelCard, Module]:
    data = read_bytes(path)
    stored = unpack(data, sha256, path.name)
    dtypes = stored_dtypes(stored)
    if len(dtypes) != 1:
        raise WeightsError(f"{path.name} must store one type, got {', '.join(sorted(dtypes))}")
    module = build_module(card)
    # networks holds the timm model as ``backbone``.
    tensors = {f"backbone.{name}": tensor for name, tensor in widen(stored).items()}
    fill(module, tensors, f"{path.name} and the timm model {card.name!r}")
    weights = Weights(
        file=path.name,
        sha256=sha256,
        n_parameters=count_parameters(module),
        dtype=dtypes.pop(),
        bytes=len(data),
    )
    return replace(card, weights=weights), module.eval()


def _timm_card(config: Mapping[str, Any], name: str) -> ModelCard:
    """A card from what timm's push_to_hf_hub writes, in its old and new form."""
    pretrained = config.get("pretrained_cfg", config)
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or not re.fullmatch(r"\w+", architecture):
        raise ValueError(f"architecture in {_CONFIG} must be a timm name, got {architecture!r}")
    arguments = {
        name: value
        for name, value in config.get("model_args", {}).items()
        if name not in ("in_chans", "num_classes")  # they stand elsewhere too
    }
    # Not any argument: timm's create_model has some that read files.
    if unknown := sorted(arguments.keys() - {"global_pool", "img_size"}):
        raise ValueError(f"model_args in {_CONFIG} that are not supported: {', '.join(unknown)}")
    n_channels, *shape = pretrained["input_size"]
    if n_channels != 3:
        raise ValueError(f"it must take three channels, not {n_channels}")
    n_classes = config.get("num_classes", pretrained.get("num_classes", 0))
    labels = config.get("label_names") or pretrained.get("label_names") or range(n_classes)
    # Labels of a column must differ; those of ImageNet do not.
    count = Counter(labels)
    labels = [
        f"{label} ({i})" if count[label] > 1 else str(label) for i, label in enumerate(labels)
    ]
    if len(labels) != n_classes:
        raise ValueError(f"{_CONFIG} names {len(labels)} labels for {n_classes} classes")
    heads = (Head(name="class", kind="classes", labels=tuple(labels)),) if labels else ()
    return ModelCard(
        name=architecture,
        tag=pretrained.get("tag") or "",
        title=f"timm model {name.removeprefix('hf-hub:')}",
        task="classify",
        architecture="timm",
        options={"backbone": architecture, "n_classes": n_classes, **arguments},
        input=InputSpec(
            bands=("red", "green", "blue"),
            shape=tuple(shape),
            mean=tuple(pretrained["mean"]),
            std=tuple(pretrained["std"]),
            stretch=Picture(white=255.0),
        ),
        output=OutputSpec(heads=heads),
        licence=Licence(
            weights=pretrained.get("license") or "not stated",
            data="not stated",
        ),
    )
