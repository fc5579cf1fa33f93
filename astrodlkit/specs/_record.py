"""JSON round trip of frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

__all__ = ["Record"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of frozen dataclasses that are written to and read from JSON."""

    def to_dict(self) -> dict[str, Any]:
        """
        The fields as JSON types.

        Returns
        -------
        record : dict
            What `from_dict` takes.
        """
        return {field.name: _to_json(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """
        The object from its JSON form.

        Parameters
        ----------
        record : dict
            What `to_dict` gave.

        Returns
        -------
        object
            An equal object.

        Raises
        ------
        ValueError
            If a key is unknown or missing.
        """
        if not isinstance(record, Mapping):
            raise ValueError(f"{cls.__name__} needs a dict, got {type(record).__name__}")
        known = {field.name: field for field in fields(cls)}
        unknown = sorted(set(record) - set(known))
        missing = sorted(
            name
            for name, field in known.items()
            if field.default is MISSING and field.default_factory is MISSING and name not in record
        )
        if unknown or missing:
            raise ValueError(
                f"{cls.__name__} has unknown keys {unknown} and lacks {missing}; "
                f"it takes {sorted(known)}"
            )
        return cls(**{name: _from_json(value) for name, value in record.items()})


def _to_json(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_to_json(item) for item in value]
    return value


def _from_json(value: Any) -> Any:
    return tuple(_from_json(item) for item in value) if isinstance(value, list) else value
