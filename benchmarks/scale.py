"""
What Dask costs, and what a second process brings.

Run it on a machine on which nothing else runs, with two cores or more:

    OMP_NUM_THREADS=1 python benchmarks/scale.py -n 20000

It prints seconds, rows per second, and two ratios: two workers of one thread over one (to be at
least 1.7), and one worker over the same partitions in a plain loop (at most 1.15). Workers are
started, and have loaded what they need, before the clock runs. ``--model`` takes a lighter or a
heavier network; the ratios are the worst for a light one. ``-n 200 --repeats 1`` shows in a minute
that all of it works, and nothing else.
"""

import argparse
import os
import platform
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import perf_counter

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

from astrodlkit import classify_cutouts, load_model
from astrodlkit import scale as on_dask
from astrodlkit.cutouts import TileIndex, index_images

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


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("-n", type=int, default=20000, help="rows (default: %(default)s)")
    parser.add_argument("--pieces", type=int, default=16, help="partitions (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts")
    parser.add_argument("--model", default="galaxyzoo2", help="name or path")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"python {platform.python_version()}, torch {torch.__version__}, dask {dask.__version__},"
    )
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = make_sky(folder, args.n)
        tiles = folder / "tiles.parquet"
        lazy = on_dask.classify_cutouts(
            dd.from_pandas(frame, npartitions=args.pieces), tiles, model=args.model, units=UNITS
        )
        loop = in_a_loop(frame, tiles, args.model, args.pieces)
        times = {
            "plain loop": min(seconds(loop) for _ in range(args.repeats)),
            "one worker": min(on_workers(1, lazy, args.repeats)),
            "two workers": min(on_workers(2, lazy, args.repeats)),
        }
    for name, time in times.items():
        print(f"{name:12s} {time:8.2f} s {len(frame) / time:9.1f} rows / s")
    print(f"two workers over one:        {times['one worker'] / times['two workers']:.2f}")
    print(f"one worker over plain loop:  {times['one worker'] / times['plain loop']:.2f}")


if __name__ == "__main__":
    main()
