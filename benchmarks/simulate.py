"""
How many galaxies a second, against the bare network and against GalSim's own profiles.

``python -m benchmarks.simulate`` prints times and ratios; asv finds the class. GalSim
draws a bulge, a disc and knots of star formation (200 points) for each row, with the same PSF, on
the same pixels.
"""

import argparse
import multiprocessing
import os
import resource
from functools import partial
from itertools import cycle
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from time import perf_counter, time

import astropy.units as u
import galsim
import numpy as np
import torch
from astropy.table import QTable

from astrodlkit import load_model

from .clock import in_turns, print_machine

SCALE, SIDE, FWHM = 0.2, 64, 0.7


def make_catalog(n: int) -> QTable:
    """Galaxies as a deep survey has them."""
    rng = np.random.default_rng(1)
    return QTable(
        {
            "mag": rng.uniform(20, 25, n),
            "half_light_radius": np.exp(rng.normal(np.log(0.5), 0.4, n)) * u.arcsec,
        }
    )


def draw_parametric(table: QTable) -> np.ndarray:
    """The same with GalSim: a bulge and a disc, with knots."""
    rng = np.random.default_rng(2)
    psf = galsim.Moffat(beta=3.5, fwhm=FWHM)
    stamps = np.empty((len(table), SIDE, SIDE), np.float32)
    for i, row in enumerate(table):
        radius = row["half_light_radius"].value
        bulge = galsim.DeVaucouleurs(half_light_radius=0.5 * radius, flux=0.3)
        disc = galsim.Exponential(half_light_radius=radius, flux=0.6)
        knots = galsim.RandomKnots(
            200, half_light_radius=radius, flux=0.1, rng=galsim.BaseDeviate(i + 1)
        )
        shear = galsim.Shear(q=rng.uniform(0.3, 1), beta=rng.uniform(0, 180) * galsim.degrees)
        galaxy = ((disc + knots).shear(shear) + bulge).withFlux(10 ** (0.4 * (31.4 - row["mag"])))
        image = galsim.Convolve(galaxy, psf).drawImage(nx=SIDE, ny=SIDE, scale=SCALE)
        stamps[i] = image.array
    return stamps


class Simulate:
    """Noiseless stamps of 64 by 64 pixels in one band."""

    n = 512
    timeout = 600
    params = ("sdss-galaxies",)

    def setup(self, name):
        self.simulator = load_model(name, device="cpu")
        self.table = make_catalog(self.n)
        module = self.simulator.module
        nothing = torch.full((32, len(module.condition_names)), torch.nan)
        with torch.inference_mode():
            self.conditions = module.complete(nothing, torch.rand(32, module.n_uniform))
        self.latent = torch.randn(32, module.n_latent)

    def time_simulate(self, _):
        self.simulator.simulate(
            self.table, psf=FWHM * u.arcsec, pixel_scale=SCALE * u.arcsec, shape=SIDE, rng=1
        )

    @torch.inference_mode()
    def time_network(self, _):
        """Templates alone, 32 at a time."""
        for _ in range(0, self.n, 32):
            self.simulator.module(self.latent, self.conditions)

    def time_parametric(self, _):
        draw_parametric(self.table)


def compare(name: str, n: int, repeats: int) -> None:
    """Print galaxies a second and ratios."""
    bench = Simulate()
    bench.n = n
    bench.setup(name)
    steps = ("simulate", "network", "parametric")
    times = in_turns(
        {step: partial(getattr(bench, f"time_{step}"), name) for step in steps}, repeats
    )
    print(f"{bench.simulator!r}: {n} stamps of {SIDE} x {SIDE}, median of {repeats} rounds")
    texts = ("simulate", "network alone", "GalSim bulge+disc+knots")
    for step, text in zip(steps, texts, strict=True):
        middle = float(np.median(times[step])) / n
        print(f"  {text:24} {1e3 * middle:7.2f} ms a stamp, {1 / middle:7.0f} a second")
    for other in steps[1:]:
        ratio = np.median(times["simulate"] / times[other])
        print(f"  simulate / {other:13} {ratio:6.2f}")


def stream_memory(name: str, n: int) -> None:
    """Most memory as rows go by."""
    table, simulator = make_catalog(n), load_model(name, device="cpu")
    marks = iter((n // 100, n // 2, n))
    mark, done = next(marks), 0
    options = {"psf": FWHM * u.arcsec, "pixel_scale": SCALE * u.arcsec, "shape": SIDE, "rng": 1}
    start = perf_counter()
    for part in simulator.stream(table, progress=False, **options):
        done += len(part)
        if done >= mark:
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"  after {done:7} rows {most:7.0f} MiB, {perf_counter() - start:7.0f} s")
            mark = next(marks, np.inf)


def side_by_side(name: str, n: int, processes: int) -> None:
    """Galaxies a second of processes with a core each, which begin at the same time."""
    spawn = multiprocessing.get_context("spawn")
    ready, spans, cores = spawn.Barrier(processes), spawn.SimpleQueue(), os.sched_getaffinity(0)
    for _, core in zip(range(processes), cycle(sorted(cores))):
        spawn.Process(target=draw_on, args=(core, name, n, ready, spans)).start()
    begins, ends = zip(*(spans.get() for _ in range(processes)), strict=True)
    rate = processes * n / (max(ends) - min(begins))
    text = f"{processes} processes of a core"
    print(f"  {text:24} {1e3 / rate:7.2f} ms a stamp, {rate:7.0f} a second")


def draw_on(core: int, name: str, n: int, ready: Barrier, spans: SimpleQueue) -> None:
    """Tell when this process began to draw, and when it was done."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    bench = Simulate()
    bench.n = n
    bench.setup(name)
    bench.time_simulate(name)
    ready.wait()
    begin = time()
    bench.time_simulate(name)
    spans.put((begin, time()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="sdss-galaxies", help="name, or folder of a card")
    parser.add_argument("-n", type=int, default=512, help="stamps in a round")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which the median counts")
    parser.add_argument("--stream", type=int, default=0, help="rows to stream, for the memory")
    parser.add_argument("--threads", type=int, help="of torch; default: its own choice")
    parser.add_argument("--processes", type=int, default=0, help="side by side too (Linux)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print_machine(GalSim=galsim.__version__)
    # First, while the process is small.
    if options.stream:
        stream_memory(options.model, options.stream)
    compare(options.model, options.n, options.repeats)
    if options.processes:
        side_by_side(options.model, options.n, options.processes)


if __name__ == "__main__":
    main()
