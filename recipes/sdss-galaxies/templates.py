"""
Clean unit-flux templates of the galaxies, with measured conditions.

.. code-block:: console

    $ python recipes/sdss-galaxies/templates.py DATA WORK

``DATA`` is the folder of the labelled sets, ``WORK`` lies outside the repository. Chunks of
galaxies are kept there as they are done: an interrupted call goes on where it stopped. At the end
``WORK/templates.h5`` is written, and how many were dropped for which reason.
"""

import argparse
import hashlib
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np
import photutils
import statmorph
from clean import APART, Lone, alone
from measure import HALF_LIGHT, SIDE, growth, morphology, seeing, template
from pictures import Galaxies
from strays import stray

CHUNK = 50
MEASURED = (
    "axis_ratio", "angle", "flux", "half_light_radius", "r20", "r80", "concentration", "gini",
    "m20", "asymmetry", "smoothness", "shape_asymmetry", "sersic_index", "sersic_radius",
    "petrosian_radius", "petro_r90", "signal_to_noise", "g_r", "r_i", "x", "y", "inside",
    "flag", "flag_sersic", "zoom", "psf_fwhm", "fwhm", "filled", "neighbour", "saturated", "border",
    "apart", "noise", "stray",
)  # fmt: skip
CLEANED = ("fwhm", "filled", "neighbour", "saturated", "border", "apart")
KNOWN = ("split", "class5", "gz1", "t_type", "votes", "debiased", "attributes")


@dataclass
class Result:
    """One galaxy: its template, what was measured, and why it was dropped, or ""."""

    stamp: np.ndarray
    values: dict[str, float]
    reason: str


def process(picture: np.ndarray, *, efigi: bool) -> Result:
    """Clean, measure and normalise one picture."""
    values = dict.fromkeys(MEASURED, np.nan)
    stamp = np.zeros((3, SIDE, SIDE), np.float32)
    try:
        lone = alone(picture, efigi=efigi)
        if lone is None:
            return Result(stamp, values, "nothing in the middle")
        values |= {f.name: getattr(lone, f.name) for f in fields(Lone) if f.name in CLEANED}
        reason = unfit(lone)
        if reason:
            return Result(stamp, values, reason)
        values |= {k: v for k, v in morphology(lone).items() if k in MEASURED}
        reason = badly_measured(lone, values)
        if reason:
            return Result(stamp, values, reason)
        stamp, values["zoom"], values["noise"] = template(lone, values)
    except (ValueError, IndexError, ArithmeticError, AssertionError, RuntimeError) as error:
        return Result(stamp, values, f"error: {type(error).__name__}")
    values["psf_fwhm"] = seeing(lone, values["zoom"])
    values["stray"] = stray(stamp, HALF_LIGHT * values["psf_fwhm"])
    return Result(stamp, values, poor_template(stamp, values))


