"""``astrodlkit classify``: from files to files."""

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from astropy.io import fits
from astropy.nddata import NDData
from astropy.table import QTable, Table

from .._flags import decode_flags
from ..cutouts import TileIndex, read_images
from ._detect import detect
from ._input import check_table_file, read_table_file
from ._output import TABLE_FORMATS, check_output, check_table, replace_file, write_table

__all__ = ["classify", "in_words", "write_gallery"]


def classify(args: argparse.Namespace, *, fail: Callable[[str], NoReturn]) -> None:
    """
    Carry out the command.

    Parameters
    ----------
    args : `argparse.Namespace`
        The options, as `astrodlkit.cli.main` reads them.
    fail : callable
        Called with a message to refuse wrong usage.
    """
    output = Path(args.output)
    # A folder that is there is meant as cp and mv mean it.
    into_folder = args.output.endswith(("/", os.sep)) or output.is_dir()
    if into_folder and (args.gallery or args.overwrite):
        fail("--gallery and --overwrite need a table as OUT, not a folder")
    if args.part_size is not None and not into_folder:
        fail("--part-size needs a folder as OUT: one that is there, or a name that ends in /")
    data, catalog = _inputs(args, fail)
    if not into_folder:
        if not output.suffix:
            raise ValueError(
                f"{output}: the name must end in one of {', '.join(TABLE_FORMATS)}, or in / for "
                "a folder"
            )
        check_output(output, tuple(TABLE_FORMATS), overwrite=args.overwrite)
        _spare_images(args.files, catalog, output, fail)
    if args.gallery is not None:
        check_output(args.gallery, (".png",), overwrite=args.overwrite)
    sources = _sources(data, catalog, fail, lazily=into_folder)

    models = args.model or ["galaxyzoo2"]
    if args.gallery is not None and "class_probability" not in _columns(models[0]):
        fail(f"--gallery shows classes, and the model {models[0]} has no column 'class'")
    if not into_folder:
        check_table(sources, output)

    from ..classify import classify_cutouts

    # An index of images has been asked for its bands already.
    bands = None if isinstance(data, TileIndex) else args.bands
    result = classify_cutouts(
        sources,
        data,
        model=models if len(models) > 1 else models[0],
        bands=bands,
        size=args.size,
        views=args.views,
        interval=args.interval,
        batch_size=args.batch_size,
        device=args.device,
        progress=False if args.no_progress else None,
        output=output if into_folder else None,
        **({} if args.part_size is None else {"part_size": args.part_size}),
    )
    if not into_folder:
        write_table(result, output, overwrite=args.overwrite)
    print(in_words(result))
    print(f"{'folder' if into_folder else 'table'}: {output}")
    if args.gallery is not None:
        options = {"model": models[0], "bands": bands, "size": args.size}
        write_gallery(args.gallery, result, data, options, overwrite=args.overwrite)
        print(f"picture: {args.gallery}")


def _inputs(args: argparse.Namespace, fail: Callable[[str], NoReturn]) -> tuple[Any, Path | None]:
    """The images, or an index of them, and the catalogue."""
    images, catalog = list(args.files), args.catalog
    if catalog is None and _fits_content(images[-1]) != "image":
        catalog = images.pop()
    for path in images:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder; 'astrodlkit index' lists its images")
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file")
    if catalog is not None:
        check_table_file(catalog)
    if len(images) == 1 and _is_table(images[0]):
        return _index(images[0], args.bands, fail), catalog
    if images and len(args.bands or ("image",)) != len(images):
        fail(f"--bands must name the {len(images)} images in order, for example --bands g,r,i")
    return images or None, catalog


def _sources(
    data: Any, catalog: Path | None, fail: Callable[[str], NoReturn], *, lazily: bool
) -> Any:
    """What is detected, or the catalogue: its path if it may be larger than the memory."""
    if catalog is None:
        return _detected(data[0])
    if lazily and (catalog.is_dir() or catalog.suffix.lower() == ".parquet"):
        return catalog
    sources = read_table_file(catalog)
    if data is None and {"path", "s_region"} <= set(sources.colnames):
        fail("an index of images needs a catalogue")
    return sources


