"""Several cutouts made one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from ._cutouts import Cutouts, assemble
from ._grids import ParentGrid, TangentGrid

__all__ = ["concatenate"]


def concatenate(parts: Sequence[Cutouts]) -> Cutouts:
    """See `Cutouts.concatenate`."""
    parts = list(parts)
    if not parts:
        raise ValueError("parts is empty: nothing to join")
    first = parts[0]
    for what in ("bands", "unit"):
        if any(getattr(part, what) != getattr(first, what) for part in parts):
            raise ValueError(f"parts differ in {what}: {[getattr(p, what) for p in parts]}")
    if len({part.shape[1:] for part in parts}) > 1:
        raise ValueError(f"parts differ in shape: {[part.shape[1:] for part in parts]}")
    joined: dict[str, Any] = {}
    for name in ("data", "mask", "variance", "flags"):
        arrays = [getattr(part, name) for part in parts]
        if any(array is None for array in arrays):
            if any(array is not None for array in arrays):
                raise ValueError(f"parts differ: some have a {name}, others have none")
            joined[name] = None
        else:
            joined[name] = np.concatenate(arrays)
    for name, kind in (("positions", SkyCoord), ("grid", (ParentGrid, TangentGrid))):
        values = [getattr(part, f"_{name}") for part in parts]
        if len({type(value) for value in values}) > 1:
            raise ValueError(f"parts differ: their {name} are of different kinds")
        joined[name] = values[0]
        if isinstance(values[0], kind):
            join = _join_coords if name == "positions" else type(values[0]).concatenate
            joined[name] = join(values)
    return assemble(**joined, unit=first.unit, bands=first.bands, meta=dict(first.meta))


def _join_coords(coords: list[SkyCoord]) -> SkyCoord:
    frame = coords[0].frame.replicate_without_data()
    spheres = [c.transform_to(frame).spherical for c in coords]
    lon, lat = (np.concatenate([getattr(s, name) for s in spheres]) for name in ("lon", "lat"))
    return SkyCoord(lon, lat, frame=frame)
