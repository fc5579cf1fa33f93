"""Arguments, errors and exit codes of the command."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import astropy.units as u

from .. import __version__
from ._output import TABLE_FORMATS

__all__ = ["main"]

_EXIT_CODES = "exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted"


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
        0: done; 1: failed, with one line on standard error; 130: interrupted.

    Raises
    ------
    SystemExit
        With code 2 for wrong usage, and 0 for ``--help`` and ``--version``.

    Examples
    --------
    >>> from astrodlkit.cli import main
    >>> main(["models"])  # doctest: +ELLIPSIS
    efigi...
    galaxyzoo2...
    0
    """
    args = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            args.run(args)
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
    for add in (_add_classify, _add_index, _add_emulate, _add_models, _add_demo):
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
            "that astropy reads will do. Without a catalogue, sources are detected in the first "
            "image with photutils. Instead of images: an index of many, as 'astrodlkit index' "
            "writes it."
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
            f"table to write: its name ends in {', '.join(TABLE_FORMATS)}; or, with a / at the "
            "end, a folder of Parquet files, in which a run that was stopped goes on"
        ),
    )
    command.add_argument("--gallery", type=Path, metavar="PNG", help="picture to write")
    command.add_argument(
        "--overwrite", action="store_true", help="replace OUT and PNG if they exist"
    )
    command.add_argument(
        "--bands",
        type=lambda text: tuple(text.split(",")),
        metavar="g,r,i",
        help="bands of the images, in their order; needed with more than one",
    )
    command.add_argument(
        "-m",
        "--model",
        action="append",
        help="default: galaxyzoo2; may be given several times for the mean of several models",
    )
    command.add_argument(
        "--size",
        type=_size,
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
    command.add_argument("--batch-size", type=_positive, default=256, help="default: %(default)s")
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
        type=_pattern,
        metavar="g=*-g-*.fits",
        help="files of a band, several times; by default the keyword FILTER tells it",
    )
    command.add_argument(
        "--hdu", type=_hdu, help="number or name of the images' HDUs; by default the first image"
    )
    command.add_argument("--no-progress", action="store_true", help="no progress bars")

    def run(args: argparse.Namespace) -> None:
        from ._index import index

        index(args)

    command.set_defaults(run=run)
    return command


def _add_emulate(commands: Any) -> argparse.ArgumentParser:
    command = commands.add_parser(
        "emulate",
        help="draw maps of the matter density for a cosmology",
        description=(
            "Draw maps of the projected matter density, 1 + delta, such as N-body simulations give."
        ),
    )
    command.add_argument("-n", type=_positive, default=1, help="number of maps (default: 1)")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="file to write: its name ends in .fits, .h5, .hdf5 or .zarr",
    )
    command.add_argument("--preview", type=Path, metavar="PNG", help="picture of the first maps")
    command.add_argument(
        "--overwrite", action="store_true", help="replace OUT and PNG if they exist"
    )
    command.add_argument(
        "--box",
        type=float,
        nargs="+",
        default=[500.0],
        metavar="MPC",
        help="side of a map in comoving Mpc, or its sides y x (default: 500)",
    )
    command.add_argument(
        "--shape",
        type=_positive,
        nargs="+",
        default=[256],
        metavar="PIXELS",
        help="side of a map in pixels, or its sides y x (default: 256)",
    )
    command.add_argument(
        "--cosmology",
        default="Planck18",
        help="one of astropy's, or a file that Cosmology.write made (default: %(default)s)",
    )
    command.add_argument("--redshift", type=float, default=0.0, help="default: 0")
    command.add_argument("--sigma8", type=float, help="today; default: the cosmology's")
    command.add_argument("--seed", type=int, help="the same seed gives the same maps")
    command.add_argument("-m", "--model", help="default: the one whose pixels fit")
    command.add_argument(
        "--unit", default="", help="of surface density ('Msun / Mpc2') instead of 1 + delta"
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    command.add_argument("--no-progress", action="store_true", help="no progress bar")

    def run(args: argparse.Namespace) -> None:
        from ._emulate import emulate

        if len(args.box) > 2 or len(args.shape) > 2:
            command.error("--box and --shape take one number, or two along y and x")
        emulate(args)

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


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return value


def _pattern(text: str) -> tuple[str, str]:
    band, _, pattern = text.partition("=")
    if not band or not pattern:
        raise argparse.ArgumentTypeError(f"must be BAND=PATTERN, got {text!r}")
    return band, pattern


def _hdu(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _size(text: str) -> float | u.Quantity | str:
    """Pixels, an angle, or the name of a column."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return u.Quantity(text)
    except (TypeError, ValueError):
        return text
