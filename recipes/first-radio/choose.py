"""
Choose the settings by cross-validation within the training rows, then train the network.

The validation rows are not looked at. What is found is written as it comes: ``results.jsonl``, and
at the end ``plain/network.pt``, ``taught/network.pt`` and ``chosen.json``, which says which of the
two to keep.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import numpy as np
import torch
from sources import CLASSES, RadioSources
from torch import Tensor
from torch.nn.functional import interpolate
from train import Settings, input_spec, stretched, train

from astrodlkit.networks import HeadsNetwork

# What differs from the first, the most promising first.
STRONG = {"mix": 0.4, "fade": 0.5, "zoom": (0.75, 1.35)}
TRIALS = {
    "usual": {},
    "strong": STRONG,
    "strong, 128 pixels": STRONG | {"side": 128},
    "mixed": {"mix": 0.4},
    "slow backbone": {"backbone_rate": 0.15},
    "128 pixels": {"side": 128},
    "smoothed by 0.2": {"smoothing": 0.2},
    "strong, slow backbone": STRONG | {"backbone_rate": 0.15},
    "faded": {"fade": 0.5},
    "half the rate": {"rate": 5e-4},
    "half the steps": {"steps": 0.5},
    "strong, twice the steps": STRONG | {"steps": 2.0},
}
# Trainings that follow each other in each process, in the time there is.
WAVES = 14


@dataclass(frozen=True)
class Job:
    """One training, and the training rows that it does not see."""

    trial: str
    settings: Settings
    held: tuple[int, ...] = ()  # folds
    taught: np.ndarray | None = None  # (n, 4)
    folder: Path | None = None  # for the network


@dataclass
class Found:
    """What a training gave."""

    job: Job
    seconds: float
    probabilities: np.ndarray = field(repr=False)  # (n, 4), NaN for the rows that it saw


def answers(network: HeadsNetwork, sources: RadioSources, like: RadioSources, side: int) -> Tensor:
    """Probabilities, mean over eight views, shape (n, 4); standardised as other sources are."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    spec = input_spec(like, side)
    network = network.to(device).eval()
    found = []
    with torch.inference_mode():
        for part in torch.from_numpy(stretched(sources)).split(200):
            images = part.to(device) / 255
            if images.shape[-1] != side:
                images = interpolate(images, (side, side), mode="bilinear", antialias=True)
            images = (images - spec.mean[0]) / spec.std[0]
            views = [
                torch.rot90(seen, turn, (2, 3))
                for seen in (images, images.flip(3))
                for turn in range(4)
            ]
            found.append(torch.stack([network(view)["class"] for view in views]).mean(0).cpu())
    return torch.cat(found)


