"""``astrodlkit classify``: from files to files."""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from astropy.io import fits
from astropy.io.registry import IORegistryError
from astropy.nddata import NDData
from astropy.table import QTable, Table

from .._flags import decode_flags
from ..cutouts import read_images
from ._detect import detect
from ._output import TABLE_FORMATS, check_output, replace_file, write_table

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
    images, catalog = list(args.files), args.catalog
    for path in (*images, *([catalog] if catalog else [])):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file")
    if catalog is None and not _holds_image(images[-1]):
        catalog = images.pop()
    bands = args.bands or ("image",)
    if len(bands) != len(images) and images:
        fail(f"--bands must name the {len(images)} images in order, for example --bands g,r,i")
    check_output(args.output, tuple(TABLE_FORMATS), overwrite=args.overwrite)
    if args.gallery is not None:
        check_output(args.gallery, (".png",), overwrite=args.overwrite)

    data = dict(zip(bands, images, strict=True)) if images else None
    sources = _detected(images[0]) if catalog is None else _read_table(catalog)

    from ..classify import classify_cutouts

    models = args.model or ["galaxyzoo2"]
    result = classify_cutouts(
        sources,
        data,
        model=models if len(models) > 1 else models[0],
        size=args.size,
        views=args.views,
        interval=args.interval,
        batch_size=args.batch_size,
        device=args.device,
        progress=False if args.no_progress else None,
    )
    write_table(result, args.output, overwrite=args.overwrite)
    print(in_words(result))
    print(f"table: {args.output}")
    if args.gallery is not None:
        options = {"model": models[0], "size": args.size}
        write_gallery(args.gallery, result, data, options, overwrite=args.overwrite)
        print(f"picture: {args.gallery}")


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


def in_words(result: Table) -> str:
    """
    What a result holds, as a sentence.

    Parameters
    ----------
    result : `~astropy.table.Table`
        What `~astrodlkit.classify_cutouts` gave.

    Returns
    -------
    text : str
        The number of rows, of each class and of each flag.
    """
    counts = Counter(str(name) for name in result["class"])
    nameless = counts.pop("", 0)
    parts = [f"{count} {name.replace('_', ' ')}" for name, count in counts.most_common()]
    if nameless:
        parts.append(f"{nameless} without a result")
    words = f"{len(result)} sources: {', '.join(parts) or 'none'}"
    # Nearly every row is resampled: that is no news.
    flags = Counter(name for names in decode_flags(result["flags"]) for name in names)
    flags.pop("resampled", None)
    if flags:
        words += f"; flags: {', '.join(f'{n} {name}' for name, n in flags.most_common())}"
    return words


def _holds_image(path: Path) -> bool:
    """Whether a file is FITS with an image in it; a table is neither."""
    try:
        with fits.open(path) as hdus:
            kinds = fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU
            return any(isinstance(hdu, kinds) and hdu.header["NAXIS"] > 1 for hdu in hdus)
    except OSError:
        return False


def _read_table(path: Path) -> QTable:
    try:
        return QTable.read(path)
    except IORegistryError:
        # The name does not tell the format: columns of text are what is left.
        return QTable.read(path, format="ascii")


def _detected(path: Path) -> QTable:
    image = next(iter(read_images(path).values()))
    whole = (slice(None), slice(None))
    sources = detect(NDData(image.values(whole), mask=image.mask, wcs=image.wcs))
    if not len(sources):
        raise ValueError(f"{path}: no source was detected; give a catalogue")
    return sources
