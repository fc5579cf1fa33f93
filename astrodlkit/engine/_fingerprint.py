"""A checksum of what a run is given, to tell whether it is given the same again."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from hashlib import sha256
from itertools import chain
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.table.meta import get_yaml_from_table
from astropy.table.serialize import represent_mixins_as_columns
from astropy.units import Quantity, UnitBase
from astropy.wcs import WCS

from ..cutouts import Cutouts, TileIndex

__all__ = ["fingerprint", "weights_digest"]

_BLOCK = 1 << 24


def fingerprint(*objects: Any) -> str:
    """
    The sha256 of values, units, masks and metadata.

    Parameters
    ----------
    *objects : object
        Arrays, quantities, coordinates, tables, `~astrodlkit.Cutouts`, images,
        WCSs, text and numbers; dicts, lists and tuples of these.

    Returns
    -------
    digest : str
        64 hexadecimal digits, the same in every process.

    Raises
    ------
    TypeError
        If an object is of a kind whose content cannot be told.

    Examples
    --------
    >>> import numpy as np
    >>> from astrodlkit.engine import fingerprint
    >>> fingerprint(np.arange(3)) == fingerprint(np.arange(3))
    True
    >>> fingerprint(np.arange(3)) == fingerprint(np.arange(3.0))
    False
    """
    found = sha256()
    _feed(found, objects)
    return found.hexdigest()


def weights_digest(model: Any) -> str:
    """
    The checksum of a model's weights.

    Parameters
    ----------
    model : object
        Has a ``card`` and a ``module``.

    Returns
    -------
    digest : str
        The sha256 of the weight file; without one, that of the numbers.
    """
    if model.card.weights is not None:
        return str(model.card.weights.sha256)
    state = model.module.state_dict()
    return fingerprint({name: tensor.cpu().numpy() for name, tensor in state.items()})


def _feed(found: Any, item: Any) -> None:
    found.update(type(item).__name__.encode())
    if item is None or isinstance(item, str | int | float | np.number | np.bool_):
        found.update(f"{item!r};".encode())
    elif type(item) is np.ndarray:
        _array(found, item)
    elif isinstance(item, Table):
        plain = represent_mixins_as_columns(item)
        found.update("\n".join(get_yaml_from_table(plain)).encode())
        for column in plain.itercols():
            _array(found, np.asarray(column))
            if isinstance(column, MaskedColumn):
                _array(found, np.ma.getmaskarray(column))
    else:
        for part in _parts(item):
            _feed(found, part)
        found.update(b"]")


def _parts(item: Any) -> Iterable[Any]:  # noqa: PLR0911
    """What something consists of."""
    if isinstance(item, Mapping):
        return chain.from_iterable(item.items())
    if isinstance(item, list | tuple):
        return item
    if isinstance(item, np.ma.MaskedArray):
        return np.ma.getmaskarray(item), np.asarray(np.ma.getdata(item))
    if isinstance(item, Quantity):
        plain = getattr(item, "unmasked", item)
        return plain.unit.to_string(), getattr(item, "mask", None), plain.value
    if isinstance(item, np.ndarray):
        return (item.view(np.ndarray),)
    if isinstance(item, SkyCoord):
        return (QTable({"position": item}),)
    if isinstance(item, Cutouts):
        pixels = item.data, item.mask, item.variance, item.flags
        return item.unit, item.bands, item.positions, item.pixel_scale, *pixels
    if isinstance(item, TileIndex):
        return (item.table,)
    if isinstance(item, WCS):
        return (item.to_header_string(relax=True),)
    if isinstance(item, UnitBase):
        return (item.to_string(),)
    if is_dataclass(item) and not isinstance(item, type):
        return [getattr(item, field.name) for field in fields(item)]
    raise TypeError(f"the content of a {type(item).__name__} cannot be told by a checksum")


def _array(found: Any, array: np.ndarray) -> None:
    """Feed an array block by block: it may be a file larger than the memory."""
    if array.dtype.hasobject:
        raise TypeError("the content of an array of objects cannot be told by a checksum")
    found.update(f"{array.dtype.str}{array.shape};".encode())
    if array.ndim == 0:
        found.update(array.tobytes())
        return
    step = max(1, _BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        found.update(np.ascontiguousarray(array[start : start + step]).view(np.uint8))