def balanced_accuracy(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the classes of the part that is right; NaN where the rows have no answer."""
    right = (probabilities.argmax(axis=1) == truth) / np.isfinite(probabilities).all(axis=1)
    return float(np.mean([right[truth == k].mean() for k in range(len(CLASSES))]))


def uncertainty(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Binomial error of `balanced_accuracy`."""
    right = probabilities.argmax(axis=1) == truth
    parts = [right[truth == k] for k in range(len(CLASSES))]
    return float(np.sqrt(sum(part.var() / len(part) for part in parts)) / len(CLASSES))


def in_folds(labels: np.ndarray, n: int) -> np.ndarray:
    """Number of the fold of each row; each fold has its part of each class."""
    rng = np.random.default_rng(1)
    folds = np.empty(len(labels), int)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        folds[rows] = (np.arange(len(rows)) + rng.integers(n)) % n
    return folds


class Processes:
    """Trainings side by side; what they find comes as they end."""

    def __init__(self, data: Path, n_folds: int, n: int) -> None:
        self.pool = ProcessPoolExecutor(
            n, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(data, n_folds)
        )
        self.running: set[Future] = set()

    def add(self, *jobs: Job) -> None:
        """Put jobs at the end of the queue."""
        self.running |= {self.pool.submit(_work, job) for job in jobs}

    def found(self, deadline: float) -> Iterator[Found]:
        """What was found, until nothing is left to do, or the time is over."""
        while self.running and monotonic() < deadline:
            done, self.running = wait(
                self.running, max(0.0, deadline - monotonic()), FIRST_COMPLETED
            )
            for future in done:
                try:
                    yield future.result()
                # One training that fails must not end the others.
                except Exception:  # noqa: BLE001
                    traceback.print_exc()

    def drop_waiting(self) -> None:
        """Forget the jobs that have not begun."""
        self.running = {future for future in self.running if not future.cancel()}

    def end(self) -> None:
        """End at once."""
        processes = list((self.pool._processes or {}).values())  # noqa: SLF001
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _begin(data: Path, n_folds: int) -> None:
    global _sources, _folds  # noqa: PLW0603
    torch.set_num_threads(1)
    sources = RadioSources.read(data)
    _sources = sources[sources.split == 0]
    _folds = in_folds(_sources.label, n_folds)


def _work(job: Job) -> Found:
    begun = monotonic()
    held = np.isin(_folds, job.held)
    seen = _sources[~held]
    probabilities = np.full((len(held), len(CLASSES)), np.nan)
    with TemporaryDirectory() as folder:
        network = train(
            seen,
            job.settings,
            Path(folder),
            taught=None if job.taught is None else job.taught[~held],
            progress=False,
            checkpoint_every=job.settings.steps,
        )
        if held.any():
            probabilities[held] = answers(network, _sources[held], seen, job.settings.side)
        if job.folder is not None:
            _keep(network, Path(folder), job.folder)
    return Found(job, monotonic() - begun, probabilities)


def _keep(network: HeadsNetwork, made: Path, folder: Path) -> None:
    """Weights in float16, and the log."""
    weights = {name: values.cpu() for name, values in network.state_dict().items()}
    half = {name: v.half() if v.is_floating_point() else v for name, v in weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(half, folder / "part.pt")
    (folder / "part.pt").replace(folder / "network.pt")
    if (log := made / "log/version_0/metrics.csv").exists():
        shutil.copy(log, folder)


class Choice:
    """From the first trial to the last network, in so much time."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.begun = args, monotonic()
        self.end = self.begun + 60 * args.minutes - 10
        sources = RadioSources.read(args.data)
        self.truth = sources.label[sources.split == 0]
        self.folds = in_folds(self.truth, args.folds)
        self.base = Settings(
            start=args.start, side=args.side, batch_size=args.batch_size, steps=args.steps or 60
        )
        self.processes = Processes(args.data, args.folds, args.workers)
        self.trials: dict[str, np.ndarray] = {}
        args.folder.mkdir(parents=True, exist_ok=True)

    def say(self, what: str, **more: object) -> None:
        """A line for the log, and for the results."""
        line = {"at": round(monotonic() - self.begun, 1), "what": what, **more}
        print(json.dumps(line), flush=True)
        with (self.args.folder / "results.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def heard(self, found: Found) -> None:
        """Note what a training gave."""
        held = list(found.job.held)
        rows = np.isfinite(found.probabilities).all(axis=1)
        accuracy = np.nan
        if rows.any():
            accuracy = balanced_accuracy(found.probabilities[rows], self.truth[rows])
        self.say(
            "training", trial=found.job.trial, held=held, seconds=round(found.seconds, 1),
            steps=found.job.settings.steps, accuracy=round(accuracy, 4),
        )  # fmt: skip

    def judge(self, name: str, probabilities: np.ndarray) -> None:
        """Note what a trial gave, and keep its probabilities."""
        self.trials[name] = probabilities
        self.say(
            "trial", name=name, accuracy=round(balanced_accuracy(probabilities, self.truth), 4),
            error=round(uncertainty(probabilities, self.truth), 4),
        )  # fmt: skip
        np.savez(self.args.folder / "held_out.npz", truth=self.truth, **self.trials)

    def measure(self) -> float:
        """Seconds that a training takes; sets the steps that there is time for."""
        if self.args.steps:
            return 0.0
        times = []
        # The first ones also load libraries.
        for steps in (20, 20, 80):
            job = Job("speed", replace(self.base, steps=steps))
            self.processes.add(*[job] * self.args.workers)
            found = [f.seconds for f in self.processes.found(self.end)]
            if not found:
                raise SystemExit("no training came to its end")
            times.append(float(np.mean(found)))
            self.say("speed", steps=steps, seconds=round(times[-1], 2), n=len(found))
        each = max((times[2] - times[1]) / 60, 0.002)
        besides = max(times[1] - 20 * each, 0.0)
        wanted = (self.end - monotonic()) / WAVES
        steps = int(np.clip((wanted - besides) / each, 200, 1200))
        self.base = replace(self.base, steps=steps)
        self.say("speed", seconds_per_step=round(each, 4), besides=round(besides, 2), steps=steps)
        return besides + each * steps

    def settings(self, name: str) -> Settings:
        """Those of a trial."""
        changed = dict(TRIALS[name])
        steps = max(2, round(self.base.steps * changed.pop("steps", 1)))
        return replace(self.base, steps=steps, **changed)

    def try_all(self, each: float) -> str:
        """Cross-validate the trials that there is time for; the name of the best."""
        folds = range(self.args.folds)
        for name in self.args.trials:
            self.processes.add(*(Job(name, self.settings(name), (k,)) for k in folds))
        pairs = self.args.folds * (self.args.folds + 1) // 2
        waves = 2.5 + (pairs + 2) / self.args.workers
        parts: dict[str, list[np.ndarray]] = {name: [] for name in self.args.trials}
        for f in self.processes.found(self.end - waves * each - 5):
            self.heard(f)
            parts[f.job.trial].append(f.probabilities)
            if len(parts[f.job.trial]) == self.args.folds:
                self.judge(f.job.trial, np.nanmean(parts[f.job.trial], axis=0))
        self.processes.drop_waiting()
        if not self.trials:
            self.say("no trial came to its end: the first one's settings are taken")
            return self.args.trials[0]
        return max(self.trials, key=lambda name: balanced_accuracy(self.trials[name], self.truth))

    def last(self, name: str) -> None:
        """Train on all rows, with and without teachers, and cross-validate the teaching."""
        settings, folder = self.settings(name), self.args.folder
        longer = self.args.folds / (self.args.folds - 1)
        final = replace(settings, steps=round(settings.steps * longer))
        best = sorted(self.trials, key=lambda n: -balanced_accuracy(self.trials[n], self.truth))[:3]
        self.say("best", name=name, teachers=best, settings=asdict(final))
        jobs = [Job("plain", final, folder=folder / "plain")]
        if best:
            taught = np.mean([self.trials[n] for n in best], axis=0)
            np.save(folder / "taught.npy", taught)
            jobs.append(Job("taught", final, taught=taught, folder=folder / "taught"))
            jobs += [
                Job("pair", settings, pair) for pair in combinations(range(self.args.folds), 2)
            ]
        self.processes.add(*jobs)
        self._decide({"plain"}, name)
        pairs: dict[tuple[int, ...], np.ndarray] = {}
        pupils: list[np.ndarray] = []
        finished: set[str] = set()
        for f in self.processes.found(self.end):
            self.heard(f)
            if f.job.trial == "pair":
                pairs[f.job.held] = f.probabilities
                for k in range(self.args.folds):
                    if k in f.job.held and (taught := self._without(k, pairs)) is not None:
                        self.processes.add(Job("pupil", settings, (k,), taught))
            if f.job.trial == "pupil":
                pupils.append(f.probabilities)
                if len(pupils) == self.args.folds:
                    self.judge("taught", np.nanmean(pupils, axis=0))
            if f.job.folder is not None:
                finished.add(f.job.trial)
            if finished:
                self._decide(finished, name)

    def _without(self, k: int, pairs: dict[tuple[int, ...], np.ndarray]) -> np.ndarray | None:
        """Answers for all other folds by networks that saw neither the fold k nor those rows."""
        own = [p for pair, p in pairs.items() if k in pair]
        if len(own) < self.args.folds - 1:
            return None
        # The rows of the fold k itself, which all have answered, are not learned from.
        found = np.full((len(self.truth), len(CLASSES)), np.nan)
        for p in own:
            rows = np.isfinite(p).all(axis=1) & (self.folds != k)
            found[rows] = p[rows]
        return found

    def _decide(self, finished: set[str], name: str) -> None:
        """Taught where the cross-validation has shown that it does no worse."""
        accuracies = {n: balanced_accuracy(p, self.truth) for n, p in self.trials.items()}
        taught = accuracies.get("taught", 0) >= accuracies.get(name, 1) and "taught" in finished
        chosen = {
            "keep": "taught" if taught or finished == {"taught"} else "plain",
            "finished": sorted(finished),
            "trial": name,
            "settings": asdict(self.settings(name)),
            "accuracies": accuracies,
        }
        (self.args.folder / "chosen.json").write_text(json.dumps(chosen, indent=1))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the labelled sets")
    parser.add_argument("folder", type=Path, help="folder for what is found")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long it may take")
    parser.add_argument("--workers", type=int, default=6, help="trainings at the same time")
    parser.add_argument("--folds", type=int, default=5, help="3 or more")
    parser.add_argument("--steps", type=int, help="of a training; by default by the clock")
    parser.add_argument("--side", type=int, default=96, help="pixels of a usual training view")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--start", default="galaxyzoo2", help="model or .pt to start from")
    parser.add_argument(
        "--imagenet", type=Path, nargs="*", default=[], help="backbones to try, named as timm does"
    )
    parser.add_argument("--trials", nargs="+", choices=TRIALS, default=list(TRIALS))
    args = parser.parse_args()
    for path in args.imagenet:
        name = f"strong, from {path.stem}"
        TRIALS[name] = STRONG | {"start": str(path), "backbone": path.stem}
        args.trials.insert(4, name)
    if args.folds < 3:
        parser.error("--folds must be 3 or more")
    choice = Choice(args)
    try:
        choice.last(choice.try_all(choice.measure()))
        choice.say("end")
    finally:
        choice.processes.end()
        sys.stdout.flush()
    # What is still training is not waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
