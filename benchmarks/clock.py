"""The clock of all benchmarks, and the machine that they name beside their figures."""

import os
import platform
from collections.abc import Callable, Mapping
from time import perf_counter

import numpy as np
import torch
from scipy.stats import sem


def print_machine(**versions: str) -> None:
    """Print what the figures depend on, with the versions of further libraries."""
    names = "".join(f"{name} {version}, " for name, version in versions.items())
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, "
        f"torch {torch.__version__} with {torch.get_num_threads()} threads, "
        f"{names}load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of a call."""
    start = perf_counter()
    run()
    return perf_counter() - start


def in_turns(steps: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """
    Seconds of each step in each round: a busy machine is busy for all of them.

    The round before those that count prepares what the later ones find.
    """
    rounds = [{name: seconds(run) for name, run in steps.items()} for _ in range(repeats + 1)]
    return {name: np.array([each[name] for each in rounds[1:]]) for name in steps}


def mean_with_error(values: np.ndarray) -> str:
    """Both, as far as there are values."""
    if len(values) == 0:
        return "-"
    error = f" +- {sem(values):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{error}"
