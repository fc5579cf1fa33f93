"""ModelCard: what a model is, eats and gives, how it was made and how good it is."""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import date
from functools import partial
from math import isfinite
from numbers import Integral, Real
from typing import Any, Self, TypeVar

from ..specs import InputSpec, OutputSpec
from ..specs._record import Record
from ._describe import card_html, card_text

__all__ = ["DTYPES", "TASKS", "Figure", "Licence", "ModelCard", "Training", "Weights"]

FORMAT = 1  # of the JSON file; raised when a card could no longer be read by older code

TASKS = {"classify": "astrodlkit.classify:CutoutClassifier"}
DTYPES = ("float16", "bfloat16", "float32")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.safetensors")
_SHA256 = re.compile(r"[0-9a-f]{64}")

_Part = TypeVar("_Part", bound=Record)


@dataclass(frozen=True)
class Weights(Record):
    """
    The one weight file of a model.

    Parameters
    ----------
    file : str
        Bare name of the safetensors file.
    sha256 : str
        Checksum of the file, 64 lower-case hexadecimal digits.
    n_parameters : int
        Number of parameters of the network.
    dtype : {'float16', 'bfloat16', 'float32'}
        Type in which the file stores all tensors of two or more dimensions.
    bytes : int
        Size of the file.
    """

    file: str
    sha256: str
    n_parameters: int
    dtype: str
    bytes: int

    def __post_init__(self) -> None:
        _check_types(self)
        _check(_FILE.fullmatch(self.file), self, "file", "a bare name like 'name.safetensors'")
        _check(_SHA256.fullmatch(self.sha256), self, "sha256", "64 lower-case hexadecimal digits")
        _check(self.dtype in DTYPES, self, "dtype", f"one of {', '.join(DTYPES)}")
        _check(self.n_parameters >= 0, self, "n_parameters", "at least 0")
        _check(self.bytes > 0, self, "bytes", "at least 1")


@dataclass(frozen=True)
class Training(Record):
    """
    How a model was made.

    Parameters
    ----------
    data : str
        The data, in words.
    n_train, n_validation : int
        Number of rows trained on, and kept apart to judge the result.
    split : str
        The rule that parts them.
    seed : int
        Seed of the random numbers.
    recipe : str
        Path of the recipe in the repository.
    date : str
        Day of the training, as YYYY-MM-DD.
    """

    data: str
    n_train: int
    n_validation: int
    split: str
    seed: int
    recipe: str
    date: str

    def __post_init__(self) -> None:
        _check_types(self)
        _check(self.n_train >= 0, self, "n_train", "at least 0")
        _check(self.n_validation >= 0, self, "n_validation", "at least 0")
        _check(_is_day(self.date), self, "date", "a day like '2026-01-31'")


@dataclass(frozen=True)
class Figure(Record):
    """
    One measured figure of merit.

    Parameters
    ----------
    name : str
        What was measured.
    value, error : float
        The figure and its one-sigma uncertainty, in the same unit.
    n : int
        Number of rows it was measured on.
    split : str
        Which rows these are, for example ``"validation"``.
    note : str, optional
        How it was measured.
    """

    name: str
    value: float
    error: float
    n: int
    split: str
    note: str = ""

    def __post_init__(self) -> None:
        _check_types(self)
        _check(self.error >= 0, self, "error", "at least 0")
        _check(self.n > 0, self, "n", "at least 1")


