"""``astrodlkit simulate``: from a catalogue to a file of stamps."""

import argparse
from collections import Counter
from typing import Any

import astropy.units as u
from astropy.table import QTable

from .._flags import decode_flags
from ._input import check_table_file, read_table_file
from ._output import check_output, replace_file

__all__ = ["simulate"]

# Galaxies in the preview.
_SHOWN = 48
_NOISE = ("gain", "sky_level", "read_noise", "background_rms")


def simulate(args: argparse.Namespace) -> None:
    """
    Carry out the command.

    Parameters
    ----------
    args : `argparse.Namespace`
        The options, as `astrodlkit.cli.main` reads them.
    """
    from ..cutouts._store import read_first, read_flags
    from ..engine._unfinished import check_target
    from ..galaxies._files import FORMATS
    from ..galaxies._simulate import find_simulator

    if check_target(args.output, FORMATS).exists() and not args.overwrite:
        raise FileExistsError(f"{args.output} exists; --overwrite replaces it")
    if args.preview is not None:
        check_output(args.preview, (".png",), overwrite=args.overwrite)
    check_table_file(args.catalog)
    table = read_table_file(args.catalog)
    options = {
        "psf": _read_psf(args),
        "pixel_scale": args.pixel_scale * u.arcsec,
        "shape": args.shape,
        "noise": _read_noise(args),
        "bands": args.bands,
        "rng": args.seed,
        "columns": _read_columns(args.column, table),
        "unit": args.unit,
        "zero_point": args.zero_point,
    }
    simulator = find_simulator(args.model, args.device)
    simulator.write(
        args.output,
        table,
        batch_size=args.batch_size,
        overwrite=args.overwrite,
        progress=False if args.no_progress else None,
        **options,
    )
    first = read_first(args.output, _SHOWN)
    print(f"{_in_words(first, read_flags(args.output))}: {args.output}")
    if args.preview is not None and len(first):
        from ..galaxies import plot_cutouts

        figure = plot_cutouts(first)
        replace_file(
            args.preview, lambda part: figure.savefig(part, dpi=150), overwrite=args.overwrite
        )
        print(f"picture: {args.preview}")


def _in_words(first: Any, flags: Any) -> str:
    """What was drawn, as a sentence."""
    about = first.meta["astrodlkit"]
    words = f"{len(flags)} galaxies from {about['model']}, seed {about['seed']}"
    found = Counter(name for names in decode_flags(flags) for name in names)
    # Both go with no_result.
    for name in ("masked_pixels", "non_finite", "all_masked"):
        found.pop(name, None)
    if found:
        words += f"; flags: {', '.join(f'{n} {name}' for name, n in found.most_common())}"
    return words


def _read_psf(args: argparse.Namespace) -> Any:
    """A width, a picture, or nothing."""
    if args.psf is None:
        return None if args.psf_fwhm is None else args.psf_fwhm * u.arcsec
    from ..cutouts import read_images

    (image,) = read_images(args.psf).values()
    return image.values((slice(None), slice(None)))


def _read_noise(args: argparse.Namespace) -> Any:
    from ..galaxies import NoiseModel

    given = {name: getattr(args, name) for name in _NOISE if getattr(args, name) is not None}
    return NoiseModel(**given) if given else None


def _read_columns(given: list[tuple[str, str, str]] | None, table: QTable) -> dict[str, str]:
    """Names of columns; units are given to those that have none."""
    for meaning, name, unit in given or []:
        if not unit:
            continue
        if name not in table.colnames:
            raise ValueError(f"--column {meaning}={name}: the table has {table.colnames}")
        if getattr(table[name], "unit", None) is None:
            table[name] = table[name] * u.Unit(unit)
    return {meaning: name for meaning, name, _ in given or []}
