"""
What `classify_cutouts` adds to the forward pass, and what it saves against a loop by hand.

``python -m benchmarks.classify`` prints times and ratios; asv finds the class. The
sources lie in three images with one WCS and are cut out as wide as the model asks for, 4.24
Petrosian radii.
"""

import argparse
import resource
from collections.abc import Callable
from copy import deepcopy
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
from astrodlkit.classify._results import join
from astrodlkit.cutouts import iter_cutouts
from astrodlkit.engine import run_batches

from .clock import print_machine

SCALE = 0.396
PRECISIONS = ("float32", "bfloat16")


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
    classifier: CutoutClassifier,
    network: torch.nn.Module,
    images: dict[str, CCDData],
    table: QTable,
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
        pictures = spec.stretch.apply(np.stack(batch) / np.float32(SCALE**2))
        with torch.no_grad():
            answers.append(network(torch.from_numpy(spec.standardise(pictures))))
    return answers


def bare_forward(network: torch.nn.Module, images: torch.Tensor, precision: str) -> None:
    """The network as it was loaded, in the memory format and the pieces that suit it best."""
    enabled = precision == "bfloat16"
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        for start in range(0, len(images), 32):
            network(images[start : start + 32])


class Classify:
    """The same sources, from the image to the table."""

    n = 2000
    n_by_hand = 500
    timeout = 600

    def setup(self):
        self.classifier = load_model("galaxyzoo2", device="cpu")
        network = deepcopy(self.classifier.module)
        self.as_loaded = network.to(memory_format=torch.contiguous_format)
        self.images, self.table = make_sky(self.n)
        shape = (self.n, 3, *self.classifier.card.input.shape)
        self.prepared = np.random.default_rng(0).random(shape, dtype=np.float32)
        self.last = torch.from_numpy(self.prepared).to(memory_format=torch.channels_last)

    def time_by_hand(self):
        by_hand(self.classifier, self.as_loaded, self.images, self.table[: self.n_by_hand])

    def time_end_to_end(self):
        classify_cutouts(self.table, self.images, model=self.classifier)

    def time_end_to_end_float32(self):
        self.classifier.predict(self.table, self.images, precision="float32")

    def time_end_to_end_bfloat16(self):
        self.classifier.predict(self.table, self.images, precision="bfloat16")

    def time_bare_forward_float32(self):
        bare_forward(self.classifier.module, self.last, "float32")

    def time_bare_forward_bfloat16(self):
        bare_forward(self.classifier.module, self.last, "bfloat16")

    def time_our_forward_float32(self):
        self.run("float32")

    def time_our_forward_bfloat16(self):
        self.run("bfloat16")

    def run(self, precision):
        """The forward pass as `classify_cutouts` makes it."""
        return run_batches(
            self.classifier.copies.get(self.classifier.module, precision),
            self.prepared,
            batch_size=256,
            device=self.classifier.device,
            precision=precision,
        )


class Join:
    """A million results beside the user's columns."""

    n = 1_000_000
    timeout = 600

    def setup(self):
        rng = np.random.default_rng(0)
        self.output = load_model("galaxyzoo2", device="cpu").card.output
        self.table = QTable(
            {
                "id": np.arange(self.n),
                "coord": SkyCoord(rng.random(self.n), rng.random(self.n), unit="deg"),
                "flux": rng.random((self.n, 3)) * u.nmgy,
            }
        )
        self.outputs = {}
        for head in self.output.heads:
            values = rng.random((self.n, len(head.labels)), dtype=np.float32)
            self.outputs[head.name] = values / values.sum(axis=1, keepdims=True)
        self.flags = np.zeros(self.n, dtype=np.int32)

    def time_join(self):
        return join(self.table, self.outputs, self.flags, self.output, {})


def measure(function: Callable[[], object]) -> np.ndarray:
    """Seconds of the clock and of the processor."""
    start = np.array([perf_counter(), process_time()])
    function()
    return np.array([perf_counter(), process_time()]) - start


def compare(n: int, n_by_hand: int, repeats: int) -> None:
    """End to end against the loop by hand and the forward pass alone."""
    bench = Classify()
    bench.n, bench.n_by_hand = n, min(n, n_by_hand)
    bench.setup()
    auto = bench.classifier.predict(bench.table[:1], bench.images).meta["astrodlkit"]["precision"]
    print(f'{bench.classifier!r}: N = {n}, by hand {bench.n_by_hand}; "auto" is {auto} here')
    names = ["by_hand"] + [
        f"{what}_{precision}"
        for precision in PRECISIONS
        for what in ("end_to_end", "bare_forward", "our_forward")
    ]
    times = {name: [] for name in names}
    # In turns, so that a busy machine is busy for all of them.
    for _ in range(repeats):
        for name in names:
            rows = bench.n_by_hand if name == "by_hand" else n
            times[name].append(measure(getattr(bench, f"time_{name}")) / rows)
    print("milliseconds a source, median (least): of the clock; of the processor")
    for name, values in times.items():
        middle, least = (1e3 * f(values, axis=0) for f in (np.median, np.min))
        print(f"  {name:24} {middle[0]:7.3f} ({least[0]:6.3f}); {middle[1]:7.3f} ({least[1]:6.3f})")
    print(f"ratios, median of {repeats} rounds: of the clock; of the processor")
    for precision in PRECISIONS:
        whole = np.array(times[f"end_to_end_{precision}"])
        for text, above, below in (
            ("by hand / end to end", times["by_hand"], whole),
            ("end to end / bare forward", whole, times[f"bare_forward_{precision}"]),
            ("end to end / our forward", whole, times[f"our_forward_{precision}"]),
        ):
            clock, processor = np.median(np.array(above) / below, axis=0)
            print(f"  {precision:8} {text:26} {clock:6.2f}; {processor:6.2f}")


