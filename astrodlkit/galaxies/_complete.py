"""A catalogue with what it leaves open filled in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column, QTable
from numpy.typing import NDArray

from .._flags import ABOUT_FLAGS
from ..specs import TemplateSpec
from ._catalog import Catalog
from ._columns import Columns
from ._templates import Galaxies

__all__ = ["completed"]


def completed(
    catalog: Catalog,
    spec: TemplateSpec,
    parts: Sequence[Galaxies],
    columns: Mapping[str, str] | None,
) -> QTable:
    """
    As `GalaxySimulator.complete`.

    Parameters
    ----------
    catalog : Catalog
        What is known.
    spec : TemplateSpec
        Of the model.
    parts : sequence of Galaxies
        All rows, in order.
    columns : mapping or None
        As there.

    Returns
    -------
    table : `~astropy.table.QTable`
        The catalogue's columns and those that it does not have.
    """

    def joined(name: str) -> NDArray:
        return np.concatenate([getattr(part, name) for part in parts])

    def filled(given: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        # Values of rows that are not drawn are not mended.
        return np.where(np.isnan(given), joined(name), given)

    conditions, angle = filled(catalog.conditions, "conditions"), filled(catalog.angle, "angle")
    fluxes = joined("fluxes")
    new: dict[str, Any] = {name: conditions[:, i] for i, name in enumerate(spec.conditions)}
    new["position_angle"] = (angle * u.rad).to(u.deg)
    for i, band in enumerate(catalog.planes):
        new[f"flux_{band}"] = fluxes[:, i] * catalog.unit
    new["latent"] = joined("latent")
    result, names = QTable(catalog.table, copy=True), dict(columns or {})
    cols = Columns(catalog.table, None, ())
    for meaning, values in new.items():
        name = names.get(meaning, meaning)
        # What is known stays to the last digit; a gap in latent variables is a bad row.
        if name not in cols or (meaning != "latent" and cols.missing(name).any()):
            result[name] = values
    flags = Column(catalog.flags | joined("flags"), description=ABOUT_FLAGS)
    if "flags" in result.colnames and result["flags"].info.description != ABOUT_FLAGS:
        raise ValueError(
            "table has a column 'flags' of its own: rename it first, for example "
            "table.rename_column('flags', 'my_flags')"
        )
    result["flags"] = flags
    return result
