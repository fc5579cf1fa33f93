"""
What a row costs as catalogues grow, what resuming and Dask cost, and what a second process brings.

Run it on a machine on which nothing else runs, with two cores or more:

    OMP_NUM_THREADS=1 python benchmarks/scale.py

It prints rows per second and the peak of memory for catalogues of 10^4, 10^5 and 10^6 rows, each
classified into a folder by a process of its own (the cost of a row to be flat within 5 %, the
peak 2 GiB at most); what the same call costs when all is done already, which is what resuming
costs beside the part that was lost (at most 2 %); two workers of one thread over one (at least
1.7), and one worker over the same partitions in a plain loop (at most 1.15). Workers are started,
and have loaded what they need, before the clock runs.

The network is small by default and has learned nothing, so that a row costs what all but the
network costs: ratios are the worst there are. ``--model galaxyzoo2 --rows 2000 20000`` is the
real thing. ``--rows 500 1000 -n 200 --repeats 1`` shows in a minute that all of it works.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time

import astropy.units as u
import dask
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import torch
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from astrodlkit import CutoutClassifier, ModelCard, classify_cutouts, load_model
from astrodlkit import scale as on_dask
from astrodlkit.cutouts import TileIndex, index_images
from astrodlkit.engine import open_rows
from astrodlkit.networks import build
from astrodlkit.specs import Head, InputSpec, LuptonStretch, OutputSpec

SCALE = 0.396
UNITS = {"petroR90": "arcsec"}


def make_sky(folder: Path, n: int, side: int = 2048) -> pd.DataFrame:
    """Four tiles in three bands, their index, and n sources sorted by tile."""
    rng = np.random.default_rng(1)
    frames = []
    for tile in range(4):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crpix = [side / 2, side / 2]
        wcs.wcs.crval = [150.0 + tile * side * SCALE / 3600, 2.0]
        wcs.wcs.cdelt = [-SCALE / 3600, SCALE / 3600]
        for band in "gri":
            header = wcs.to_header()
            header["BUNIT"], header["FILTER"] = "nmgy", band
            values = rng.normal(0.01, 0.02, (side, side)).astype("f4")
            fits.writeto(folder / f"{tile}{band}.fits", values, header)
        sky = wcs.pixel_to_world(*rng.uniform(60, side - 60, (2, n // 4)))
        frames.append(pd.DataFrame({"ra": sky.ra.deg, "dec": sky.dec.deg}))
    index_images(folder).write(folder / "tiles.parquet")
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(petroR90=rng.uniform(3, 9, len(frame)))


def save_small_model(folder: Path) -> Path:
    """A network that costs next to nothing, in a folder."""
    options = {
        "backbone": "test_efficientnet",
        "heads": [{"name": "class", "kind": "classes", "n": 3}],
    }
    torch.manual_seed(1)
    card = ModelCard(
        name="small",
        title="A network of random numbers",
        task="classify",
        architecture="heads",
        options=options,
        input=InputSpec(
            bands=("i", "r", "g"),
            shape=(32, 32),
            mean=(0.2, 0.2, 0.2),
            std=(0.2, 0.2, 0.2),
            stretch=LuptonStretch(stretch=0.5, Q=5.0),
            width=4.24,
        ),
        output=OutputSpec(
            heads=(Head(name="class", kind="classes", labels=("round", "disc", "star")),)
        ),
    )
    CutoutClassifier(card, build("heads", **options), device="cpu").save(folder)
    return folder


def grow(folder: Path, frame: pd.DataFrame, model: str, n: int) -> dict[str, float]:
    """Classify n rows into a folder in a process of its own; seconds and the peak of memory."""
    rows = frame.iloc[np.linspace(0, len(frame) - 1, n).astype(int)]
    table = QTable.from_pandas(rows)
    table["petroR90"].unit = u.arcsec
    table.write(folder / f"{n}.parquet")
    command = [sys.executable, __file__, "--child", str(folder), model, str(n)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return json.loads(answer.stdout)


def child(folder: Path, model: str, n: int) -> None:
    """Print what it costs to classify a catalogue, and to be called again."""
    torch.set_num_threads(1)
    options = {"model": load_model(model, device="cpu"), "progress": False}
    table, tiles = folder / f"{n}.parquet", TileIndex.read(folder / "tiles.parquet")
    # Opens the images, and makes the network's copies.
    classify_cutouts(open_rows(table).read(0, min(n, 256)), tiles, **options)
    before = process_time()

    def run() -> None:
        classify_cutouts(table, tiles, output=folder / f"out{n}", **options)

    first = seconds(run)
    found = {"seconds": first, "cpu": process_time() - before, "again": seconds(run)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({**found, "peak": peak}))


def in_a_loop(frame: pd.DataFrame, tiles: Path, model: str, pieces: int) -> Callable[[], int]:
    """The same pieces one after another, by what the user of one process calls."""
    classifier = load_model(model, device="cpu")
    index = TileIndex.read(tiles)
    edges = np.linspace(0, len(frame), pieces + 1).astype(int)

    def run() -> int:
        n = 0
        for start, stop in pairwise(edges):
            table = QTable.from_pandas(frame[start:stop])
            table["petroR90"] = table["petroR90"] * u.arcsec
            n += len(classify_cutouts(table, index, model=classifier, progress=False))
        return n

    run()  # opens the images, and makes the network's copies
    return run


def on_workers(workers: int, lazy: dd.DataFrame, repeats: int) -> list[float]:
    """Seconds of whole computations on so many processes of one thread."""
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        # Every worker imports torch, loads the model and opens the images.
        few = lazy.partitions[:1]
        for address in client.scheduler_info()["workers"]:
            client.compute(few, workers=[address]).result()
        return [seconds(lambda: client.compute(lazy).result()) for _ in range(repeats)]


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of a call."""
    start = perf_counter()
    run()
    return perf_counter() - start


