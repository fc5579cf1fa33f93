"""
Speed and memory of cutting stamps, for asv and as a script.

``python benchmarks/cutouts.py`` prints the ratios that the documentation states.
The loop of Cutout2D is timed on the first 1000 rows and scaled to all of them.
Times are of the processor, so that other work on the machine counts less.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import astropy
import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from astrodlkit.cutouts import extract_cutouts, iter_cutouts

SIDE, STAMP, ROWS, LOOP = 4096, 64, 20_000, 1_000


def make_sky(rows=ROWS, side=SIDE):
    """An image with a WCS and positions whose stamps lie on it."""
    rng = np.random.default_rng(0)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = 150.0, 2.0
    wcs.wcs.crpix = side / 2, side / 2
    wcs.wcs.cdelt = -0.2 / 3600, 0.2 / 3600
    wcs.wcs.set()
    image = rng.normal(size=(side, side)).astype(np.float32)
    coords = wcs.pixel_to_world(*rng.uniform(STAMP, side - STAMP, (2, rows)))
    return image, wcs, coords


def loop_of_cutout2d(image, wcs, coords):
    return np.stack([Cutout2D(image, coord, STAMP, wcs=wcs).data for coord in coords])


class Native:
    """Stamps of the image's own pixels."""

    timeout = 300

    def setup(self):
        self.image, self.wcs, self.coords = make_sky()

    def time_extract(self):
        extract_cutouts((self.image, self.wcs), self.coords, STAMP)

    def time_cutout2d_1000_rows(self):
        loop_of_cutout2d(self.image, self.wcs, self.coords[:LOOP])

    def track_ratio_to_cutout2d(self):
        """How many times faster than the loop, the loop scaled from 1000 rows."""
        return ratio_to_cutout2d(self.image, self.wcs, self.coords)[0]


class Resampled:
    """Stamps of 96 pixels whose size follows the source's."""

    params = ("interp", "adaptive", "exact")
    param_names = ("method",)
    timeout = 300

    def setup(self, method):
        self.rows = {"interp": 1000, "adaptive": 100, "exact": 20}[method]
        self.image, self.wcs, self.coords = make_sky(self.rows, 1024)
        self.size = np.random.default_rng(1).uniform(10, 40, self.rows) * u.arcsec

    def time_extract(self, method):
        extract_cutouts((self.image, self.wcs), self.coords, self.size, shape=96, method=method)


class Memory:
    """Peak memory of a process that streams stamps from a file."""

    params = (20_000, 100_000)
    param_names = ("rows",)
    timeout = 600

    def track_peak_megabytes(self, rows):
        return peak_of_stream(rows)


def ratio_to_cutout2d(image, wcs, coords, repeats=5):
    """Ratio, and processor seconds of ours and of the loop."""
    extract_cutouts((image, wcs), coords[:10], STAMP)
    ours, loop = [], []
    for _ in range(repeats):
        start = time.process_time()
        cutouts = extract_cutouts((image, wcs), coords, STAMP)
        ours.append(time.process_time() - start)
        start = time.process_time()
        expected = loop_of_cutout2d(image, wcs, coords[:LOOP])
        loop.append((time.process_time() - start) * len(coords) / LOOP)
        assert np.array_equal(cutouts.data[:LOOP, 0], expected)
    return np.median(loop) / np.median(ours), np.median(ours), np.median(loop)


def peak_of_stream(rows):
    """Peak resident memory in MB of a fresh process (on Linux) that streams ``rows`` stamps."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.fits")
        image, wcs, _ = make_sky(1)
        fits.PrimaryHDU(image, wcs.to_header()).writeto(path)
        command = [sys.executable, __file__, "--stream", str(path), "--rows", str(rows)]
        out = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return float(out.stdout)


def stream(path, rows):
    rng = np.random.default_rng(0)
    table = dict(zip("xy", rng.uniform(STAMP, SIDE - STAMP, (2, rows)), strict=True))
    total = sum(len(chunk) for chunk in iter_cutouts(path, table, STAMP))
    assert total == rows
    # Not getrusage: its peak begins with that of the parent.
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="sources (default: %(default)s)")
    parser.add_argument("--stream", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stream:
        stream(args.stream, args.rows)
        return
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, "
        f"astropy {astropy.__version__}, {os.cpu_count()} cores"
    )
    ratio, ours, loop = ratio_to_cutout2d(*make_sky(args.rows))
    print(f"{args.rows} stamps of {STAMP}x{STAMP} from {SIDE}x{SIDE}, processor seconds:")
    print(f"  extract_cutouts {ours:.3f}, loop of Cutout2D {loop:.2f} (from {LOOP} rows)")
    print(f"  ratio {ratio:.0f}")
    for rows in (args.rows, 5 * args.rows):
        print(f"  streamed from a FITS file, {rows} rows: peak {peak_of_stream(rows):.0f} MB")
    for method in Resampled.params:
        bench = Resampled()
        bench.setup(method)
        bench.time_extract(method)
        start = time.process_time()
        bench.time_extract(method)
        each = (time.process_time() - start) / bench.rows * 1000
        print(f"  resampled to 96x96 by {method}: {each:.2f} ms a stamp and band (N={bench.rows})")


if __name__ == "__main__":
    main()
