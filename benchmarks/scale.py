"""
What Dask costs beside a plain loop, and what a second worker brings.

Run it on a machine on which nothing else runs, with two cores or more:

    OMP_NUM_THREADS=1 python -m benchmarks.scale

It prints two workers of one thread over one (at least 1.7), and one worker over the same
partitions in a plain loop (at most 1.15). Each has a core of its own and no more, as from Slurm or
Kubernetes. Workers are started, and have loaded what they need, before the clock runs.

The network is small by default and has learned nothing: ratios are the worst there are.
``--model galaxyzoo2 -n 4000`` is the real thing; ``-n 200 --repeats 1`` shows that all of it works.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import astropy.units as u
import dask
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import torch
from astropy.table import QTable

from astrodlkit import classify_cutouts, load_model
from astrodlkit import scale as on_dask
from astrodlkit.cutouts import TileIndex

from .clock import mean_with_error, print_machine, seconds
from .survey import make_sky, save_small_model

UNITS = {"petroR90": "arcsec"}


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


def stay_on(cores: set[int]) -> None:
    """Keep all threads of this process on some cores, where the system can (Linux)."""
    if hasattr(os, "sched_setaffinity"):
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on its first core for a while."""
    cores = cores_at_hand()
    stay_on({min(cores)})
    try:
        yield
    finally:
        stay_on(cores)


def cores_at_hand() -> set[int]:
    """Which cores this process may use."""
    has = hasattr(os, "sched_getaffinity")
    return os.sched_getaffinity(0) if has else set(range(os.cpu_count()))


@contextmanager
def workers(n: int, lazy: dd.DataFrame) -> Iterator[distributed.Client]:
    """Start processes of one core, which have imported torch and opened the first images."""
    with (
        distributed.LocalCluster(
            n_workers=n, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        few, cores = lazy.partitions[:1], sorted(cores_at_hand())
        for k, address in enumerate(client.scheduler_info()["workers"]):
            client.compute(few, workers=[address]).result()
            client.run(stay_on, {cores[k % len(cores)]}, workers=[address])
        yield client


def on_workers(n: int, lazy: dd.DataFrame) -> float:
    """Seconds of a whole computation."""
    with workers(n, lazy) as client:
        return seconds(lambda: client.compute(lazy).result())


class Pieces:
    """The same pieces one after another in this process, and on a worker of Dask."""

    timeout = 600

    def setup(self):
        torch.set_num_threads(1)
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        frame = make_sky(folder, 1024)
        tiles = folder / "tiles.parquet"
        pieces = dd.from_pandas(frame, npartitions=4)
        self.lazy = on_dask.classify_cutouts(pieces, tiles, units=UNITS)
        self.loop = in_a_loop(frame, tiles, "galaxyzoo2", 4)
        self.client = self.stack.enter_context(workers(1, self.lazy))
        self.time_dask()  # opens the images

    def teardown(self):
        self.stack.close()

    def time_dask(self):
        self.client.compute(self.lazy).result()

    def time_loop(self):
        with one_core():
            self.loop()


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
        with one_core():
            times["plain loop"].append(seconds(loop))
        times["one worker"].append(on_workers(1, lazy))
        times["two workers"].append(on_workers(2, lazy))
    rounds = {name: np.array(each) for name, each in times.items()}
    print(f"{len(frame)} rows in {args.pieces} pieces, mean and error of {args.repeats} rounds:")
    for name, each in rounds.items():
        print(f"{name:12s} {mean_with_error(each)} s, {len(frame) / each.mean():.1f} rows / s")
    one, two, plain = (rounds[name] for name in ("one worker", "two workers", "plain loop"))
    print(f"two workers over one:        {mean_with_error(one / two)}")
    print(f"one worker over plain loop:  {mean_with_error(one / plain)}")


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("-n", type=int, default=20000, help="rows (default: %(default)s)")
    parser.add_argument("--pieces", type=int, default=16, help="partitions (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=4, help="rounds (default: %(default)s)")
    parser.add_argument("--model", help="name or path; default: a small network")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print_machine(dask=dask.__version__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = make_sky(folder, args.n)
        if args.model is None:
            args.model = str(save_small_model(folder / "model"))
        measure_dask(folder, frame, args)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