def unfit(lone: Lone) -> str:
    """Why a picture is no use, or ""."""
    reasons = {
        "bands apart": lone.apart > APART,
        "merged with a neighbour": lone.neighbour > 0.6,
        "cut off": lone.border > 0.012,
        "covered by neighbours": lone.filled > 0.2,
        "saturated": lone.saturated > 0.06,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def badly_measured(lone: Lone, values: dict[str, float]) -> str:
    """Why a measurement is no use, or ""."""
    side = lone.light.shape[1]
    numbers = [values[name] for name in MEASURED[: MEASURED.index("flag")]]
    centre = np.hypot(values["x"] - side / 2, values["y"] - side / 2)
    reasons = {
        "measurement failed": values["flag"] > 2 or not np.isfinite(numbers).all(),
        "badly measured": values["flag"] > 1,
        "off centre": centre > 0.07 * side,
        "faint": values["signal_to_noise"] < 8,
        "cut off": values["petrosian_radius"] > 0.49 * side or values["inside"] < 0.97,
        "not resolved": lone.fwhm > 1.1 * values["half_light_radius"],
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def poor_template(stamp: np.ndarray, values: dict[str, float]) -> str:
    """Why a template is no use, or ""."""
    radius = growth(stamp[1], ((SIDE - 1) / 2, (SIDE - 1) / 2), 0.5)
    if not np.isfinite(stamp).all() or abs(radius / HALF_LIGHT - 1) > 0.02:
        return "badly scaled"
    edge = np.concatenate([stamp[1, :3].ravel(), stamp[1, -3:].ravel()])
    if stamp[1].min() < -0.15 * stamp[1].max() or edge.sum() > 0.03:
        return "residues"
    if values["stray"] > 0.01:
        return "star or neighbour left"
    if not (-0.3 < values["g_r"] < 1.6 and -0.4 < values["r_i"] < 1.2):
        return "no galaxy's colours"
    return ""


def not_galaxies(galaxies: Galaxies) -> np.ndarray:
    """Rows that the volunteers took for a star or an artefact, (n,) bool."""
    artefact = galaxies.table["votes"][:, 2]
    return np.nan_to_num(np.asarray(artefact)) > 0.3


def _chunk(work: tuple[Path, Path, np.ndarray]) -> None:
    """Process some rows and write their file, whole or not at all."""
    data, path, rows = work
    galaxies = _galaxies(data)[rows]
    dropped = not_galaxies(galaxies)
    results = []
    for row, picture in enumerate(galaxies.pictures()):
        if dropped[row]:
            values = dict.fromkeys(MEASURED, np.nan)
            stamp = np.zeros((3, SIDE, SIDE), np.float32)
            results.append(Result(stamp, values, "voted not a galaxy"))
        else:
            results.append(process(picture, efigi=galaxies.table["set"][row] == "efigi"))
    part = path.with_suffix(".part")
    with h5py.File(part, "w") as file:
        file["templates"] = np.array([r.stamp for r in results], np.float16)
        file["reason"] = [r.reason for r in results]
        file["row"] = rows
        for name in MEASURED:
            file[name] = np.array([r.values[name] for r in results], np.float32)
    part.replace(path)


_read: dict[Path, Galaxies] = {}


def _galaxies(data: Path) -> Galaxies:
    """The galaxies of a folder, read once in each process."""
    if data not in _read:
        _read[data] = Galaxies.read(data)
    return _read[data]


def chosen_rows(data: Path, work: Path, n: int | None) -> np.ndarray:
    """Rows of `Galaxies.read` that are each another galaxy; their merged labels go to ``work``."""
    path = work / "galaxies.h5"
    if not path.exists():
        galaxies = _galaxies(data)
        once, pairs, rows = galaxies.each_once()
        with h5py.File(path.with_suffix(".part"), "w") as file:
            file["row"], file["pairs"] = rows, pairs
            for name in ("set", "id", "dr7objid"):
                file[name] = once.table[name].astype("S")
            for name in KNOWN:
                file[name] = np.asarray(once.table[name])
        path.with_suffix(".part").replace(path)
        print(f"{len(galaxies)} rows, {len(once)} galaxies, {len(pairs)} pairs of copies")
    with h5py.File(path) as file:
        rows = file["row"][()]
    return rows if n is None else rows[np.linspace(0, len(rows) - 1, n).astype(int)]


def gather(work: Path, chunks: list[Path]) -> Counter[str]:
    """Write the file of the templates that are kept; count the reasons of the others."""
    reasons: Counter[str] = Counter()
    stamps, columns = [], {name: [] for name in (*MEASURED, "row")}
    for path in chunks:
        with h5py.File(path) as file:
            reason = file["reason"].asstr()[()]
            reasons.update(reason)
            kept = reason == ""
            stamps.append(file["templates"][()][kept])
            for name, column in columns.items():
                column.append(file[name][()][kept])
    rows = np.concatenate(columns.pop("row"))
    with h5py.File(work / "galaxies.h5") as known, h5py.File(work / "templates.part", "w") as file:
        place = np.searchsorted(known["row"][()], rows)
        file.create_dataset("templates", data=np.concatenate(stamps), chunks=(1, 3, SIDE, SIDE))
        for name in ("set", "id", "dr7objid", *KNOWN):
            file[name] = known[name][()][place]
        file["row"] = rows
        for name, column in columns.items():
            file[name] = np.concatenate(column)
        file.attrs["bands"] = ["g", "r", "i"]
        file.attrs["half_light_radius_pixels"] = HALF_LIGHT
        file.attrs["provenance"] = json.dumps(provenance() | {"reasons": reasons})
    (work / "templates.part").replace(work / "templates.h5")
    return reasons


def provenance() -> dict[str, str]:
    """Versions, and the hash of this recipe's code."""
    code = b"".join(
        (Path(__file__).parent / f"{name}.py").read_bytes()
        for name in ("pictures", "linear", "seeing", "clean", "measure", "strays", "templates")
    )
    return {
        "code": hashlib.sha256(code).hexdigest(),
        "statmorph": statmorph.__version__,
        "photutils": photutils.__version__,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("work", type=Path, help="folder to work in")
    parser.add_argument("--n", type=int, help="so many galaxies, spread over the sets")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rows = chosen_rows(args.data, args.work, args.n)
    folder = args.work / ("chunks" if args.n is None else f"chunks-{args.n}")
    folder.mkdir(exist_ok=True)
    starts = range(0, len(rows), CHUNK)
    chunks = [folder / f"chunk-{start // CHUNK:04d}.h5" for start in starts]
    todo = [
        (args.data, path, rows[start : start + CHUNK])
        for start, path in zip(starts, chunks, strict=True)
        if not path.exists()
    ]
    print(f"{len(rows)} galaxies, {len(todo)} of {len(chunks)} chunks to do", flush=True)
    if args.processes > 1:
        with ProcessPoolExecutor(args.processes) as pool:
            list(pool.map(_chunk, todo))
    else:
        for k, work in enumerate(todo):
            _chunk(work)
            print(f"chunk {k + 1} of {len(todo)}", flush=True)
    reasons = gather(args.work, chunks)
    print(f"{reasons.pop('', 0)} of {len(rows)} kept")
    for reason, number in reasons.most_common():
        print(f"  {number:6d} {reason}")


if __name__ == "__main__":
    main()
