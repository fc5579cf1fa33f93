"""
What a row costs as catalogues grow, what resuming and Dask cost, and what a second process brings.

Run it on a machine on which nothing else runs, with two cores or more:

    OMP_NUM_THREADS=1 python benchmarks/scale.py

It prints

* on what the time of one process goes;
* rows per second and the peak of memory for catalogues of 10^4, 10^5 and 10^6 rows, each
  classified into a folder by a process of its own (the cost of a row to be flat within 5 %, the
  peak 2 GiB at most), and what the same call costs when all is done already;
* what a process that is killed in the middle of the longest and started again takes longer than
  one that is not (at most 2 %): rows that are computed twice, and the start;
* two workers of one thread over one (at least 1.7), and one worker over the same partitions in a
  plain loop (at most 1.15). Each has a core of its own and no more, as from Slurm or Kubernetes.
  Workers are started, and have loaded what they need, before the clock runs.

The network is small by default and has learned nothing, so that a row costs what all but the
network costs: ratios are the worst there are. ``--model galaxyzoo2 --rows 2000 20000`` is the
real thing. ``--rows 500 1000 -n 200 --repeats 1`` shows in a minute that all of it works.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time, sleep, thread_time, time
from unittest.mock import patch

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
from astrodlkit.classify import _predictor
from astrodlkit.classify._parts import PART_SIZE
from astrodlkit.classify._rows import Rows
from astrodlkit.cutouts import TileIndex, index_images
from astrodlkit.engine import _parts, open_rows
from astrodlkit.engine._source import ParquetRows
from astrodlkit.networks import build
from astrodlkit.specs import Head, InputSpec, LuptonStretch, OutputSpec

SCALE = 0.396
UNITS = {"petroR90": "arcsec"}


def make_sky(folder: Path, n: int, side: int = 1024) -> pd.DataFrame:
    """Sixteen tiles in three bands, their index, and n sources sorted by tile, if 16 divides n."""
    rng = np.random.default_rng(1)
    frames = []
    for tile in range(16):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crpix = [side / 2, side / 2]
        wcs.wcs.crval = np.array([150.0, 2.0]) + np.divmod(tile, 4) * np.array(side * SCALE / 3600)
        wcs.wcs.cdelt = [-SCALE / 3600, SCALE / 3600]
        for band in "gri":
            header = wcs.to_header()
            header["BUNIT"], header["FILTER"] = "nmgy", band
            values = rng.normal(0.01, 0.02, (side, side)).astype("f4")
            fits.writeto(folder / f"{tile}{band}.fits", values, header)
        sky = wcs.pixel_to_world(*rng.uniform(60, side - 60, (2, n // 16)))
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


def write_rows(folder: Path, frame: pd.DataFrame, n: int) -> None:
    """Make a catalogue of n rows."""
    rows = frame.iloc[np.linspace(0, len(frame) - 1, n).astype(int)]
    table = QTable.from_pandas(rows)
    table["petroR90"].unit = u.arcsec
    table.write(folder / f"{n}.parquet")


def start(task: str, folder: Path, model: str, n: int) -> subprocess.Popen:
    """Let a process of its own do something."""
    command = [sys.executable, __file__, "--child", task, str(folder), model, str(n)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603


def answer(process: subprocess.Popen) -> dict[str, float]:
    """Wait for what a process finds."""
    found, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return json.loads(found)


def prepare(folder: Path, model: str) -> tuple[TileIndex, dict[str, object]]:
    """Give a child its images and the other arguments."""
    torch.set_num_threads(1)
    tiles = TileIndex.read(folder / "tiles.parquet")
    return tiles, {"model": load_model(model, device="cpu"), "progress": False}


def child_grow(folder: Path, model: str, n: int) -> dict[str, float]:
    """Seconds to classify a catalogue, and to be called again, and the peak of memory."""
    tiles, options = prepare(folder, model)
    table = folder / f"{n}.parquet"
    # Opens some images, and makes the network's copies.
    classify_cutouts(open_rows(table).read(0, min(n, 256)), tiles, **options)
    before = process_time()

    def run() -> None:
        classify_cutouts(table, tiles, output=folder / f"out{n}", **options)

    first = seconds(run)
    found = {"seconds": first, "cpu": process_time() - before, "again": seconds(run)}
    return {**found, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def child_whole(folder: Path, model: str, n: int) -> dict[str, float]:
    """The time of day at which the first rows were there."""
    tiles, options = prepare(folder, model)
    begun: list[float] = []
    options["progress"] = lambda *_: begun or begun.append(time())
    classify_cutouts(
        folder / f"{n}.parquet", tiles, output=folder / "whole", part_size=part_size(n), **options
    )
    return {"begun": begun[0]}


def part_size(n: int) -> int:
    """As many rows as usual, but eight parts at least."""
    return min(PART_SIZE, -(-n // 8))


def child_profile(folder: Path, model: str, n: int) -> dict[str, float]:
    """Seconds of the processor that the parts of a run take, whichever thread they are in."""
    tiles, options = prepare(folder, model)
    table = folder / f"{n}.parquet"
    spec = options["model"].input
    classify_cutouts(open_rows(table).read(0, min(n, 256)), tiles, **options)
    spent: Counter[str] = Counter()
    with (
        timed(_predictor, "run_batches", spent, "network"),
        timed(Rows, "prepared", spent, "stamps and pictures"),
        timed(type(spec), "prepare", spent, "pictures"),
        timed(_predictor, "join", spent, "columns of the result"),
        timed(ParquetRows, "read", spent, "reading rows"),
        timed(ParquetRows, "fingerprint", spent, "fingerprint of rows"),
        timed(_parts, "write_durably", spent, "writing"),
    ):
        before = process_time()
        wall = seconds(lambda: classify_cutouts(table, tiles, output=folder / "profile", **options))
        total = process_time() - before
    spent["stamps"] = spent.pop("stamps and pictures") - spent["pictures"]
    return {**spent, "all the rest": total - spent.total(), "wall": wall}


@contextmanager
def timed(owner: object, name: str, spent: Counter[str], part: str) -> Iterator[None]:
    """Add up what a function takes of its thread's time on the processor; or its iterator."""
    function = getattr(owner, name)

    def call(*args: object, **options: object) -> object:
        before = thread_time()
        result = function(*args, **options)
        spent[part] += thread_time() - before
        return steps(result) if isinstance(result, Iterator) else result

    def steps(iterator: Iterator) -> Iterator:
        while True:
            before = thread_time()
            item = next(iterator, iterator)
            spent[part] += thread_time() - before
            if item is iterator:
                return
            yield item

    with patch.object(owner, name, call):
        yield


