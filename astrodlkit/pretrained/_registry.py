"""Where models are found: in the package, or in a folder of the user's."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from .._typing import PathLike
from ..exceptions import UnknownModelError
from ._card import TASKS, ModelCard

__all__ = ["HUB", "describe_model", "find_model", "list_models", "pick_card", "read_card"]

HUB = "hf-hub:"

_HOME = files(__package__)


def list_models(pattern: str = "*", *, task: str | None = None) -> list[str]:
    """
    Names of the models that come with the package.

    Parameters
    ----------
    pattern : str
        Shell-style pattern for the names, such as ``"galaxy*"``.
    task : {'classify', 'emulate', 'simulate'}, optional
        Only models for this task.

    Returns
    -------
    names : list of str
        Sorted; what `describe_model` and `load_model` take.

    Raises
    ------
    TypeError
        If ``pattern`` is not a str.
    ValueError
        If there is no such task.

    Examples
    --------
    >>> from astrodlkit import list_models
    >>> list_models("no such*")
    []
    """
    if not isinstance(pattern, str):
        raise TypeError(f"pattern must be a str such as 'galaxy*', got {pattern!r}")
    if task is not None and task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, or None; got {task!r}")
    return sorted(
        name
        for name, card in _bundled().items()
        if fnmatchcase(name, pattern) and task in (None, card.task)
    )


def describe_model(name: PathLike) -> ModelCard:
    """
    The card of a model.

    Parameters
    ----------
    name : str or path-like
        A name of `list_models`, with or without the model's tag after a dot;
        or the path of a card file, or of a folder that holds one model.

    Returns
    -------
    card : `ModelCard`
        Prints well, and shows as a table in notebooks.

    Raises
    ------
    astrodlkit.exceptions.UnknownModelError
        If there is no such model; the message lists those there are.
    FileNotFoundError
        If there is no such file or folder, or no model in it.
    ValueError
        If the file is not a card.

    See Also
    --------
    list_models : What there is.
    load_model : The model itself.

    Examples
    --------
    >>> from astrodlkit import describe_model, list_models
    >>> for name in list_models():
    ...     card = describe_model(name)
    """
    if isinstance(name, str) and name.startswith(HUB):
        raise ValueError(
            f"name must be a registered model or a path, got {name!r}: what is on a hub is known "
            "once it is loaded, load_model(name, download=True).card"
        )
    return find_model(name)[0]


def find_model(name: PathLike) -> tuple[ModelCard, Traversable]:
    """
    The card of a model and the folder of its weight file.

    Parameters
    ----------
    name : str or path-like
        As for `describe_model`.

    Returns
    -------
    card : `ModelCard`
        The card.
    folder : path
        Where ``card.weights.file`` is.
    """
    if isinstance(name, str):
        cards = _bundled()
        for listed, card in cards.items():
            if name in (listed, card.full_name):
                return card, _HOME / "weights"
        if not (
            name.endswith(".json")
            or "/" in name
            or os.sep in name
            or (name and Path(name).is_dir())
        ):
            close = get_close_matches(name, cards, n=1)
            raise UnknownModelError(
                f"no model is called {name!r}"
                + (f"; did you mean {close[0]!r}?" if close else "")
                + f"; there are: {', '.join(sorted(cards)) or 'none'}; "
                "a path to a card or to a model's folder is taken too"
            )
    elif not isinstance(name, os.PathLike):
        raise TypeError(f"name must be a str or path-like, got {name!r}")
    path = Path(name)
    if path.is_dir():
        card_name = pick_card(item.name for item in path.iterdir())
        if card_name is None:
            raise FileNotFoundError(
                f"{path} holds no model, that is a NAME.json beside its NAME.safetensors"
            )
        path /= card_name
    return read_card(path), path.parent


def pick_card(names: Iterable[str]) -> str | None:
    """
    Which file of a folder is the card.

    Parameters
    ----------
    names : iterable of str
        All the files of the folder.

    Returns
    -------
    name : str or None
        ``card.json`` where there is one, otherwise the one JSON file beside a
        safetensors file of the same name; None if there is none.

    Raises
    ------
    ValueError
        If there are several.
    """
    names = set(names)
    if "card.json" in names:
        return "card.json"
    stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    cards = sorted(f"{stem}.json" for stem in stems if f"{stem}.safetensors" in names)
    if len(cards) > 1:
        raise ValueError(f"the folder holds several models: give the path of one of {cards}")
    return cards[0] if cards else None


def read_card(path: Traversable) -> ModelCard:
    """
    Read a card file.

    Parameters
    ----------
    path : path
        A JSON file.

    Returns
    -------
    card : `ModelCard`
        The checked card.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no card file {path}")
    try:
        return ModelCard.from_json(path.read_text(encoding="utf-8"))
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{path} is not a model card: {exc}") from exc


def _bundled() -> dict[str, ModelCard]:
    """Cards in the package; the file's name, ``name`` or ``name.tag``, is the listed one."""
    folder = _HOME / "cards"
    if not folder.is_dir():
        return {}
    return {
        path.name.removesuffix(".json"): read_card(path)
        for path in folder.iterdir()
        if path.name.endswith(".json")
    }
