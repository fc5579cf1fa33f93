"""The verbs on Dask and LSDB: catalogues that outgrow one machine."""

from ._classify import classify_cutouts
from ._simulate import simulate_galaxies
from ._tables import to_table

__all__ = ["classify_cutouts", "simulate_galaxies", "to_table"]
