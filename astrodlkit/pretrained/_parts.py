"""What a card is made of: small records, each checked when it is made."""

import re
from dataclasses import MISSING, dataclass, fields
from datetime import date
from math import isfinite
from numbers import Integral, Real
from typing import Any

from ..specs._record import Record

__all__ = ["DTYPES", "Figure", "Licence", "Training", "Weights", "check", "check_types"]

DTYPES = ("float16", "bfloat16", "float32")

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.safetensors")
_SHA256 = re.compile(r"[0-9a-f]{64}")


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

    Examples
    --------
    >>> from astrodlkit.pretrained import Weights
    >>> weights = Weights(file="rings.safetensors", sha256="0" * 64, n_parameters=20_000,
    ...                   dtype="float16", bytes=42_000)
    """

    file: str
    sha256: str
    n_parameters: int
    dtype: str
    bytes: int

    def __post_init__(self) -> None:
        check_types(self)
        check(_FILE.fullmatch(self.file), self, "file", "a bare name like 'name.safetensors'")
        check(_SHA256.fullmatch(self.sha256), self, "sha256", "64 lower-case hexadecimal digits")
        check(self.dtype in DTYPES, self, "dtype", f"one of {', '.join(DTYPES)}")
        check(self.n_parameters >= 0, self, "n_parameters", "at least 0")
        check(self.bytes > 0, self, "bytes", "at least 1")


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

    Examples
    --------
    >>> from astrodlkit.pretrained import Training
    >>> training = Training(data="Galaxy Zoo 2", n_train=8000, n_validation=2000,
    ...                     split="crc32 of the id", seed=1, recipe="recipes/rings",
    ...                     date="2026-01-31")
    """

    data: str
    n_train: int
    n_validation: int
    split: str
    seed: int
    recipe: str
    date: str

    def __post_init__(self) -> None:
        check_types(self)
        check(self.n_train >= 0, self, "n_train", "at least 0")
        check(self.n_validation >= 0, self, "n_validation", "at least 0")
        check(_is_day(self.date), self, "date", "a day like '2026-01-31'")


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

    Examples
    --------
    >>> from astrodlkit.pretrained import Figure
    >>> figure = Figure(name="accuracy", value=0.952, error=0.004, n=2000, split="validation")
    """

    name: str
    value: float
    error: float
    n: int
    split: str
    note: str = ""

    def __post_init__(self) -> None:
        check_types(self)
        check(self.error >= 0, self, "error", "at least 0")
        check(self.n > 0, self, "n", "at least 1")


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

    Examples
    --------
    >>> from astrodlkit.pretrained import Licence
    >>> licence = Licence(weights="BSD-3-Clause", data="SDSS: public")
    """

    weights: str
    data: str

    def __post_init__(self) -> None:
        check_types(self)


def check(right: object, record: object, name: str, wanted: str) -> None:
    """Refuse a record, naming the field, what came and what would be right."""
    if not right:
        raise ValueError(f"{name} must be {wanted}, got {getattr(record, name)!r}")


def check_types(record: Any) -> None:
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


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