class Pieces:
    """The same pieces one after another in this process, with Dask and without."""

    timeout = 600

    def setup(self):
        torch.set_num_threads(1)
        self.place = tempfile.TemporaryDirectory()
        folder = Path(self.place.name)
        frame = make_sky(folder, 1024)
        tiles = folder / "tiles.parquet"
        pieces = dd.from_pandas(frame, npartitions=4)
        self.lazy = on_dask.classify_cutouts(pieces, tiles, units=UNITS)
        self.loop = in_a_loop(frame, tiles, "galaxyzoo2", 4)
        self.time_dask()

    def teardown(self):
        self.place.cleanup()

    def time_dask(self):
        self.lazy.compute(scheduler="synchronous")

    def time_loop(self):
        self.loop()


def measure_growth(folder: Path, frame: pd.DataFrame, model: str, sizes: list[int]) -> None:
    """Print how the cost of a row and the peak of memory change with the catalogue."""
    print("into a folder, one process of one thread:")
    costs, cpu = [], []
    for n in sizes:
        found = grow(folder, frame, model, n)
        costs.append(found["seconds"] / n)
        cpu.append(found["cpu"] / n)
        print(
            f"{n:9d} rows {found['seconds']:8.1f} s {n / found['seconds']:9.1f} rows / s, "
            f"peak {found['peak']:.2f} GiB, called again {found['again']:.2f} s "
            f"({100 * found['again'] / found['seconds']:.1f} % of the run)",
            flush=True,
        )
    # The processor's time is less disturbed by what else the machine does.
    print(f"cost of a row, most over least: {max(costs) / min(costs):.3f}", end=", ")
    print(f"of the processor's time {max(cpu) / min(cpu):.3f}")


def measure_dask(folder: Path, frame: pd.DataFrame, args: argparse.Namespace) -> None:
    """Print what Dask costs, and what a second worker brings."""
    tiles = folder / "tiles.parquet"
    lazy = on_dask.classify_cutouts(
        dd.from_pandas(frame, npartitions=args.pieces), tiles, model=args.model, units=UNITS
    )
    loop = in_a_loop(frame, tiles, args.model, args.pieces)
    times: dict[str, list[float]] = {"plain loop": [], "one worker": [], "two workers": []}
    # In turns, so that whatever else the machine does disturbs all of them.
    for _ in range(args.repeats):
        times["plain loop"].append(seconds(loop))
        times["one worker"] += on_workers(1, lazy, 1)
        times["two workers"] += on_workers(2, lazy, 1)
    best = {name: min(each) for name, each in times.items()}
    print(f"{len(frame)} rows in {args.pieces} pieces, the best of {args.repeats}:")
    for name, time in best.items():
        print(f"{name:12s} {time:8.2f} s {len(frame) / time:9.1f} rows / s")
    print(f"two workers over one:        {best['one worker'] / best['two workers']:.2f}")
    print(f"one worker over plain loop:  {best['one worker'] / best['plain loop']:.2f}")


def main() -> None:
    """Print times, memory and ratios."""
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument(
        "--rows", type=int, nargs="*", default=[10**4, 10**5, 10**6], help="default: 10^4 to 10^6"
    )
    parser.add_argument("-n", type=int, default=20000, help="rows on Dask (default: %(default)s)")
    parser.add_argument("--pieces", type=int, default=16, help="partitions (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=2, help="the fastest counts")
    parser.add_argument("--model", help="name or path; default: a small network")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"python {platform.python_version()}, torch {torch.__version__}, dask {dask.__version__},"
    )
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = make_sky(folder, args.n)
        if args.model is None:
            args.model = str(save_small_model(folder / "model"))
        measure_growth(folder, frame, args.model, args.rows)
        measure_dask(folder, frame, args)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
