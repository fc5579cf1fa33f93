"""The recipe in boxes of 32^3: simulate one, go on with the next, check and read."""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from boxes import read_boxes

HERE = Path(__file__).parent


def run(script: str, *arguments: object) -> None:
    """Run a script of the recipe."""
    command = [sys.executable, HERE / script, *map(str, arguments)]
    subprocess.run(command, check=True)  # noqa: S603


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    folder = parser.parse_args().folder
    small = [folder, "--n", 2, "--pixels", 64]
    first = folder / "500mpc/train/box-0000.h5"
    run("truth.py", *small, "--only", "0:1")
    before = first.stat().st_mtime_ns
    # As an interruption leaves it.
    first.with_name("box-0001.part").write_bytes(b"half a file")
    run("truth.py", *small)
    if first.stat().st_mtime_ns != before:
        raise SystemExit("a box that was there was simulated again")
    run("check.py", folder)
    boxes = list(read_boxes(first.parent))
    maps = boxes[1].maps(-1)
    if len(boxes) != 2 or maps.shape != (24, 32, 32) or abs(maps.mean() - 1) > 1e-3:
        raise SystemExit(f"{len(boxes)} boxes, maps {maps.shape} with mean {maps.mean()}")
    if not np.isfinite(boxes[0].power).all():
        raise SystemExit("the spectra are not finite")


if __name__ == "__main__":
    main()
