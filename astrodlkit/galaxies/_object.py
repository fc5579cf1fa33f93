"""One row of a catalogue as a GalSim object."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import QTable, Row

from .._flags import Flag
from .._rng import read_seed
from ._catalog import Catalog
from ._draw import template_profile
from ._psf import galsim

if TYPE_CHECKING:
    from ._simulator import GalaxySimulator

__all__ = ["to_galsim"]


def to_galsim(
    simulator: "GalaxySimulator", row: Any, band: str, rng: Any, options: dict[str, Any]
) -> Any:
    """See `GalaxySimulator.to_galsim`."""
    galsim()
    number = 0
    if isinstance(row, Row):
        number, row = row.index, row.table[row.index : row.index + 1]
    elif isinstance(row, Mapping):
        row = QTable({name: [value] for name, value in row.items()})
    spec = simulator.spec
    catalog = Catalog.read(row, spec, bands=band, first=number, **options)
    if len(catalog) != 1:
        raise ValueError(f"row must be one row, got a table of {len(catalog)}")
    galaxies = simulator._galaxies(catalog, read_seed(rng), range(1))  # noqa: SLF001
    if (catalog.flags | galaxies.flags)[0] & Flag.NO_RESULT:
        raise ValueError(f"row {number} has a value that cannot be drawn: {row}")
    plane = spec.bands.index(catalog.planes[band])
    matrix = np.diag([-1.0, 1.0]) @ galaxies.to_sky[0]
    with np.errstate(all="ignore"):
        area = abs(np.linalg.det(matrix))
    if not 1e-100 < area < 1e100:
        raise ValueError(f"row {number} has a size that cannot be drawn: {row}")
    profile = template_profile(galaxies.planes[0, plane], spec, matrix)
    return profile.withFlux(float(galaxies.fluxes[0, 0]))
