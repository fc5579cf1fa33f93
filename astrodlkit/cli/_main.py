"""Arguments, errors and exit codes of the command."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ._arguments import hdu, pattern, positive, size
from ._generate import add_emulate, add_simulate
from ._output import TABLE_FORMATS

__all__ = ["main"]

_EXIT_CODES = (
    "exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 141 not read to the end"
)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command ``astrodlkit``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    code : int
        0: done; 1: failed, with one line on standard error; 130: interrupted; 141: who reads the
        standard output, as ``head``, has left.

    Raises
    ------
    SystemExit
        With code 2 for wrong usage, and 0 for ``--help`` and ``--version``.

    Examples
    --------
    >>> from astrodlkit.cli import main
    >>> main(["models"])  # doctest: +ELLIPSIS
    cosmicweb-100mpc...
    sdss-galaxies...
    0
    """
    args = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            args.run(args)
            sys.stdout.flush()
        except BrokenPipeError:
            # What is left to write goes nowhere, also at the end of the process.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except KeyboardInterrupt:
            _say("interrupted")
            return 130
        except Exception as exc:
            if args.debug:
                raise
            _say(f"error: {' '.join(str(exc).split()) or type(exc).__name__}")
            return 1
    return 0


def _say(message: str) -> None:
    print(f"astrodlkit: {message}", file=sys.stderr)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _say(f"warning: {' '.join(str(message).split())}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="astrodlkit", description="Deep learning on astropy's types.", epilog=_EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"astrodlkit {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (
        _add_classify,
        _add_index,
        add_simulate,
        add_emulate,
        _add_models,
        _add_demo,
    ):
        command = add(commands)
        command.epilog = _EXIT_CODES
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_classify(commands: Any) -> argparse.ArgumentParser:
    command = commands.add_parser(
        "classify",
        usage="astrodlkit classify IMAGE [IMAGE ...] [CATALOG] -o OUT [options]",
        help="classify the sources of a catalogue, or those found in the image",
        description=(
            "Classify the sources of a catalogue by their pictures in one or more FITS images. "
            "The last file is taken for the catalogue if it holds a table and no image; any table "
            "that astropy reads will do, or a folder of Parquet files. Without a catalogue, "
            "sources are detected in the first image with photutils. Instead of images: an index "
            "of many, as 'astrodlkit index' writes it."
        ),
    )
    command.add_argument(
        "files", nargs="+", type=Path, metavar="IMAGE", help="FITS images, and the catalogue last"
    )
    command.add_argument("--catalog", type=Path, help="the catalogue, instead of as last file")
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help=(
            f"table to write: its name ends in {', '.join(TABLE_FORMATS)}; or a folder of Parquet "
            "files, in which a run that was stopped goes on: one that is there, or any with a / "
            "at the end"
        ),
    )
    command.add_argument(
        "--part-size", type=positive, metavar="ROWS", help="in a file of a folder (default: 16384)"
    )
    command.add_argument("--gallery", type=Path, metavar="PNG", help="picture to write")
    command.add_argument(
        "--overwrite", action="store_true", help="replace OUT and PNG if they exist"
    )
    command.add_argument(
        "--bands",
        type=lambda text: tuple(text.split(",")),
        metavar="g,r,i",
        help=(
            "bands of the images, or of the catalogue's cutouts, in their order; needed with more "
            "than one image. Names that the model does not know are taken in its order of bands: "
            "red, green, blue. With an index of images: which of its bands to use"
        ),
    )
    command.add_argument(
        "-m",
        "--model",
        action="append",
        help="default: galaxyzoo2; may be given several times for the mean of several models",
    )
    command.add_argument(
        "--size",
        type=size,
        help=(
            "width of the stamps: pixels, an angle ('20 arcsec') or a column of the catalogue; "
            "by default it follows the size of each source"
        ),
    )
    command.add_argument(
        "--views",
        type=int,
        choices=(1, 2, 4, 8),
        default=1,
        help="turned and mirrored views to average",
    )
    command.add_argument(
        "--interval",
        type=float,
        choices=(0.68, 0.95),
        help="add intervals that cover this part of the truths",
    )
    command.add_argument("--batch-size", type=positive, default=256, help="default: %(default)s")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    command.add_argument("--no-progress", action="store_true", help="no progress bars")

    def run(args: argparse.Namespace) -> None:
        from ._classify import classify

        classify(args, fail=command.error)

    command.set_defaults(run=run)
    return command


def _add_index(commands: Any) -> argparse.ArgumentParser:
    command = commands.add_parser(
        "index",
        help="list the images of a folder, and where on the sky they lie",
        description=(
            "Make an index of all FITS images in a folder and below: a table from which "
            "'astrodlkit classify' takes each source's image."
        ),
    )
    command.add_argument("folder", type=Path, metavar="FOLDER", help="folder of FITS files")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="table to write: its name ends in .parquet, or as for classify",
    )
    command.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    command.add_argument(
        "--band",
        action="append",
        type=pattern,
        metavar="g=*-g-*.fits",
        help="files of a band, several times; by default the keyword FILTER tells it",
    )
    command.add_argument(
        "--hdu", type=hdu, help="number or name of the images' HDUs; by default the first image"
    )
    command.add_argument("--no-progress", action="store_true", help="no progress bars")

    def run(args: argparse.Namespace) -> None:
        from ._index import index

        index(args)

    command.set_defaults(run=run)
    return command


def _add_models(commands: Any) -> argparse.ArgumentParser:
    command = commands.add_parser(
        "models", help="list the models, or describe one", description="List or describe models."
    )
    command.add_argument("name", nargs="?", help="a model, for its card")

    def run(args: argparse.Namespace) -> None:
        from ..pretrained import describe_model, list_models

        if args.name is not None:
            print(describe_model(args.name))
            return
        for name in list_models():
            print(f"{name:<24} {describe_model(name).title}")

    command.set_defaults(run=run)
    return command


def _add_demo(commands: Any) -> argparse.ArgumentParser:
    command = commands.add_parser(
        "demo",
        help="classify the galaxies of the Hubble Deep Field",
        description=(
            "Detect, cut out and classify the galaxies of the Hubble Deep Field, which "
            "scikit-image carries; write a table and a picture. Nothing is downloaded."
        ),
    )
    command.add_argument(
        "--output",
        type=Path,
        default=Path("astrodlkit-demo"),
        metavar="DIR",
        help="folder of the two files (default: %(default)s)",
    )
    command.add_argument("--overwrite", action="store_true", help="replace them if they exist")
    command.add_argument("--no-progress", action="store_true", help="no progress bars")

    def run(args: argparse.Namespace) -> None:
        from ._demo import demo

        demo(args.output, overwrite=args.overwrite, progress=False if args.no_progress else None)

    command.set_defaults(run=run)
    return command