CHILDREN = {"grow": child_grow, "whole": child_whole, "profile": child_profile}


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


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of a call."""
    start = perf_counter()
    run()
    return perf_counter() - start


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


def measure_parts(folder: Path, frame: pd.DataFrame, model: str, n: int) -> None:
    """Print on what the time goes."""
    write_rows(folder, frame, n)
    found = answer(start("profile", folder, model, n))
    (folder / f"{n}.parquet").unlink()
    wall = found.pop("wall")
    total = sum(found.values())
    print(f"one process of one thread, {n} rows: {wall:.2f} s, {total:.2f} s of the processor:")
    for name, time_spent in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{name:22s} {1e3 * time_spent / n:8.4f} ms a row {100 * time_spent / total:5.1f} %")


def measure_resuming(folder: Path, model: str, n: int) -> None:
    """Print what a process costs that is killed in the middle and started again."""
    out = folder / "whole"
    undisturbed = seconds(lambda: answer(start("whole", folder, model, n)))
    shutil.rmtree(out)
    begin = time()
    process = start("whole", folder, model, n)
    half = -(-n // part_size(n)) // 2
    while len(parts := sorted(each.stat().st_mtime for each in out.glob("part*"))) < half:
        if process.poll() is not None:
            raise RuntimeError("the run ended before it was killed: give more rows")
        sleep(0.002)
    # In the middle of the part after, as it comes on average.
    sleep(np.diff(parts).mean() / 2)
    lost = time() - parts[-1]
    process.kill()
    process.wait()
    first = time() - begin
    begin = time()
    found = answer(start("whole", folder, model, n))
    second = time() - begin
    more = first + second - undisturbed
    restart = found["begun"] - begin
    print(f"{n} rows in parts of {part_size(n)}, from the start of the process to its end:")
    print(f"undisturbed {undisturbed:.2f} s, killed after {first:.2f} s, then {second:.2f} s:")
    for name, value in (
        ("longer", more),
        ("of which rows lost", lost),
        ("of which start, model, fingerprint", restart),
    ):
        print(f"{name:35s} {value:6.2f} s {100 * value / undisturbed:6.1f} %")


def measure_growth(folder: Path, frame: pd.DataFrame, model: str, sizes: list[int]) -> None:
    """Print how the cost of a row and the peak of memory change with the catalogue."""
    print("into a folder, one process of one thread:")
    costs, cpu = [], []
    for n in sizes:
        write_rows(folder, frame, n)
        found = answer(start("grow", folder, model, n))
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
        with one_core():
            times["plain loop"].append(seconds(loop))
        times["one worker"].append(on_workers(1, lazy))
        times["two workers"].append(on_workers(2, lazy))
    best = {name: min(each) for name, each in times.items()}
    print(f"{len(frame)} rows in {args.pieces} pieces, the best of {args.repeats}:")
    for name, value in best.items():
        print(f"{name:12s} {value:8.2f} s {len(frame) / value:9.1f} rows / s")
    print(f"two workers over one:        {best['one worker'] / best['two workers']:.2f}")
    print(f"one worker over plain loop:  {best['one worker'] / best['plain loop']:.2f}")


def main() -> None:
    """Print times, memory and ratios."""
    if sys.argv[1:2] == ["--child"]:
        task, folder, model, n = sys.argv[2:]
        print(json.dumps(CHILDREN[task](Path(folder), model, int(n))))
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
        measure_parts(folder, frame, args.model, args.n)
        measure_growth(folder, frame, args.model, args.rows)
        measure_resuming(folder, args.model, max(args.rows))
        measure_dask(folder, frame, args)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
