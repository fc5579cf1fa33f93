"""ModelCard: what a model is, eats and gives, how it was made and how good it is."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeVar

from ..specs import InputSpec, MapSpec, OutputSpec, TemplateSpec
from ..specs._record import Record
from ._describe import card_html, card_text
from ._parts import Figure, Licence, Training, Weights, check, check_types

__all__ = ["TASKS", "ModelCard"]

FORMAT = 1  # of the JSON file; raised when a card could no longer be read by older code

TASKS = {
    "classify": "astrodlkit.classify:CutoutClassifier",
    "emulate": "astrodlkit.cosmicweb:DensityMapEmulator",
    "simulate": "astrodlkit.galaxies:GalaxySimulator",
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

_Part = TypeVar("_Part", bound=Record)


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
    task : {'classify', 'emulate', 'simulate'}
        What kind of model object it makes.
    architecture : str
        Name of the network.
    options : mapping, optional
        Keyword arguments of the network, JSON types only.
    input : `~astrodlkit.specs.InputSpec`, for ``"classify"``
        What the network eats.
    output : `~astrodlkit.specs.OutputSpec`, for ``"classify"``
        What its numbers mean.
    maps : `~astrodlkit.specs.MapSpec`, for ``"emulate"``
        What its maps are.
    templates : `~astrodlkit.specs.TemplateSpec`, for ``"simulate"``
        What its templates are.
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
        If a value is not of the type or in the range that its name asks for,
        or is not one for the task.
        Records (``weights``, ``figures``, ...) may be given as mappings;
        unknown and missing keys are errors.

    See Also
    --------
    describe_model : The card of a model.
    save_model : Write a card and its weights.

    Examples
    --------
    >>> from astrodlkit.pretrained import ModelCard
    >>> from astrodlkit.specs import Head, InputSpec, OutputSpec, Picture
    >>> card = ModelCard(
    ...     name="rings",
    ...     title="Ringed galaxies",
    ...     task="classify",
    ...     architecture="galaxy-zoo",
    ...     options={"n_classes": 2},
    ...     input=InputSpec(bands=("i", "r", "g"), shape=(96, 96), mean=(0.1,) * 3,
    ...                     std=(0.2,) * 3, stretch=Picture()),
    ...     output=OutputSpec(
    ...         heads=(Head(name="class", kind="classes", labels=("ring", "other")),)
    ...     ),
    ... )
    >>> ModelCard.from_json(card.to_json()) == card
    True
    """

    name: str
    tag: str = ""
    title: str
    task: str
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    input: InputSpec | None = None
    output: OutputSpec | None = None
    maps: MapSpec | None = None
    templates: TemplateSpec | None = None
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
        needed = _CONTRACTS.get(str(self.task), ())
        for name, kind in _PARTS.items():
            if getattr(self, name) is not None or name in needed:
                put(name, _part(kind, getattr(self, name), name))
        if not isinstance(self.options, Mapping):
            raise TypeError(f"options must be a mapping, got {self.options!r}")
        # The round trip copies, and makes lists of tuples as a file does.
        put("options", json.loads(_json(dict(self.options), "options")))
        for name in ("figures", "citations", "not_for"):
            if not isinstance(getattr(self, name), list | tuple):
                raise TypeError(f"{name} must be a list, got {getattr(self, name)!r}")
            put(name, tuple(getattr(self, name)))
        put("figures", tuple(_part(Figure, item, "figures") for item in self.figures))
        for name in ("citations", "not_for"):
            for item in getattr(self, name):
                if not isinstance(item, str) or not item.strip():
                    raise TypeError(f"{name} must be a list of texts, got {item!r} in it")
        check_types(self)
        check(_NAME.fullmatch(self.name), self, "name", "letters, digits, '-' and '_'")
        check(not self.tag or _TAG.fullmatch(self.tag), self, "tag", "letters, digits and '-_.'")
        check(self.task in TASKS, self, "task", f"one of {', '.join(TASKS)}")
        for name in _OPTIONAL - set(needed):
            wanted = f"left out: a model for the task {self.task!r} has {' and '.join(needed)}"
            check(getattr(self, name) is None, self, name, wanted)
        _json(self.to_dict(), "a card")

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
        values = super().to_dict()
        absent = {name for name in _OPTIONAL if values[name] is None}
        return {"format": FORMAT, **{key: values[key] for key in values if key not in absent}}

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
        return _json(self.to_dict(), "a card") + "\n"

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
    "maps": MapSpec,
    "templates": TemplateSpec,
    "weights": Weights,
    "training": Training,
    "licence": Licence,
}

# What a network takes and gives, by task.
_CONTRACTS = {"classify": ("input", "output"), "emulate": ("maps",), "simulate": ("templates",)}
_OPTIONAL = {name for names in _CONTRACTS.values() for name in names}


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


def _json(values: Mapping[str, Any], what: str) -> str:
    try:
        return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"{what} must hold JSON types and finite numbers only: {exc}") from exc


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {double!r} stands twice in the card")
    return values
