"""Models that travel as a name and a checksum, and are loaded once in each process."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from os import PathLike as _PathLike
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from .._typing import PathLike
from ..engine import resolve_precision
from ..exceptions import WeightsError
from ..pretrained import ModelCard, describe_model, load_model
from ._allocator import keep_freed_memory

if TYPE_CHECKING:
    from ..classify._predictor import Predictor
    from ..galaxies import GalaxySimulator

__all__ = ["ModelName", "find_models", "load_predictor", "load_simulator"]

# Held while a model is loaded: threads of a process share it.
_LOADING = Lock()


@dataclass(frozen=True)
class ModelName:
    """
    What of a model travels.

    Parameters
    ----------
    name : str
        With its tag; or the path of its card or folder.
    sha256 : str
        Checksum of its weight file.
    """

    name: str
    sha256: str


def find_models(model: Any, *, task: str = "classify") -> tuple[list[ModelName], list[ModelCard]]:
    """
    The names under which workers find models, and their cards.

    Parameters
    ----------
    model : str or path-like; or a sequence of these
        As of `classify_cutouts`.
    task : str
        What they are for.

    Returns
    -------
    names : list of ModelName
        One for each model.
    cards : list of `~astrodlkit.ModelCard`
        Their cards.

    Raises
    ------
    TypeError
        If a model is neither a name nor a path.
    ValueError
        If one is for another task, or there is none.
    """
    several = isinstance(model, Sequence) and not isinstance(model, str)
    names, cards = [], []
    for each in model if several else (model,):
        if not isinstance(each, str | _PathLike):
            raise TypeError(
                "model must be a name or a path, by which workers load it themselves, got "
                f"{type(each).__name__}; model.save(folder) makes a path of a loaded one"
            )
        card = describe_model(each)
        if card.task != task:
            raise ValueError(f"model must be one for the task {task!r}, got {card.task!r}")
        if card.weights is None:
            raise ValueError(f"model {str(each)!r} has no weights")
        names.append(ModelName(_travelling(each, card), card.weights.sha256))
        cards.append(card)
    if not names:
        raise ValueError("model must be one or more models, got none")
    return names, cards


def _travelling(name: PathLike, card: ModelCard) -> str:
    """A name that means the same in another process, with another working folder."""
    try:
        bundled = describe_model(card.full_name).weights == card.weights
    except ValueError:
        bundled = False
    return card.full_name if bundled else str(Path(name).absolute())


def load_predictor(
    models: tuple[ModelName, ...], *, device: str, precision: str = "float32"
) -> "Predictor":
    """
    The classifier of one model or several; loaded at the first call in a process.

    Parameters
    ----------
    models : tuple of ModelName
        What travelled.
    device, precision : str
        As of `classify_cutouts`.

    Returns
    -------
    predictor : Predictor
        Ready to be shared by the threads of the process.

    Raises
    ------
    astrodlkit.exceptions.WeightsError
        If what is found by a name has another checksum.
    """
    with _LOADING:
        return _loaded(models, device, precision)


def load_simulator(model: ModelName, *, device: str) -> "GalaxySimulator":
    """
    The simulator of a model; loaded at the first call in a process.

    Parameters
    ----------
    model : ModelName
        What travelled.
    device : str
        As of `simulate_galaxies`.

    Returns
    -------
    simulator : GalaxySimulator
        Ready to be shared by the threads of the process.

    Raises
    ------
    astrodlkit.exceptions.WeightsError
        If what is found by its name has another checksum.
    """
    with _LOADING:
        return _loaded_simulator(model, device)


@lru_cache(maxsize=4)
def _loaded_simulator(model: ModelName, device: str) -> "GalaxySimulator":
    found: GalaxySimulator = _load(model, device)
    return found


def _load(model: ModelName, device: str) -> Any:
    """A model, which must be that of where the call was made."""
    keep_freed_memory()
    found = load_model(model.name, device=device)
    weights = found.card.weights
    if weights is None or weights.sha256 != model.sha256:
        raise WeightsError(
            f"the model {model.name!r} is another one here: its sha256 is "
            f"{'missing' if weights is None else weights.sha256}, not {model.sha256} as where "
            "the call was made; all workers need the same astrodlkit and the same files"
        )
    return found


@lru_cache(maxsize=4)
def _loaded(models: tuple[ModelName, ...], device: str, precision: str) -> "Predictor":
    from ..classify import ClassifierEnsemble

    members = []
    for model in models:
        found = _load(model, device)
        # The copy is made here, so that no piece waits for it.
        chosen = resolve_precision(
            precision, found.device, difference=partial(getattr, found, "bfloat16_difference")
        )
        found.copies.get(found.module, chosen)
        members.append(found)
    return members[0] if len(members) == 1 else ClassifierEnsemble(members)
