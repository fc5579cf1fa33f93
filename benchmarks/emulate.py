"""
How many density maps a second, against the bare network and against the N-body run they stand for.

``python -m benchmarks.emulate`` prints times and ratios; asv finds the class. The
N-body run is the recipe's own (recipes/cosmicweb), of a box of 256 cells across; it takes minutes.
"""

import argparse
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from astrodlkit import load_model

from .clock import in_turns, print_machine, seconds

TRUTH = Path(__file__).parents[1] / "recipes/cosmicweb/truth.py"


class Emulate:
    """Maps of 256 by 256 pixels."""

    n = 16
    timeout = 600
    params = ("cosmicweb-500mpc",)

    def setup(self, name):
        self.emulator = load_model(name, device="cpu")
        module = self.emulator.module
        self.noise = torch.randn(1, module.n_channels, 256, 256)
        self.conditions = torch.tensor([[0.31, 0.81, 0.0]])
        self.inputs = torch.randn(1, module.n_channels + 3, 256, 256)

    def time_sample(self, _):
        self.emulator.sample(self.n, rng=1)

    @torch.inference_mode()
    def time_network(self, _):
        """From noise to density, without astropy."""
        for _ in range(self.n):
            self.emulator.module(self.noise, self.conditions)

    @torch.inference_mode()
    def time_unet(self, _):
        """The convolutions alone: the limit."""
        for _ in range(self.n):
            self.emulator.module.network(self.inputs, self.conditions)


def compare(name: str, n: int, repeats: int) -> float:
    """Print maps a second and ratios; seconds of a map."""
    bench = Emulate()
    bench.n = n
    bench.setup(name)
    steps = ("sample", "network", "unet")
    times = in_turns(
        {step: partial(getattr(bench, f"time_{step}"), name) for step in steps}, repeats
    )
    middle = {step: float(np.median(values)) / n for step, values in times.items()}
    print(f"{bench.emulator!r}: {n} maps of 256 x 256 pixels, median of {repeats} rounds")
    for step, text in zip(
        steps, ("sample", "network alone", "its convolutions alone"), strict=True
    ):
        print(f"  {text:24} {1e3 * middle[step]:7.1f} ms a map, {1 / middle[step]:6.1f} a second")
    for below in steps[1:]:
        ratio = np.median(times["sample"] / times[below])
        print(f"  sample / {below:15} {ratio:6.2f}")
    return middle["sample"]


def against_nbody(name: str, a_map: float, threads: int) -> None:
    """Time one box of the recipe, with as many threads as the emulator has."""
    with TemporaryDirectory() as folder:
        scale = ("--scale", name.removeprefix("cosmicweb-"))
        box = (folder, *scale, "--set", "test", "--only", "0:1", "--threads", threads)
        command = [sys.executable, str(TRUTH), *map(str, box)]
        taken = seconds(lambda: subprocess.run(command, check=True, capture_output=True))  # noqa: S603
    print(f"  N-body run of 256^3 particles: {taken:.0f} s, {taken / a_map:.0f} times a map")


def scaling(name: str, sides: list[int]) -> None:
    """Seconds of a pixel and memory, as maps grow."""
    emulator = load_model(name, device="cpu")
    for side in sides:
        taken = seconds(partial(emulator.sample, 1, shape=(side, side), rng=1))
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"  {side:5} x {side:5} {taken:7.2f} s, {1e6 * taken / side**2:6.2f} us a pixel; "
            f"most memory so far {most:5.2f} GiB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="cosmicweb-500mpc")
    parser.add_argument("-n", type=int, default=16, help="maps in a round")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which the median counts")
    parser.add_argument("--sides", type=int, nargs="*", default=[256, 512, 1024, 2048, 4096])
    parser.add_argument("--nbody", action="store_true", help="run the recipe's box too: minutes")
    parser.add_argument("--threads", type=int, help="of torch; default: its own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print_machine()
    a_map = compare(options.model, options.n, options.repeats)
    if options.nbody:
        against_nbody(options.model, a_map, torch.get_num_threads())
    scaling(options.model, options.sides)


if __name__ == "__main__":
    main()
