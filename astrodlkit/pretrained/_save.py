"""A trained network, written as a card and a weight file."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from .._typing import PathLike
from ._card import ModelCard
from ._parts import Weights
from ._weights import count_parameters, load_module, pack, write_whole

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["save_model"]


def save_model(
    folder: PathLike,
    card: ModelCard,
    module: Module,
    *,
    dtype: str = "float16",
    overwrite: bool = False,
) -> ModelCard:
    """
    Write a model into a folder that `load_model` reads.

    Parameters
    ----------
    folder : str or path-like
        Where ``NAME.safetensors`` and ``NAME.json`` go, NAME being the card's
        name; made if need be.
    card : `ModelCard`
        What is known of the model; its ``weights`` and ``astrodlkit_version``
        are filled in.
    module : `~torch.nn.Module`
        The trained network, of the architecture and options that the card
        names.
    dtype : {'float16', 'bfloat16', 'float32'}
        Type to store floating-point tensors of two or more dimensions in.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    card : `ModelCard`
        The card as written.

    Raises
    ------
    FileExistsError
        If one of the files exists and ``overwrite`` is not set.
    astrodlkit.exceptions.WeightsError
        If a value is not finite, or not in ``dtype``, or the card's
        architecture and options do not give a network like ``module``.

    Notes
    -----
    What is about to be written goes through the checks of `load_model`
    first. Then both files are written under temporary names and moved into
    place, the card last.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astrodlkit.networks import build
    >>> from astrodlkit.pretrained import ModelCard, describe_model, save_model
    >>> from astrodlkit.specs import Head, InputSpec, OutputSpec, Picture
    >>> options = {"backbone": "mobilenetv3_small_050", "n_classes": 2}
    >>> card = ModelCard(
    ...     name="rings",
    ...     title="Ringed galaxies",
    ...     task="classify",
    ...     architecture="galaxy-zoo",
    ...     options=options,
    ...     input=InputSpec(bands=("i", "r", "g"), shape=(96, 96), mean=(0.1,) * 3,
    ...                     std=(0.2,) * 3, stretch=Picture()),
    ...     output=OutputSpec(
    ...         heads=(Head(name="class", kind="classes", labels=("ring", "other")),)
    ...     ),
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     written = save_model(folder, card, build("galaxy-zoo", **options))
    ...     describe_model(folder) == written
    True
    """
    import torch

    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be a str or path-like, got {folder!r}")
    if not isinstance(card, ModelCard):
        raise TypeError(f"card must be a ModelCard, got {card!r}")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {module!r}")
    # One entry: safetensors writes several in any order, and the checksum would change.
    data = pack(module.state_dict(), dtype, {"model": card.full_name})
    weights = Weights(
        file=f"{card.name}.safetensors",
        sha256=sha256(data).hexdigest(),
        n_parameters=count_parameters(module),
        dtype=dtype,
        bytes=len(data),
    )
    card = replace(card, weights=weights, astrodlkit_version=__version__)
    load_module(card, data)
    folder = Path(folder)
    write_whole(
        {
            folder / weights.file: data,
            folder / f"{card.name}.json": card.to_json().encode(),
        },
        overwrite,
    )
    return card
