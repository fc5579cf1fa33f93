"""The verb on catalogues that are in pieces: stamps in files, one for each piece."""

from collections.abc import Mapping, Sequence
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.cosmology import FLRW, Planck18

from .._rng import read_seed
from .._typing import PathLike
from ..engine import check_batch_size
from ._classify import check_extra, check_threads, read_units
from ._draw import ADDED, Drawing, draw_partition, with_places
from ._models import find_models

__all__ = ["simulate_galaxies"]


def simulate_galaxies(
    table: Any,
    output: PathLike,
    *,
    shape: int | tuple[int, int],
    pixel_scale: u.Quantity,
    model: PathLike = "sdss-galaxies",
    units: Mapping[str, Any] | None = None,
    psf: Any = None,
    noise: Any = None,
    bands: str | Sequence[str] | Mapping[str, str] = ("r",),
    rng: int | np.random.Generator | None = None,
    columns: Mapping[str, str] | None = None,
    cosmology: FLRW = Planck18,
    unit: u.UnitBase | str | None = None,
    zero_point: float | None = None,
    suffix: str = ".fits",
    batch_size: int = 1024,
    device: str = "auto",
    threads: int = 1,
) -> Any:
    """
    Draw the galaxies of a catalogue in Dask into files, one for each partition.

    Nothing is drawn until the result is computed, with its own ``compute()``,
    ``to_parquet()``, ...: only zero rows are sent through, which tells whether
    the arguments go together.

    Parameters
    ----------
    table : ``dask.dataframe.DataFrame``
        The catalogue, with columns as for `astrodlkit.simulate_galaxies`. One of
        LSDB gives it with ``catalog.to_dask_dataframe()``.
    output : path-like
        A folder that every worker sees, made if need be. Partition 7 is in
        ``part-00000007.fits``.
    shape : int or (int, int)
        Pixels (ny, nx) of a stamp.
    pixel_scale : `~astropy.units.Quantity`
        Angle of a pixel.
    model : str or path-like
        A name of `~astrodlkit.list_models`, or a path that every worker sees.
        It travels as name and sha256 and is loaded once in each process.
    units : dict, optional
        Units of columns of the table, which data frames do not have, for
        example ``{"half_light_radius": "arcsec"}``. Right ascension and
        declination are in degrees without.
    psf, noise, bands, columns, cosmology, unit, zero_point
        As of `astrodlkit.simulate_galaxies`.
    rng : int or `~numpy.random.Generator`, optional
        As there. Row i of the table, partition after partition, is the galaxy
        that it is in one process.
    suffix : {".fits", ".h5", ".hdf5", ".zarr"}
        Kind of the files.
    batch_size : int
        Galaxies in memory, and in a chunk of Zarr.
    device : str
        As there, on the worker.
    threads : int
        Number of torch's threads that work on one partition.

    Returns
    -------
    result : ``dask.dataframe.DataFrame``
        Lazy, in the same partitions, with the columns of ``table`` and after
        them ``stamp_file``, ``stamp_row`` (in the file) and ``flags``.

    Raises
    ------
    TypeError
        If an argument is of a kind that means nothing.
    ValueError
        If arguments do not go together, or the table has a column with the
        name of one of the result's.
    FileExistsError
        When computing: if a file has stamps of another catalogue, model, seed
        or setting.
    astrodlkit.exceptions.WeightsError
        When computing: if a worker finds another model by the name.
    astrodlkit.exceptions.MissingDependencyError
        If the extra ``scale``, ``galsim`` or that of the kind of files is not
        installed.

    See Also
    --------
    astrodlkit.simulate_galaxies : The same in memory.
    astrodlkit.galaxies.GalaxySimulator.write : The same into one file.

    Notes
    -----
    The number of a partition's first row is the sum of the lengths of those
    before, which are computed on the way: whoever computes some partitions
    computes the rows of all before them, but draws only theirs. Files appear
    when they are whole. One that is there, of the same rows and arguments, is
    not drawn again: a run that was stopped goes on, if ``rng`` is a number.

    ``shape`` and ``pixel_scale`` have no defaults, and there is no ``wcs``, as
    what follows from them would depend on all rows.

    Examples
    --------
    >>> import astropy.units as u
    >>> import dask.dataframe as dd
    >>> import pandas as pd
    >>> from astrodlkit.scale import simulate_galaxies
    >>> frame = pd.DataFrame({"mag": [20.0, 21.0, 22.0], "half_light_radius": [0.9, 0.6, 0.4]})
    >>> lazy = simulate_galaxies(
    ...     dd.from_pandas(frame, npartitions=3), "stamps", shape=32,
    ...     pixel_scale=0.2 * u.arcsec, units={"half_light_radius": "arcsec"}, rng=1,
    ... )  # doctest: +SKIP
    >>> lazy.to_parquet("truth")  # doctest: +SKIP
    """
    check_extra()
    import dask.dataframe as dd

    if not isinstance(table, dd.DataFrame):
        raise TypeError(
            f"table must be a Dask DataFrame, got {type(table).__name__}; a catalogue of LSDB has "
            "to_dask_dataframe(), and astrodlkit.simulate_galaxies takes what is in memory"
        )
    check_threads(threads)
    check_batch_size(batch_size)
    check_suffix(suffix)
    known = [str(name) for name in table.columns]
    if clash := [name for name in ADDED if name in known]:
        raise ValueError(f"the table has columns with the names of the result's: {clash}")
    (name,), _ = find_models([model], task="simulate")
    job = Drawing(
        model=name,
        folder=str(Path(output).absolute()),
        suffix=suffix,
        units=read_units(units, known),
        options={
            "psf": psf,
            "pixel_scale": pixel_scale,
            "shape": shape,
            "noise": noise,
            "bands": bands,
            "rng": read_seed(rng),
            "columns": columns,
            "cosmology": cosmology,
            "unit": unit,
            "zero_point": zero_point,
        },
        batch_size=batch_size,
        device=device,
        threads=threads,
    )
    return _of_partitions(table, job)


def check_suffix(suffix: str) -> None:
    """See whether files can be written."""
    from ..engine._unfinished import check_target
    from ..galaxies._files import FORMATS

    if suffix not in FORMATS:
        raise ValueError(f"suffix must be one of {', '.join(FORMATS)}, got {suffix!r}")
    check_target(Path(f"part{suffix}"), FORMATS)


def _of_partitions(table: Any, job: Drawing) -> Any:
    import dask.dataframe as dd
    from dask.delayed import delayed

    empty = table._meta  # noqa: SLF001
    # What is wrong with the arguments is said here.
    _, request = job.request(empty, 0, "cpu")
    meta = with_places(empty, Path(), request.flags)
    first, pieces = delayed(0), []
    for number, part in enumerate(table.to_delayed()):
        pieces.append(delayed(draw_partition)(part, number, first, job))
        first = delayed(add)(first, delayed(len)(part))
    return dd.from_delayed(
        pieces,
        meta=meta,
        divisions=table.divisions if table.known_divisions else None,
        prefix="simulate-galaxies",
        verify_meta=False,
    )
