"""
What a row costs as catalogues grow, and what a run costs that is killed and started again.

Run it on a machine on which nothing else runs:

    OMP_NUM_THREADS=1 python -m benchmarks.long_runs

It prints

* on what the time of one process goes;
* rows per second and the peak of memory for catalogues of 10^4, 10^5 and 10^6 rows, each
  classified into a folder by a process of its own (the cost of a row to be flat within 5 %, the
  peak 2 GiB at most and flat), and what the same call costs when all is done already. The speed of
  a machine wanders by more than 5 % in an hour: so the shorter ones are classified again and again
  beside the longest, and each is compared with what that did in the same time;
* what the longest run does twice when its process is killed in the middle and started again (at
  most 2 % of the run, which is twice as long as that half): rows that are computed again, and the
  start until new rows come.

The network is small by default and has learned nothing, so that a row costs what all but the
network costs: ratios are the worst there are. ``--model galaxyzoo2`` is the real thing.
``--rows 500 1000 -n 200`` shows in a minute that all of it works.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from shutil import rmtree
from time import process_time, sleep, thread_time, time
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from astrodlkit import classify_cutouts, load_model
from astrodlkit.classify import _predictor
from astrodlkit.classify._parts import PART_SIZE
from astrodlkit.classify._rows import Rows
from astrodlkit.cutouts import TileIndex
from astrodlkit.engine import _parts, open_rows
from astrodlkit.engine._source import ParquetRows

from .clock import mean_with_error, print_machine, seconds
from .survey import make_sky, save_small_model, write_rows


def start(task: str, folder: Path, model: str, n: int) -> subprocess.Popen:
    """Let a process of its own do something."""
    command = [sys.executable, "-m", __spec__.name, "--child", task, str(folder), model, str(n)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603


def answer(process: subprocess.Popen) -> dict[str, float]:
    """Wait for what a process finds."""
    found, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return json.loads(found)


def stop(process: subprocess.Popen) -> None:
    """As kill -9 does."""
    process.kill()
    process.communicate()


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

    def run() -> None:
        classify_cutouts(table, tiles, output=folder / f"out{n}", **options)

    found = {"begun": time(), "seconds": seconds(run), "again": seconds(run)}
    return {**found, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def child_whole(folder: Path, model: str, n: int) -> dict[str, float]:
    """Print the time of day as soon as there are rows beyond those of finished parts; go on."""
    tiles, options = prepare(folder, model)
    there = part_size(n) * len(list((folder / "whole").glob("part*")))
    begun = False

    def progress(done: int, _: int) -> None:
        nonlocal begun
        if done > there and not begun:
            begun = True
            print(time(), flush=True)

    classify_cutouts(
        folder / f"{n}.parquet",
        tiles,
        output=folder / "whole",
        part_size=part_size(n),
        **options | {"progress": progress},
    )
    return {}


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


def measure_parts(folder: Path, frame: pd.DataFrame, model: str, n: int) -> None:
    """Print on what the time goes."""
    write_rows(folder, frame, n)
    found = answer(start("profile", folder, model, n))
    wall = found.pop("wall")
    total = sum(found.values())
    print(f"one process of one thread, {n} rows: {wall:.2f} s, {total:.2f} s of the processor:")
    for name, time_spent in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{name:22s} {1e3 * time_spent / n:8.4f} ms a row {100 * time_spent / total:5.1f} %")


def measure_growth(folder: Path, frame: pd.DataFrame, model: str, sizes: list[int]) -> None:
    """Print how the cost of a row and the peak of memory change with the catalogue."""
    for n in sizes:
        write_rows(folder, frame, n)
    print("into a folder, two processes of one thread at a time:")
    *shorter, longest = sizes
    runs: dict[int, list[dict[str, float]]] = {n: [] for n in sizes}
    process = start("grow", folder, model, longest)
    for n in cycle(shorter):
        found = answer(start("grow", folder, model, n))
        rmtree(folder / f"out{n}")
        if process.poll() is not None and all(runs[each] for each in shorter):
            break  # what was alone in the end does not count
        runs[n].append(found)
        print_run(n, found)
    runs[longest].append(answer(process))
    print_run(longest, *runs[longest])
    done = sorted(each.stat().st_mtime for each in (folder / f"out{longest}").glob("part*"))
    done.insert(0, runs[longest][0]["begun"])
    rows = np.minimum(PART_SIZE * np.arange(len(done)), longest)
    print(f"number of runs, ms a row, over what {longest} rows took in the same time, peak in GiB:")
    for n, found in runs.items():
        begun, spent, peak = (
            np.array([each[key] for each in found]) for key in ("begun", "seconds", "peak")
        )
        beside = np.interp(begun + spent, done, rows) - np.interp(begun, done, rows)
        ratio = (beside / n)[(begun >= done[0]) & (begun + spent <= done[-1])]
        print(f"{n:9d} rows: {len(found)}", *map(mean_with_error, (1e3 * spent / n, ratio, peak)))


def print_run(n: int, found: dict[str, float]) -> None:
    """Print what one process found."""
    print(
        f"{n:9d} rows {found['seconds']:8.1f} s {n / found['seconds']:9.1f} rows / s, "
        f"peak {found['peak']:.2f} GiB, called again {found['again']:.2f} s "
        f"({100 * found['again'] / found['seconds']:.1f} % of the run)",
        flush=True,
    )


def measure_resuming(folder: Path, frame: pd.DataFrame, model: str, n: int) -> None:
    """Print what a run does twice whose process is killed in the middle and started again."""
    write_rows(folder, frame, n)
    out = folder / "whole"
    begin = time()
    process = start("whole", folder, model, n)
    n_parts = -(-n // part_size(n))
    while len(parts := sorted(each.stat().st_mtime for each in out.glob("part*"))) < n_parts // 2:
        if process.poll() is not None:
            raise RuntimeError("the run ended before it was killed: give more rows")
        sleep(0.002)
    # In the middle of the part after, as it comes on average.
    sleep(np.diff(parts).mean() / 2)
    lost = time() - parts[-1]
    stop(process)
    again = time()
    process = start("whole", folder, model, n)
    restart = float(process.stdout.readline()) - again
    stop(process)
    once = (parts[-1] - begin) * n_parts / len(parts)
    print(f"{n} rows in parts of {part_size(n)}, from the start of a process to its end:")
    for name, value in (
        ("all that is done once", once),
        ("rows lost", lost),
        ("start, until new rows", restart),
        ("what resuming costs", lost + restart),
    ):
        print(f"{name:28s} {value:8.2f} s {100 * value / once:6.1f} %")


def main() -> None:
    """Print times, memory and ratios."""
    if sys.argv[1:2] == ["--child"]:
        task, folder, model, n = sys.argv[2:]
        print(json.dumps(CHILDREN[task](Path(folder), model, int(n))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10**4, 10**5, 10**6], help="default: 10^4 to 10^6"
    )
    parser.add_argument("--only", choices=["growth", "resuming"], help="one of these, alone")
    parser.add_argument("-n", type=int, default=20000, help="rows of the profile, %(default)s")
    parser.add_argument("--model", help="name or path; default: a small network")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = make_sky(folder, args.n)
        if args.model is None:
            args.model = str(save_small_model(folder / "model"))
        sizes = sorted(args.rows)
        if args.only is None:
            measure_parts(folder, frame, args.model, args.n)
        if args.only != "resuming":
            measure_growth(folder, frame, args.model, sizes)
        if args.only != "growth":
            measure_resuming(folder, frame, args.model, sizes[-1])
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
