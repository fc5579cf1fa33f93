"""
What `classify_cutouts` adds to the forward pass, and what it saves against a loop by hand.

Run as a script it prints the times and their ratios; asv finds the class. The sources lie in
three images with one WCS and are cut out as wide as the model asks for, 4.24 Petrosian radii.
"""

import argparse
import os
import platform
import tracemalloc
from time import perf_counter, process_time

import astropy.units as u
import numpy as np
import torch
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData, Cutout2D
from astropy.table import QTable
from astropy.wcs import WCS
from torch.nn.functional import interpolate

from astrodlkit import CutoutClassifier, classify_cutouts, load_model
from astrodlkit.exceptions import UnknownModelError
from astrodlkit.networks import VoteTree, build
from astrodlkit.pretrained import ModelCard
from astrodlkit.specs import Head, InputSpec, LuptonStretch, OutputSpec, Picture

SCALE = 0.396
CLASSES = ("completely_round", "in_between", "cigar_shaped", "edge_on", "spiral")


def get_classifier() -> CutoutClassifier:
    """The bundled model, or its network with random weights, which takes as long."""
    try:
        return load_model("galaxyzoo2", device="cpu")
    except UnknownModelError:
        heads = (
            Head(name="votes", kind="fractions", labels=VoteTree().columns),
            Head(name="class", kind="classes", labels=CLASSES),
        )
        spec = InputSpec(
            bands=("i", "r", "g"),
            shape=(96, 96),
            mean=(0.1,) * 3,
            std=(0.15,) * 3,
            stretch=LuptonStretch(stretch=0.5, Q=5.0),
            width=4.24,
        )
        card = ModelCard(
            name="random",
            title="Random weights",
            task="classify",
            architecture="galaxy-zoo",
            input=spec,
            output=OutputSpec(heads=heads),
        )
        return CutoutClassifier(card, build("galaxy-zoo"), device="cpu")


def make_sky(n: int, side: int = 4096) -> tuple[dict[str, CCDData], QTable]:
    """Three images of noise, and n sources in them."""
    rng = np.random.default_rng(1)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [side / 2, side / 2]
    wcs.wcs.crval = [150.0, 2.0]
    wcs.wcs.cdelt = [-SCALE / 3600, SCALE / 3600]
    images = {
        band: CCDData(rng.normal(0.01, 0.02, (side, side)).astype(">f4"), unit="nmgy", wcs=wcs)
        for band in "gri"
    }
    x, y = rng.uniform(60, side - 60, (2, n))
    radius = rng.uniform(3, 9, n) * u.arcsec
    return images, QTable({"coord": wcs.pixel_to_world(x, y), "petroR90": radius})


def by_hand(
    classifier: CutoutClassifier, images: dict[str, CCDData], table: QTable
) -> list[dict[str, torch.Tensor]]:
    """What one would write: `Cutout2D` per source, numpy stacking, batches of 64."""
    spec = classifier.card.input
    answers = []
    for start in range(0, len(table), 64):
        batch = []
        for row in table[start : start + 64]:
            width = spec.width * row["petroR90"]
            position = SkyCoord(row["coord"])
            stamp = np.stack(
                [
                    Cutout2D(
                        images[band].data,
                        position,
                        width,
                        wcs=images[band].wcs,
                        mode="partial",
                        fill_value=0,
                    ).data.astype(np.float32)
                    for band in spec.bands
                ]
            )
            stamp = interpolate(
                torch.from_numpy(stamp)[None], spec.shape, mode="bilinear", antialias=True
            )
            batch.append(stamp[0].numpy())
        pictures = spec.stretch.apply(np.stack(batch).astype(np.float64) / SCALE**2)
        with torch.no_grad():
            answers.append(classifier.module(torch.from_numpy(spec.standardise(pictures))))
    return answers


def forward_only(classifier: CutoutClassifier, images: torch.Tensor, precision: str) -> None:
    """The network alone, in pieces of the size that is fastest here."""
    enabled = precision == "bfloat16"
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        for start in range(0, len(images), 32):
            classifier.module(images[start : start + 32])


class Classify:
    """The same sources, from the image to the table."""

    n = 2000
    timeout = 600

    def setup(self):
        self.classifier = get_classifier()
        self.images, self.table = make_sky(self.n)
        shape = (self.n, 3, *self.classifier.card.input.shape)
        self.prepared = torch.rand(shape).to(memory_format=torch.channels_last)

    def time_end_to_end(self):
        classify_cutouts(self.table, self.images, model=self.classifier)

    def time_end_to_end_float32(self):
        self.classifier.predict(self.table, self.images, precision="float32")

    def time_end_to_end_bfloat16(self):
        self.classifier.predict(self.table, self.images, precision="bfloat16")

    def time_by_hand(self):
        by_hand(self.classifier, self.images, self.table)

    def time_forward_float32(self):
        forward_only(self.classifier, self.prepared, "float32")

    def time_forward_bfloat16(self):
        forward_only(self.classifier, self.prepared, "bfloat16")


def stream_memory(classifier: CutoutClassifier, n: int) -> float:
    """Most memory, in MB, that Python and numpy hold while n rows are streamed."""
    stamp = np.random.default_rng(0).random((3, 96, 96), dtype=np.float32)
    table = QTable({"row": np.arange(n)})
    # A view that repeats one stamp: the table itself takes no memory.
    table.add_column(np.broadcast_to(stamp, (n, *stamp.shape)), name="cutout", copy=False)
    tracemalloc.start()
    rows = sum(len(part) for part in classifier.stream(table, stretch=Picture(white=1.0)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == n
    return most / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=2000, help="number of sources")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many is taken")
    parser.add_argument("--stream", type=int, default=0, help="rows to stream for the memory")
    options = parser.parse_args()
    bench = Classify()
    bench.n = options.n
    bench.setup()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"torch {torch.__version__} with {torch.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}; {bench.classifier!r}; N = {options.n} sources, "
        f"best of {options.repeats}"
    )
    names = [name for name in dir(bench) if name.startswith("time_")]
    best = {name: np.full(2, np.inf) for name in names}
    # In turns, so that a busy machine is busy for all of them.
    for _ in range(options.repeats):
        for name in names:
            start = np.array([perf_counter(), process_time()])
            getattr(bench, name)()
            best[name] = np.minimum(best[name], [perf_counter(), process_time()] - start)
    for name, (wall, cpu) in best.items():
        print(
            f"{name[5:]:24} {wall:8.2f} s, {1e3 * wall / options.n:8.3f} ms a source; "
            f"of the processor {1e3 * cpu / options.n:8.3f} ms"
        )
    print("ratios of the time, and of the processor's time (which a busy machine spoils less):")
    for precision in ("float32", "bfloat16"):
        whole, bare = best[f"time_end_to_end_{precision}"], best[f"time_forward_{precision}"]
        faster, slower = best["time_by_hand"] / whole, whole / bare
        print(
            f"{precision}: {faster[0]:.2f} ({faster[1]:.2f}) times as fast as by hand, "
            f"{slower[0]:.2f} ({slower[1]:.2f}) times the bare forward pass"
        )
    if options.stream:
        few, many = (stream_memory(bench.classifier, n) for n in (1000, options.stream))
        print(f"streaming holds {few:.0f} MB for 1000 rows and {many:.0f} MB for {options.stream}")


if __name__ == "__main__":
    main()
