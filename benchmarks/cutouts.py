"""
Speed and memory of cutting stamps, for asv and as a script.

``python -m benchmarks.cutouts`` prints the ratios that the documentation states.
The loop of Cutout2D is timed on the first 1000 rows and scaled to all of them.
Times are of the processor, so that other work on the machine counts less; of those that are
repeated the least is taken, or the median for the ratio to Cutout2D.
"""

import argparse
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
from astrodlkit.specs import InputSpec, LuptonStretch

from .clock import print_machine

SIDE, STAMP, ROWS, LOOP = 4096, 64, 20_000, 1_000
# Of stamps that follow the size of the source: pixels of a stamp, what they span in the image,
# rows, and how many of them are resampled by hand.
SHAPE, WIDTHS, RESAMPLED, BY_HAND = 88, (40, 120), 2_000, 100
SPEC = InputSpec(
    bands=("i", "r", "g"),
    shape=(SHAPE, SHAPE),
    mean=(0.1,) * 3,
    std=(0.15,) * 3,
    stretch=LuptonStretch(stretch=0.5, Q=5.0),
)


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


def make_sizes(rows, side=2048):
    """A smaller sky whose sources are as large as galaxies are."""
    image, wcs, coords = make_sky(rows, side)
    pixels = np.random.default_rng(1).uniform(*WIDTHS, rows)
    return rows, image, wcs, coords, pixels


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


def loop_of_reproject(image, wcs, coords, pixels):
    """`Cutout2D` with a margin, then reproject to a tangent plane of our own."""
    from reproject import reproject_interp

    stamps = []
    for coord, width in zip(coords, pixels, strict=True):
        cutout = Cutout2D(image, coord, int(width) + 4, wcs=wcs, mode="partial", fill_value=0)
        target = WCS(naxis=2)
        target.wcs.ctype = wcs.wcs.ctype
        target.wcs.crval = coord.ra.deg, coord.dec.deg
        target.wcs.crpix = (SHAPE + 1) / 2, (SHAPE + 1) / 2
        target.wcs.cdelt = wcs.wcs.cdelt * width / SHAPE
        pair = (cutout.data, cutout.wcs)
        stamps.append(reproject_interp(pair, target, (SHAPE, SHAPE), return_footprint=False))
    return np.stack(stamps)


def loop_of_interpolate(image, wcs, coords, pixels):
    """`Cutout2D`, to the nearest pixel, then torch's anti-aliased interpolation."""
    import torch

    stamps = []
    for coord, width in zip(coords, pixels, strict=True):
        cutout = Cutout2D(image, coord, round(width), wcs=wcs, mode="partial", fill_value=0)
        stamp = torch.from_numpy(cutout.data)[None, None]
        resized = torch.nn.functional.interpolate(
            stamp, (SHAPE, SHAPE), mode="bilinear", antialias=True
        )
        stamps.append(resized[0, 0].numpy())
    return np.stack(stamps)


class Resampled:
    """Stamps whose size follows the source's; ``interp`` of a straight image is a zoom."""

    params = ("interp", "interp, turned", "adaptive", "exact")
    param_names = ("method",)
    timeout = 300

    def setup(self, method):
        rows = {"interp": RESAMPLED, "interp, turned": 500, "adaptive": 50, "exact": 20}[method]
        self.rows, self.image, self.wcs, self.coords, self.pixels = make_sizes(rows)
        self.method, _, self.turned = method.partition(", ")
        if self.turned:
            self.wcs.wcs.pc = [[0.8, -0.6], [0.6, 0.8]]

    def time_extract(self, method):  # noqa: ARG002
        extract_cutouts(
            (self.image, self.wcs),
            self.coords,
            self.pixels,
            shape=SHAPE,
            method=self.method,
            north_up=bool(self.turned),
        )


class NetworkInput:
    """From three images, positions and widths to what a network takes."""

    timeout = 300

    def setup(self):
        self.rows, image, wcs, self.coords, self.pixels = make_sizes(RESAMPLED)
        unit = u.nmgy / u.arcsec**2
        self.images = dict.fromkeys(SPEC.bands, (image << unit, wcs))

    def time_cut(self):
        return list(self.chunks())

    def time_cut_and_prepare(self):
        for cutouts in self.chunks():
            SPEC.prepare(cutouts)

    def chunks(self):
        return iter_cutouts(self.images, self.coords, self.pixels, shape=SHAPE, chunk=256)


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


def ratios_of_resampled(repeats=5):
    """Processor milliseconds a stamp and band of ours, and ratios of the loops to it."""
    rows, image, wcs, coords, pixels = make_sizes(RESAMPLED)
    few = slice(0, BY_HAND)

    def ours():
        extract_cutouts((image, wcs), coords, pixels, shape=SHAPE)

    ways = {
        "ours": (ours, rows),
        "reproject": (lambda: loop_of_reproject(image, wcs, coords[few], pixels[few]), BY_HAND),
        "torch": (lambda: loop_of_interpolate(image, wcs, coords[few], pixels[few]), BY_HAND),
    }
    each = {name: best_time(way, repeats) / n * 1e3 for name, (way, n) in ways.items()}
    return each["ours"], each["reproject"] / each["ours"], each["torch"] / each["ours"]


def best_time(function, repeats=5):
    """The least of a few processor times: what else the machine does only adds to them."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def peak_of_stream(rows):
    """Peak resident memory in MB of a fresh process (on Linux) that streams ``rows`` stamps."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.fits")
        image, wcs, _ = make_sky(1)
        fits.PrimaryHDU(image, wcs.to_header()).writeto(path)
        command = [sys.executable, "-m", __spec__.name, "--stream", str(path), "--rows", str(rows)]
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
    print_machine(numpy=np.__version__, astropy=astropy.__version__)
    ratio, ours, loop = ratio_to_cutout2d(*make_sky(args.rows))
    print(f"{args.rows} stamps of {STAMP}x{STAMP} from {SIDE}x{SIDE}, processor seconds:")
    print(f"  extract_cutouts {ours:.3f}, loop of Cutout2D {loop:.2f} (from {LOOP} rows)")
    print(f"  ratio {ratio:.0f}")
    for rows in (args.rows, 5 * args.rows):
        print(f"  streamed from a FITS file, {rows} rows: peak {peak_of_stream(rows):.0f} MB")
    each, reproject, torch = ratios_of_resampled()
    print(f"{RESAMPLED} stamps of {SHAPE}x{SHAPE} that span {WIDTHS} pixels, zoomed:")
    print(f"  {each:.3f} ms a stamp and band; a loop of Cutout2D and (of {BY_HAND} rows)")
    print(
        f"  reproject_interp takes {reproject:.0f} times as long, torch's interpolate {torch:.0f}"
    )
    for method in Resampled.params:
        bench = Resampled()
        bench.setup(method)
        each = best_time(lambda b=bench: b.time_extract(None), 3) / bench.rows * 1e3
        print(f"  {method}: {each:.2f} ms a stamp and band (N={bench.rows})")
    bench = NetworkInput()
    bench.setup()
    cut, whole = (
        best_time(way) / bench.rows * 1e3 for way in (bench.time_cut, bench.time_cut_and_prepare)
    )
    print(f"From three images to a network's input: {whole:.3f} ms a source, {cut:.3f} to cut")


if __name__ == "__main__":
    main()
