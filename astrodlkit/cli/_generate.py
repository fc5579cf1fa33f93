"""Arguments of the commands that draw."""

import argparse
from pathlib import Path
from typing import Any

import astropy.units as u

from ._arguments import column, positive

__all__ = ["add_emulate", "add_simulate"]


def add_simulate(commands: Any) -> argparse.ArgumentParser:
    """Add the command ``simulate``."""
    command = commands.add_parser(
        "simulate",
        help="draw the galaxies of a catalogue",
        description=(
            "Draw the galaxies of a catalogue, with the structure of real ones. It needs columns "
            "'flux' or 'mag', and 'half_light_radius'; what else may be in it is in the "
            "documentation of simulate_galaxies. Any table that astropy reads will do, or a folder "
            "of Parquet files."
        ),
    )
    command.add_argument("catalog", type=Path, metavar="CATALOG", help="table of galaxies")
    _add_output(
        command, ".fits, .h5, .hdf5 or .zarr (a folder); Cutouts.read reads it", shown="galaxies"
    )
    command.add_argument(
        "--pixel-scale", type=float, required=True, metavar="ARCSEC", help="of the stamps"
    )
    psf = command.add_mutually_exclusive_group()
    psf.add_argument("--psf-fwhm", type=float, metavar="ARCSEC", help="width of the PSF, a Moffat")
    psf.add_argument("--psf", type=Path, metavar="FITS", help="image of the PSF on the pixels")
    command.add_argument(
        "--shape", type=positive, metavar="PIXELS", help="side of a stamp; default: as needed"
    )
    command.add_argument(
        "--bands", type=lambda text: tuple(text.split(",")), default=("r",), metavar="g,r,i"
    )
    command.add_argument(
        "--column",
        action="append",
        type=column,
        metavar="MEANING=NAME[:UNIT]",
        help="name, and unit if it has none, of a column: half_light_radius=Re:arcsec",
    )
    command.add_argument("--unit", help="of the stamps; default: that of the fluxes")
    command.add_argument("--zero-point", type=float, metavar="MAG", help="AB magnitude of a count")
    for name, text in (
        ("--background-rms", "noise of the background: '2 nJy'"),
        ("--sky-level", "sky that is counted and subtracted: '80 nJy / arcsec2'"),
        ("--gain", "electrons for a unit: '20 electron / nJy'"),
        ("--read-noise", "of a pixel: '9 electron'"),
    ):
        command.add_argument(name, type=u.Quantity, metavar="QUANTITY", help=text)
    command.add_argument("--seed", type=int, help="the same seed gives the same galaxies")
    command.add_argument("-m", "--model", default="sdss-galaxies", help="default: %(default)s")
    command.add_argument("--batch-size", type=positive, default=1024, help="default: %(default)s")
    _add_running(command)

    def run(args: argparse.Namespace) -> None:
        from ._simulate import simulate

        simulate(args)

    command.set_defaults(run=run)
    return command


def add_emulate(commands: Any) -> argparse.ArgumentParser:
    """Add the command ``emulate``."""
    command = commands.add_parser(
        "emulate",
        help="draw maps of the matter density for a cosmology",
        description=(
            "Draw maps of the projected matter density, 1 + delta, such as N-body simulations give."
        ),
    )
    command.add_argument("-n", type=positive, default=1, help="number of maps (default: 1)")
    _add_output(command, ".fits, .h5, .hdf5 or .zarr (a folder)", shown="maps")
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
        type=positive,
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
    _add_running(command)

    def run(args: argparse.Namespace) -> None:
        from ._emulate import emulate

        if len(args.box) > 2 or len(args.shape) > 2:
            command.error("--box and --shape take one number, or two along y and x")
        emulate(args)

    command.set_defaults(run=run)
    return command


def _add_output(command: argparse.ArgumentParser, endings: str, *, shown: str) -> None:
    """Add what is written."""
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help=f"file to write: its name ends in {endings}",
    )
    command.add_argument(
        "--preview", type=Path, metavar="PNG", help=f"picture of the first {shown}"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace OUT and PNG if they exist"
    )


def _add_running(command: argparse.ArgumentParser) -> None:
    """Add where it runs, and what is seen of it."""
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    command.add_argument("--no-progress", action="store_true", help="no progress bar")
