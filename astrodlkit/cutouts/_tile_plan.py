"""What is asked of an index of images."""

from pathlib import Path
from typing import Any

from astropy.table import Table

from ._cutouts import Cutouts
from ._sizes import read_size, some_sizes
from ._tiles import TileIndex, on_sky

__all__ = ["TilePlan", "read_tiles"]


def read_tiles(data: Any) -> TileIndex | None:
    """An index of images out of what may be one: an index, its table, or where its file is."""
    if isinstance(data, TileIndex):
        return data
    if isinstance(data, Table):
        return TileIndex(data)
    if isinstance(data, str | Path) and Path(data).suffix.lower() == ".parquet":
        return TileIndex.read(data)
    return None


class TilePlan:
    """What `extract_cutouts` asks of an index: stamps of some rows."""

    def __init__(
        self, tiles: TileIndex, positions: Any, size: Any, options: dict[str, Any]
    ) -> None:
        self.coords = on_sky(positions)
        self.n_rows = len(self.coords)
        # Before rows of it are taken.
        read_size(size, self.n_rows, by_row=options["shape"] is not None)
        self.tiles, self.size, self.options = tiles, size, options

    def cut(self, rows: slice) -> Cutouts:
        """The stamps of some rows."""
        size = some_sizes(self.size, rows, self.options["shape"])
        return self.tiles.extract(self.coords[rows], size, **self.options)