@dataclass(frozen=True)
class Licence(Record):
    """
    What may be done with a model.

    Parameters
    ----------
    weights : str
        Licence of the weights.
    data : str
        Licence or terms of the data that they were learned from.
    """

    weights: str
    data: str

    def __post_init__(self) -> None:
        _check_types(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class ModelCard(Record):
    """
    Identity, contract, provenance and measured figures of one model.

    A card is one JSON file beside (or in the package: for) one weight file. It
    holds no code: the architecture is a name that
    ``astrodlkit.networks.build`` knows.

    Parameters
    ----------
    name : str
        Letters, digits, ``-`` and ``_``.
    tag : str, optional
        Which of the models of that name; dots are allowed too.
    title : str
        One line that says what the model does.
    task : {'classify'}
        What kind of model object it makes.
    architecture : str
        Name of the network.
    options : mapping, optional
        Keyword arguments of the network, JSON types only.
    input : `~astrodlkit.specs.InputSpec`
        What the network eats.
    output : `~astrodlkit.specs.OutputSpec`
        What its numbers mean.
    weights : `Weights` or None, optional
        The weight file; `save_model` fills it in.
    training : `Training` or None, optional
        How the model was made.
    figures : sequence of `Figure`, optional
        How good it is.
    licence : `Licence` or None, optional
        What may be done with it.
    citations : sequence of str, optional
        What to cite when using it.
    intended_use : str, optional
        What it was made for.
    not_for : sequence of str, optional
        What it must not be used for.
    astrodlkit_version : str, optional
        Version that wrote the card; `save_model` fills it in.

    Raises
    ------
    TypeError, ValueError
        If a value is not of the type or in the range that its name asks for.
        Records (``weights``, ``figures``, ...) may be given as mappings;
        unknown and missing keys are errors.

    See Also
    --------
    describe_model : The card of a model.
    save_model : Write a card and its weights.
    """

    name: str
    tag: str = ""
    title: str
    task: str
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    input: InputSpec
    output: OutputSpec
    weights: Weights | None = None
    training: Training | None = None
    figures: tuple[Figure, ...] = ()
    licence: Licence | None = None
    citations: tuple[str, ...] = ()
    intended_use: str = ""
    not_for: tuple[str, ...] = ()
    astrodlkit_version: str = ""

    def __post_init__(self) -> None:
        put = partial(object.__setattr__, self)
        for name, kind in _PARTS.items():
            if getattr(self, name) is not None or name in ("input", "output"):
                put(name, _part(kind, getattr(self, name), name))
        put("options", _json_options(self.options))
        for name in ("figures", "citations", "not_for"):
            if not isinstance(getattr(self, name), list | tuple):
                raise TypeError(f"{name} must be a list, got {getattr(self, name)!r}")
            put(name, tuple(getattr(self, name)))
        put("figures", tuple(_part(Figure, item, "figures") for item in self.figures))
        for name in ("citations", "not_for"):
            for item in getattr(self, name):
                if not isinstance(item, str) or not item.strip():
                    raise TypeError(f"{name} must be a list of texts, got {item!r} in it")
        _check_types(self)
        _check(_NAME.fullmatch(self.name), self, "name", "letters, digits, '-' and '_'")
        _check(not self.tag or _TAG.fullmatch(self.tag), self, "tag", "letters, digits and '-_.'")
        _check(self.task in TASKS, self, "task", f"one of {', '.join(TASKS)}")

    @property
    def full_name(self) -> str:
        """``name.tag``, or ``name`` where there is no tag."""
        return f"{self.name}.{self.tag}" if self.tag else self.name

    def to_dict(self) -> dict[str, Any]:
        """
        The card in JSON types.

        Returns
        -------
        values : dict
            What `from_dict` takes.
        """
        return {"format": FORMAT, **super().to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """
        The card that `to_dict` described.

        Parameters
        ----------
        record : mapping
            JSON types only.

        Returns
        -------
        card : `ModelCard`
            The checked card.

        Raises
        ------
        TypeError, ValueError
            If a key is unknown or missing, or a value is wrong.
        """
        if not isinstance(record, Mapping):
            raise TypeError(f"a card must be a mapping, got {type(record).__name__}")
        if record.get("format") != FORMAT:
            raise ValueError(
                f"format of the card must be {FORMAT}, got {record.get('format')!r}; "
                "a newer card needs a newer astrodlkit"
            )
        return super().from_dict({key: record[key] for key in record if key != "format"})

    def to_json(self) -> str:
        """
        The card as the text of its file.

        Returns
        -------
        text : str
            JSON.
        """
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """
        The card of a file's text.

        Parameters
        ----------
        text : str
            JSON.

        Returns
        -------
        card : `ModelCard`
            The checked card.

        Raises
        ------
        TypeError, ValueError
            If it is not JSON, a key is unknown, doubled or missing, or a value is wrong.
        """
        try:
            values = json.loads(text, object_pairs_hook=_unique_keys)
        except RecursionError as exc:
            raise ValueError("the card is nested too deeply") from exc
        return cls.from_dict(values)

    def __repr__(self) -> str:
        return f"<ModelCard {self.full_name}: {self.title}>"

    def __str__(self) -> str:
        return card_text(self)

    def _repr_html_(self) -> str:
        return card_html(self)


_PARTS: dict[str, type[Record]] = {
    "input": InputSpec,
    "output": OutputSpec,
    "weights": Weights,
    "training": Training,
    "licence": Licence,
}


def _check(right: object, record: object, name: str, wanted: str) -> None:
    if not right:
        raise ValueError(f"{name} must be {wanted}, got {getattr(record, name)!r}")


def _check_types(record: Any) -> None:
    """Hold plain fields to their annotations; numpy's numbers become Python's."""
    wider = {int: Integral, float: Real, str: str}
    for item in fields(record):
        if item.type not in wider:
            continue
        value = getattr(record, item.name)
        if not isinstance(value, wider[item.type]) or isinstance(value, bool):
            raise TypeError(f"{item.name} must be {item.type.__name__}, got {value!r}")
        value = item.type(value)
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"{item.name} must be finite, got {value!r}")
        if isinstance(value, str) and not value.strip() and item.default is MISSING:
            raise ValueError(f"{item.name} must not be empty")
        object.__setattr__(record, item.name, value)


def _part(kind: type[_Part], value: object, where: str) -> _Part:
    """Make a record of a mapping, with the place in the card in every error."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} must be {kind.__name__} or a mapping, got {value!r}")
    try:
        return kind.from_dict(value)
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"{where}: {exc}") from exc


def _json_options(options: object) -> dict[str, Any]:
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise TypeError(f"options must be a mapping with text keys, got {options!r}")
    try:
        # The round trip also copies, and makes tuples the lists that a file would give.
        return json.loads(json.dumps(dict(options), allow_nan=False))
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"options must hold JSON types only: {exc}") from exc


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {double!r} stands twice in the card")
    return values


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
