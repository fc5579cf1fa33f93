"""Stamps of many sources, cut out of images."""

from ._cutouts import Cutouts
from ._extract import extract_cutouts, iter_cutouts
from ._image import Image
from ._images import read_images
from ._positions import read_positions, read_table

__all__ = [
    "Cutouts",
    "Image",
    "extract_cutouts",
    "iter_cutouts",
    "read_images",
    "read_positions",
    "read_table",
]