def breakdown(n: int, precision: str) -> None:
    """Where the processor's time goes, step after step on the same rows."""
    bench = Classify()
    bench.n = n
    bench.setup()
    spec = bench.classifier.card.input
    bench.run(precision)
    width = spec.width * bench.table["petroR90"]
    options = {"shape": spec.shape, "bands": spec.bands, "conserve": "flux", "chunk": 256}
    steps = dict.fromkeys(
        ("cut out and resample", "stretch and standardise", "forward pass", "join"), 0.0
    )
    last = process_time()

    def done(step):
        nonlocal last
        now = process_time()
        steps[step] += now - last
        last = now

    for start, stamps in zip(
        range(0, n, 256), iter_cutouts(bench.images, bench.table, width, **options), strict=True
    ):
        done("cut out and resample")
        bench.prepared, flags = spec.prepare(stamps)
        done("stretch and standardise")
        outputs = bench.run(precision)
        done("forward pass")
        join(bench.table[start : start + 256], outputs, flags, bench.classifier.output, {})
        done("join")
    total = sum(steps.values())
    print(f"the processor's time in {precision}, N = {n}:")
    for step, seconds in steps.items():
        print(f"  {step:24} {1e3 * seconds / n:7.3f} ms a source, {seconds / total:6.1%}")


def stream_memory(n: int) -> None:
    """Most memory that the process has held while n rows are streamed."""
    classifier = load_model("galaxyzoo2", device="cpu")
    images, table = make_sky(n)
    done, marks = 0, iter([n // 20, n // 2, n])
    mark = next(marks)
    print(f"most memory of the process while {n} rows are streamed:")
    for part in classifier.stream(table, images):
        done += len(part)
        if done >= mark:
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"  after {done:7} rows {most:7.0f} MiB")
            mark = next(marks, np.inf)


def time_join(n: int, repeats: int) -> None:
    """Seconds of a join."""
    bench = Join()
    bench.n = n
    bench.setup()
    clock, processor = np.min([measure(bench.time_join) for _ in range(repeats)], axis=0)
    print(
        f"join of {n} rows, {len(bench.output.columns) + 1} columns to "
        f"{len(bench.table.colnames)}: {clock:.2f} s, of the processor {processor:.2f} s"
    )


def time_fine_tune(n: int, repeats: int) -> None:
    """Seconds to learn two classes from n stamps of their width, the backbone frozen."""
    classifier = load_model("galaxyzoo2", device="cpu")
    rng = np.random.default_rng(2)
    stamps = rng.uniform(0, 255, (n, 3, *classifier.input.shape)).astype(np.float32)
    table = QTable({"cutout": stamps, "kind": np.where(np.arange(n) % 2, "odd", "even")})
    bands = ("red", "green", "blue")
    clock, processor = np.median(
        [
            measure(lambda: classifier.fine_tune(table, "kind", bands=bands, progress=False))
            for _ in range(repeats)
        ],
        axis=0,
    )
    print(
        f"fine-tuning on {n} stamps, frozen, median of {repeats}: "
        f"{clock:.1f} s, of the processor {processor:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=10_000, help="number of sources")
    parser.add_argument("--by-hand", type=int, default=1000, help="of them for the loop by hand")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, of which the median counts")
    parser.add_argument("--stream", type=int, default=0, help="rows to stream, for the memory")
    parser.add_argument("--join", type=int, default=1_000_000, help="rows to join; 0: none")
    parser.add_argument("--fine-tune", type=int, default=0, help="stamps to fine-tune on")
    parser.add_argument("--threads", type=int, help="of torch; default: its own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print_machine()
    # First, while the process is small.
    if options.stream:
        stream_memory(options.stream)
    if options.n:
        compare(options.n, options.by_hand, options.repeats)
        for precision in PRECISIONS:
            breakdown(min(options.n, 2000), precision)
    if options.fine_tune:
        time_fine_tune(options.fine_tune, options.repeats)
    if options.join:
        time_join(options.join, options.repeats)


if __name__ == "__main__":
    main()