def _spare_images(
    files: list[Path], catalog: Path | None, output: Path, fail: Callable[[str], NoReturn]
) -> None:
    """A catalogue may be replaced by itself with more columns; an image would be lost."""
    images = [path for path in files if path != catalog]
    if output.exists() and any(output.samefile(path) for path in images):
        fail(f"OUT is one of the images: {output}")


def _index(path: Path, bands: tuple[str, ...] | None, fail: Callable[[str], NoReturn]) -> TileIndex:
    """An index of the images of some bands."""
    index = TileIndex.read(path)
    if bands is None or set(bands) == set(index.bands):
        return index
    if not set(bands) <= set(index.bands):
        fail(f"--bands {','.join(bands)}: the index of images has {', '.join(index.bands)}")
    return TileIndex(index.table[[str(band) in bands for band in index.table["band"]]])


def write_gallery(
    path: Path, result: Table, data: Any, options: Mapping[str, Any], *, overwrite: bool
) -> None:
    """
    Write the gallery of a result.

    Parameters
    ----------
    path : `~pathlib.Path`
        The PNG file.
    result : `~astropy.table.Table`
        What `~astrodlkit.classify_cutouts` gave.
    data, options
        What it was given.
    overwrite : bool
        Whether ``path`` may exist.
    """
    from ..classify import plot_gallery

    figure = plot_gallery(result, data, **options)
    replace_file(path, lambda part: figure.savefig(part, dpi=150), overwrite=overwrite)


def in_words(result: Table | Iterable[Table]) -> str:
    """
    What a result holds, as a sentence.

    Parameters
    ----------
    result : `~astropy.table.Table` or iterable of them
        What `~astrodlkit.classify_cutouts` gave, or its parts.

    Returns
    -------
    text : str
        The number of rows, of each class and of each flag.
    """
    counts: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    total = 0
    for part in [result] if isinstance(result, Table) else result:
        total += len(part)
        counts.update(str(name) for column in _class_column(part) for name in part[column])
        flags.update(name for names in decode_flags(part["flags"]) for name in names)
    nameless = counts.pop("", 0)
    parts = [f"{count} {name.replace('_', ' ')}" for name, count in counts.most_common()]
    if nameless:
        parts.append(f"{nameless} without a result")
    words = f"{total} sources" + (f": {', '.join(parts)}" if parts else "")
    # Nearly every row is resampled: that is no news.
    flags.pop("resampled", None)
    if flags:
        words += f"; flags: {', '.join(f'{n} {name}' for name, n in flags.most_common())}"
    return words


def _columns(model: str) -> Iterable[str]:
    from ..pretrained import describe_model

    output = describe_model(model).output
    return () if output is None else output.columns


def _class_column(result: Table) -> list[str]:
    """Where the classes are: a model of one's own names them otherwise, one of numbers has none."""
    names = [name for name in result.colnames if f"{name}_probability" in result.colnames]
    return ["class"] if "class" in names else names[-1:]


def _is_table(path: Path) -> bool:
    """Whether a file is a table: by its name, or FITS without an image."""
    kind = TABLE_FORMATS.get(path.suffix.lower())
    return _fits_content(path) == "table" if kind == "fits" else kind is not None


def _fits_content(path: Path) -> str:
    """``"image"`` or ``"table"``; nothing of a file that is not FITS, or damaged."""
    try:
        with path.open("rb") as stream, fits.open(stream) as hdus:
            kinds = fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU
            whole = any(isinstance(hdu, kinds) and hdu.header["NAXIS"] > 1 for hdu in hdus)
            return "image" if whole else "table"
    except OSError:
        return ""


def _detected(path: Path) -> QTable:
    image = next(iter(read_images(path).values()))
    whole = (slice(None), slice(None))
    sources = detect(NDData(image.values(whole), mask=image.mask, wcs=image.wcs))
    if not len(sources):
        raise ValueError(f"{path}: no source was detected; give a catalogue")
    return sources
