"""Stamps of more galaxies than fit into memory, in a file, which goes on where it was stopped."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import PathLike, Progress
from ..cutouts._store import read_meta
from ..engine import check_batch_size, fingerprint, progress_bar
from ..engine._fingerprint import weights_digest
from ..engine._unfinished import check_target, clear_leftovers, read_unfinished, unfinished
from ._files import FORMATS, CutoutFile
from ._psf import Psf, galsim
from ._request import Request
from ._rows import draw_rows, provenance

if TYPE_CHECKING:
    from ._simulator import GalaxySimulator

__all__ = ["describe_run", "fill", "write_stamps"]


def write_stamps(
    simulator: "GalaxySimulator",
    path: PathLike,
    table: Any,
    options: dict[str, Any],
    *,
    batch_size: int,
    overwrite: bool,
    progress: Progress,
) -> Path:
    """See `GalaxySimulator.write`."""
    check_batch_size(batch_size)
    path = check_target(Path(path), FORMATS)
    if options.get("rng") is None:
        options = options | {"rng": read_unfinished(path).get("seed")}
    request = simulator._request(table, options)  # noqa: SLF001
    manifest = describe_run(simulator, request)
    run = fingerprint(manifest)
    if path.exists() and not overwrite:
        if read_meta(path).get("astrodlkit", {}).get("run") == run:
            clear_leftovers(path)
            return path
        raise FileExistsError(
            f"{path} exists, and not with these stamps; pass overwrite=True to replace it"
        )
    if path.suffix.lower() == ".zarr":
        manifest["chunk"] = batch_size
    n = len(request.catalog)
    with (
        unfinished(path, manifest, overwrite=overwrite) as partial,
        progress_bar(n, progress, description=simulator.card.name, unit="galaxy") as advance,
    ):
        if partial.done:
            advance(partial.done)
        for done in fill(
            partial.path, simulator, request, run=run, done=partial.done, batch_size=batch_size
        ):
            new = done - partial.done
            # Before the user is told, who may stop it.
            partial.reach(done)
            advance(new)
    return path


def fill(
    path: Path,
    simulator: "GalaxySimulator",
    request: Request,
    *,
    run: str,
    done: int = 0,
    batch_size: int,
) -> Iterator[int]:
    """
    Draw stamps into a file.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file; it may have some rows already.
    simulator : GalaxySimulator
        Draws them.
    request : Request
        What is asked of it.
    run : str
        Checksum of what `describe_run` gives, for the meta.
    done : int
        Rows that the file has.
    batch_size : int
        Rows in memory.

    Yields
    ------
    done : int
        Rows that the file has by now, on the disk.
    """
    n = len(request.catalog)
    file = CutoutFile(path, n, batch_size)
    # No rows are a file too.
    for start in range(done, max(n, 1), batch_size):
        rows = range(start, min(start + batch_size, n))
        stamps = draw_rows(simulator, request, rows, progress=False)
        stamps.meta["astrodlkit"]["run"] = run
        file.write(start, stamps)
        yield rows.stop


def describe_run(simulator: "GalaxySimulator", request: Request) -> dict[str, Any]:
    """
    All that stamps follow from.

    Parameters
    ----------
    simulator : GalaxySimulator
        Draws them.
    request : Request
        What is asked of it.

    Returns
    -------
    manifest : dict
        In JSON types; of what is long there are checksums.
    """
    catalog = request.catalog
    rows = {
        field.name: getattr(catalog, field.name)
        for field in fields(catalog)
        if field.name not in ("table", "unit", "planes", "first")
    }
    return {
        "format": 1,
        "rows": len(catalog),
        **provenance(simulator, request),
        "sha256": weights_digest(simulator),
        "first": catalog.first,
        "settings": {
            "bands": dict(catalog.planes),
            "unit": catalog.unit.to_string(),
            "shape": list(request.shape),
            "psf": fingerprint([_content(psf) for psf in request.psfs]),
            "noise": None if request.noise is None else fingerprint(request.noise),
        },
        "input": {
            "table": fingerprint(rows),
            "pixels": fingerprint(request.to_pixels, request.shift),
        },
    }


def _content(psf: Psf) -> Any:
    """What of a PSF can be compared: its Fourier transform."""
    if psf.profile is None:
        return psf.has_pixel
    image = galsim().ImageCD(16, 16, scale=np.pi / 8)
    return psf.has_pixel, np.array(psf.profile.drawKImage(image=image).array)
