"""Stamps of many sources, cut out of images."""

from ._cutouts import Cutouts
from ._extract import extract_cutouts, iter_cutouts
from ._positions import read_positions, read_table

__all__ = ["Cutouts", "extract_cutouts", "iter_cutouts", "read_positions", "read_table"]
