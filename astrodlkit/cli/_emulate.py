"""``astrodlkit emulate``: from a cosmology to a file of maps."""

import argparse
from pathlib import Path

import astropy.cosmology
import astropy.units as u
from astropy.cosmology import FLRW, Cosmology

from ._output import check_output, replace_file

__all__ = ["emulate"]

# Maps in the preview.
_SHOWN = 16


def emulate(args: argparse.Namespace) -> None:
    """
    Carry out the command.

    Parameters
    ----------
    args : `argparse.Namespace`
        The options, as `astrodlkit.cli.main` reads them.
    """
    from ..cosmicweb import plot_density_maps, read_density_maps
    from ..cosmicweb._emulate import find_emulator
    from ..cosmicweb._record import FORMATS
    from ..engine._unfinished import check_target

    if args.preview is not None:
        check_output(args.preview, (".png",), overwrite=args.overwrite)
    if check_target(args.output, FORMATS).exists() and not args.overwrite:
        raise FileExistsError(f"{args.output} exists; --overwrite replaces it")
    cosmology = _read_cosmology(args.cosmology)
    box_size = u.Quantity(args.box[0] if len(args.box) == 1 else args.box, u.Mpc)
    shape = tuple(args.shape * 2)[:2]
    emulator = find_emulator(args.model, shape, box_size, args.device)
    emulator.stream(
        args.output,
        args.n,
        box_size=box_size,
        redshift=args.redshift,
        cosmology=cosmology,
        shape=shape,
        sigma8=args.sigma8,
        rng=args.seed,
        unit=args.unit,
        overwrite=args.overwrite,
        progress=False if args.no_progress else None,
    )
    maps = read_density_maps(args.output, stop=_SHOWN)
    print(f"{args.n} maps from {maps.meta['model']}, seed {maps.meta['seed']}: {args.output}")
    if args.preview is not None:
        figure = plot_density_maps(maps)
        replace_file(
            args.preview, lambda part: figure.savefig(part, dpi=150), overwrite=args.overwrite
        )
        print(f"picture: {args.preview}")


def _read_cosmology(text: str) -> FLRW:
    """One of astropy's by its name, or one that was written to a file."""
    if text in astropy.cosmology.available:
        return getattr(astropy.cosmology, text)
    if not Path(text).is_file():
        raise ValueError(
            f"--cosmology {text}: must be one of {', '.join(astropy.cosmology.available)}, "
            "or a file that Cosmology.write made"
        )
    try:
        return Cosmology.read(text)
    # What of astropy's readers one guesses, and what that one raises, depends on the file.
    except Exception as exc:
        raise ValueError(f"--cosmology {text}: not a file that Cosmology.write made") from exc
