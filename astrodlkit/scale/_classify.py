"""The verb on catalogues that are in pieces: the same call, computed later and elsewhere."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy import units as u

from .._optional import import_optional
from .._typing import PathLike
from ..engine import resolve_device, resolve_precision
from ..specs import LuptonStretch, Picture
from ._images import find_images, open_images
from ._models import find_models, load_predictor
from ._partition import Job, classify_block, classify_partition

__all__ = ["check_extra", "check_threads", "classify_cutouts", "read_units"]


def classify_cutouts(
    table: Any,
    data: Any = None,
    *,
    model: PathLike | list[PathLike] = "galaxyzoo2",
    units: Mapping[str, Any] | None = None,
    bands: Any = None,
    size: Any = None,
    stretch: LuptonStretch | Picture | str = "auto",
    views: int = 1,
    interval: float | None = None,
    batch_size: int = 256,
    precision: str = "auto",
    device: str = "auto",
    threads: int = 1,
) -> Any:
    """
    Classify the sources of a catalogue in Dask or LSDB, or a Dask array of cutouts.

    Nothing is computed until the result is, with its own ``compute()``,
    ``to_parquet()``, ``write_catalog()``, ...: only zero rows are sent through
    here, and of an array one blank stamp, which tells the types of the columns
    and whether the arguments go together.

    Parameters
    ----------
    table : ``dask.dataframe.DataFrame``, ``lsdb.Catalog`` or ``dask.array.Array``
        * A data frame with positions on the sky, under any of the names that
          `~astrodlkit.extract_cutouts` knows, beside ``data``.
        * A catalogue; its own right ascension and declination are used.
        * Cutouts of shape (n, c, ny, nx) or (n, ny, nx), in chunks of rows
          whose lengths are known. They are used whole.
    data : `~astrodlkit.cutouts.TileIndex`, table or path-like; or a dict or list of paths
        Images that every worker can open: an index of many, best as the path
        of its Parquet file, or as its URL (``"s3://survey/tiles.parquet"``,
        with the extra ``remote``); or FITS files.
    model : str or path-like; or a list of these
        A name of `~astrodlkit.list_models`, or a path that every worker sees.
        It travels as name and sha256 and is loaded once in each process.
    units : dict, optional
        Units of columns of the table, which data frames do not have, for
        example ``{"half_light_radius": "arcsec"}``; of an array that of
        ``"cutout"``. Right ascension and declination are in degrees without.
    bands, stretch, views, interval, batch_size
        As of `astrodlkit.classify_cutouts`.
    size : int, `~astropy.units.Quantity` or str, optional
        As there, but for a width for each row: that must be a column.
    precision : {"auto", "float32", "bfloat16"}
        ``"auto"``: what suits the processor of each worker. Where they differ,
        ``"float32"`` makes the numbers independent of who computed them.
    device : str
        As there, on the worker.
    threads : int
        Number of torch's threads that work on one piece. Dask computes as many
        pieces at a time as a worker has threads: the product of the two should
        be the number of its cores.

    Returns
    -------
    result : ``dask.dataframe.DataFrame`` or ``lsdb.Catalog``
        Lazy, in the same partitions, with the columns of ``table`` and after
        them those of `astrodlkit.classify_cutouts`; for an array only those,
        the index being the number of the row. `to_table` gives what was
        computed its units and descriptions.

    Raises
    ------
    TypeError
        If an argument is of a kind that means nothing.
    ValueError
        If arguments do not go together, or the table has a column with the
        name of one of the result's.
    astrodlkit.exceptions.WeightsError
        When computing: if a worker finds another model by the name.
    astrodlkit.exceptions.MissingDependencyError
        If the extra ``scale`` is not installed.

    See Also
    --------
    astrodlkit.classify_cutouts : The same in memory, or into a folder.
    to_table : What was computed as a `~astropy.table.QTable`.

    Notes
    -----
    The columns are of float32, but for ``flags`` (int32) and the class
    (``string[pyarrow]``).

    Examples
    --------
    >>> import dask.array as da
    >>> from astrodlkit.scale import classify_cutouts
    >>> cutouts = da.zeros((1000, 3, 96, 96), chunks=(100, 3, 96, 96))
    >>> result = classify_cutouts(cutouts, bands=("red", "green", "blue"))
    >>> result.npartitions, result["class_probability"].dtype
    (10, dtype('float32'))
    """
    kind = _kind(table)
    _check(views=views, threads=threads, size=size, precision=precision)
    names, cards = find_models(model)
    columns = _columns(tuple(names), views=views, interval=interval)
    known = ["cutout"] if kind == "array" else [str(name) for name in table.columns]
    if clash := [name for name in columns if name in known]:
        raise ValueError(
            f"the table has columns with the names of the result's: {clash}; rename them first, "
            f"for example table.rename(columns={{{clash[0]!r}: 'my_{clash[0]}'}})"
        )
    job = Job(
        models=tuple(names),
        columns=columns,
        images=_images(kind, data),
        units=read_units(units, known),
        position=_position(table) if kind == "catalogue" else None,
        options={
            "bands": bands,
            "size": size,
            "stretch": stretch,
            "views": views,
            "interval": interval,
            "batch_size": batch_size,
            "precision": precision,
        },
        device=device,
        threads=threads,
    )
    if kind == "array":
        return _of_array(table, job)
    for card in cards:
        _check_bands(job, card.input, bands)
    empty = table.meta if kind == "catalogue" else table._meta  # noqa: SLF001
    meta = classify_partition(empty, job.here())
    return table.map_partitions(classify_partition, job, meta=meta)


def _kind(table: Any) -> str:
    """What is in pieces."""
    check_extra()
    import dask.array as da
    import dask.dataframe as dd

    if isinstance(table, dd.DataFrame):
        return "frame"
    if isinstance(table, da.Array):
        return "array"
    # Whoever has a catalogue of LSDB has imported it.
    if type(table).__module__.startswith("lsdb.") and hasattr(table, "hc_structure"):
        return "catalogue"
    raise TypeError(
        "table must be a Dask DataFrame, an LSDB catalogue or a Dask array of cutouts, got "
        f"{type(table).__name__}; astrodlkit.classify_cutouts takes what is in memory"
    )


def check_extra() -> None:
    """See whether the extra ``scale`` is installed."""
    for module in ("pandas", "pyarrow", "dask.dataframe", "distributed"):
        import_optional(module, extra="scale", purpose="for catalogues in Dask and LSDB")


def _check(*, views: int, threads: int, size: Any, precision: str) -> None:
    from ..classify._views import VIEWS

    resolve_precision(precision, resolve_device("cpu"), difference=lambda: 0.0)
    if views not in VIEWS:
        raise ValueError(f"views must be one of {VIEWS}, got {views!r}")
    check_threads(threads)
    if np.ndim(size) > 0:
        raise ValueError(
            "size must be one width or the name of a column, got an array of shape "
            f"{np.shape(size)}: put the widths into a column of the table"
        )


def check_threads(threads: int) -> None:
    """See whether an argument ``threads`` is a number of threads."""
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise ValueError(f"threads must be a positive integer, got {threads!r}")


def _columns(names: Any, *, views: int, interval: float | None) -> tuple[str, ...]:
    """Names of the columns that the models add."""
    output = load_predictor(names, device="cpu").output
    spread = views > 1 or len(names) > 1
    return (*output.column_names(spread=spread, interval=interval), "flags")


def _images(kind: str, data: Any) -> Any:
    if kind == "array":
        if data is not None:
            raise ValueError("data must be left out: table holds the cutouts, which are used whole")
        return None
    if data is None:
        raise ValueError(
            "data must be given: an index of images, for example the path of what "
            "'astrodlkit index FOLDER -o tiles.parquet' writes"
        )
    return find_images(data)


def read_units(units: Mapping[str, Any] | None, known: list[str]) -> dict[str, u.UnitBase]:
    """Read an argument ``units``."""
    unknown = [name for name in units or () if name not in known]
    if unknown:
        raise ValueError(f"units has {unknown}, but the columns are {known}")
    return {name: u.Unit(unit) for name, unit in (units or {}).items()}


def _position(catalogue: Any) -> tuple[str, str]:
    """Names of the columns by which a catalogue is sorted on the sky."""
    about = catalogue.hc_structure.catalog_info
    return about.ra_column, about.dec_column


def _check_bands(job: Job, spec: Any, bands: Any) -> None:
    """Say now what each piece would say of the bands."""
    data = open_images(job.images)  # type: ignore[arg-type]
    names = getattr(data, "bands", data if isinstance(data, Mapping) else None)
    if names is not None:
        spec._channels(tuple(names), bands)  # noqa: SLF001


def _of_array(array: Any, job: Job) -> Any:
    """A data frame for the rows of an array."""
    import dask.dataframe as dd
    from dask.delayed import delayed

    if array.ndim not in (3, 4) or array.dtype.kind not in "fiub":
        raise ValueError(
            "table must have the shape (n, c, ny, nx) or (n, ny, nx) and hold real numbers, got "
            f"{array.shape} of {array.dtype}"
        )
    lengths = array.chunks[0]
    if np.isnan(lengths).any():
        raise ValueError(
            "table must have chunks of known lengths: call table.compute_chunk_sizes() first"
        )
    array = array.rechunk(dict.fromkeys(range(1, array.ndim), -1))
    # A blank stamp is enough to see whether bands and units go together.
    blank = np.zeros((1, *array.shape[1:]), array.dtype)
    meta = classify_block(blank, 0, job.here()).iloc[:0]
    starts = np.cumsum((0, *lengths)).tolist()
    classify = delayed(classify_block, pure=True)
    blocks = [
        classify(block, start, job)
        for block, start in zip(array.to_delayed().ravel(), starts, strict=False)
    ]
    known = min(lengths) > 0
    return dd.from_delayed(
        blocks,
        meta=meta,
        divisions=(*starts[:-1], starts[-1] - 1) if known else None,
        prefix="classify-cutouts",
        verify_meta=False,
    )
