"""Stamps of many sources, cut out of images."""

from ._cutouts import Cutouts
from ._extract import extract_cutouts, iter_cutouts
from ._image import Image
from ._images import read_images
from ._index import find_fits, index_images
from ._parts import write_cutouts
from ._positions import read_positions, read_table
from ._tile_plan import read_tiles
from ._tiles import TileIndex

__all__ = [
    "Cutouts",
    "Image",
    "TileIndex",
    "extract_cutouts",
    "find_fits",
    "index_images",
    "iter_cutouts",
    "read_images",
    "read_positions",
    "read_table",
    "read_tiles",
    "write_cutouts",
]
