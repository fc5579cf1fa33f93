"""``astrodlkit index``: which images there are, and where."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..cutouts import find_fits, index_images
from ..engine import progress_bar
from ._output import TABLE_FORMATS, check_output, write_table

__all__ = ["index"]


def index(args: argparse.Namespace) -> None:
    """
    Carry out the command.

    Parameters
    ----------
    args : `argparse.Namespace`
        The options, as `astrodlkit.cli.main` reads them.
    """
    check_output(args.output, tuple(TABLE_FORMATS), overwrite=args.overwrite)
    files = find_fits(args.folder)
    with progress_bar(
        len(files), False if args.no_progress else None, description="files", unit="file"
    ) as advance:

        def counted() -> Iterator[Path]:
            for file in files:
                yield file
                advance(1)

        bands = dict(args.band) if args.band else "FILTER"
        images = index_images(counted(), bands=bands, hdu=args.hdu)
    write_table(images, args.output, overwrite=args.overwrite)
    print(f"{len(images)} images in the bands {', '.join(dict.fromkeys(images['band']))}")
    print(f"index: {args.output}")
