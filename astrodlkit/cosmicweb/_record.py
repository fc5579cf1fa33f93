"""What a file says of the maps in it, as text and numbers."""

import json
from typing import Any

import astropy.cosmology.units as cu
from astropy import units as u
from astropy.cosmology import Cosmology
from astropy.io.misc import yaml

__all__ = ["FORMATS", "KEY", "from_json", "to_dict", "to_json"]

FORMATS = (".fits", ".h5", ".hdf5", ".zarr")
"""Endings of files of maps."""

KEY = "ADLMETA"
"""Of the header card or attribute with the meta in JSON."""

_LENGTHS = ("thickness", "box_size")


def to_dict(meta: dict[str, Any]) -> dict[str, Any]:
    """
    The meta of maps in JSON types.

    Parameters
    ----------
    meta : dict
        As `emulate_density_maps` gives it.

    Returns
    -------
    record : dict
        Lengths in Mpc, the cosmology as YAML.
    """
    lengths = {name: meta[name].to_value(u.Mpc).tolist() for name in _LENGTHS}
    return {**meta, **lengths, "cosmology": _write_cosmology(meta["cosmology"])}


def to_json(meta: dict[str, Any]) -> str:
    """
    The meta of maps as one line of ASCII.

    Parameters
    ----------
    meta : dict
        As `emulate_density_maps` gives it.

    Returns
    -------
    text : str
        What `to_dict` gives.
    """
    # Of a quote before a slash, astropy takes the end of a header card's text.
    return json.dumps(to_dict(meta)).replace("'", "\\u0027")


def from_json(text: str) -> dict[str, Any]:
    """
    The reverse of `to_json`.

    Parameters
    ----------
    text : str
        What it gave.

    Returns
    -------
    meta : dict
        As `emulate_density_maps` gives it.
    """
    meta: dict[str, Any] = json.loads(text)
    try:
        with u.add_enabled_units(cu):
            meta["cosmology"] = yaml.yaml.load(meta["cosmology"], Loader=_Loader)
    except KeyError as exc:
        raise ValueError(f"the cosmology is of the class {exc}: import it before reading") from exc
    for name in _LENGTHS:
        meta[name] = meta[name] * u.Mpc
    return meta


class _Loader(yaml.AstropyLoader):
    """
    Fills what is nested at once.

    astropy's ``from_format`` copies the meta of a cosmology when the lists in it are empty yet.
    """

    def construct_mapping(self, node: Any, deep: bool = True) -> dict[Any, Any]:
        return super().construct_mapping(node, deep=deep)


def _write_cosmology(cosmology: Cosmology) -> str:
    try:
        text: str = cosmology.to_format("yaml")
    except yaml.yaml.YAMLError as exc:
        said = cosmology.meta or {}
        bad = [f"its meta[{key!r}] is {said[key]!r}" for key in said if not _has_yaml(said[key])]
        raise ValueError(
            f"the cosmology cannot be written: {', '.join(bad) or exc}, which no file holds"
        ) from exc
    return text


def _has_yaml(value: Any) -> bool:
    try:
        yaml.dump(value)
    except yaml.yaml.YAMLError:
        return False
    return True
