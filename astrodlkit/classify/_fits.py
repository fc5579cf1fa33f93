"""The trainings behind fine-tuning: of the heads alone, of everything, and of the novelty."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from .._typing import Progress
from ..engine import progress_bar
from ..networks import HeadsNetwork
from ..specs import InputSpec
from ..training import Augmentation, fit, fit_heads, fit_novelty, make_batches
from ..training._processes import count_processes
from ._labelled import Labelled

__all__ = ["fit_frozen", "fit_full", "make_network", "measure_novelty"]

_STEP = 1024


def make_network(
    backbone: torch.nn.Module, options: dict[str, Any], rows: Labelled, seed: int
) -> HeadsNetwork:
    """A backbone with new heads, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = HeadsNetwork(**options).float()
    # A classifier on top of it is left behind.
    network.backbone.load_state_dict(backbone.state_dict(), strict=False)
    for each in rows.labels:
        if each.head.kind == "numbers":
            known = torch.from_numpy(each.values[~rows.held & each.known])
            network.set_units(each.head.name, known.mean(dim=0), known.std(dim=0, correction=0))
    return network.eval()


def fit_frozen(
    network: HeadsNetwork,
    rows: Labelled,
    spec: InputSpec,
    run: Callable[..., dict[str, np.ndarray]],
    *,
    views: int,
    progress: Progress,
) -> None:
    """Fit the heads to what the backbone sees in a few orientations of each picture."""
    turns = {1: (0,), 2: (0, 2)}.get(views, (0, 1, 2, 3))
    orientations = [(turn, False) for turn in turns]
    if views == 8:
        orientations += [(turn, True) for turn in turns]

    def seen(images: torch.Tensor, turn: int, flip: bool) -> dict[str, torch.Tensor]:
        images = torch.rot90(images.flip(3) if flip else images, turn, (2, 3))
        return {"features": network.features(images)}

    def features(which: np.ndarray, turn: int, flip: bool) -> torch.Tensor:
        parts = []
        for part in np.array_split(np.flatnonzero(which), len(which) // _STEP + 1):
            forward = partial(seen, turn=turn, flip=flip)
            parts.append(run(forward, rows.images(part, spec))["features"])
            advance(len(part))
        return torch.from_numpy(np.concatenate(parts))

    total = int((~rows.held).sum()) * len(orientations) + int(rows.held.sum())
    with progress_bar(total, progress, description="features") as advance:
        training = torch.cat([features(~rows.held, *each) for each in orientations])
        validation = features(rows.held, 0, False)
    labels, judged = (
        [torch.from_numpy(values) for values in rows.values(which)]
        for which in (~rows.held, rows.held)
    )
    n = len(orientations)
    labels = [values.repeat(n, *[1] * (values.ndim - 1)) for values in labels]
    device = network.offset.device
    fit_heads(network.cpu(), training, labels, (validation, judged))
    network.to(device)


def fit_full(
    network: HeadsNetwork,
    rows: Labelled,
    spec: InputSpec,
    *,
    epochs: int,
    batch_size: int,
    rate: float,
    seed: int,
    precision: str,
    devices: Any,
    num_nodes: int,
    accelerator: str,
    **options: Any,
) -> None:
    """Train everything."""
    from ..training import LabelsTask

    network.train()
    for layer in network.modules():
        # Statistics of a few rows are worse than those that the network comes with.
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
    processes = {"devices": devices, "num_nodes": num_nodes, "accelerator": accelerator}
    # Lightning gives each process as many rows, some of them twice.
    share = -(-int((~rows.held).sum()) // count_processes(**processes))
    batch_size = min(batch_size, share)
    steps = share // batch_size
    task = LabelsTask(
        network,
        rows.output,
        spec,
        Augmentation(shape=spec.shape, mirror=spec.mirror),
        max_steps=epochs * steps,
        rate=rate,
        # Without statistics of the batch nothing else holds large steps back.
        largest_gradient=1.0,
        seed=seed,
    )
    fit(
        task,
        make_batches(
            rows.pictures[~rows.held], rows.values(~rows.held), batch_size=batch_size, seed=seed
        ),
        validation=make_batches(rows.pictures[rows.held], rows.values(rows.held), batch_size=64),
        max_steps=epochs * steps,
        max_epochs=epochs,
        seed=seed,
        checkpoint_every=steps,
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        **processes,
        **options,
    )


def measure_novelty(network: HeadsNetwork, rows: Labelled, spec: InputSpec) -> None:
    """Say what is usual among the pictures."""

    def images(which: np.ndarray) -> Iterator[torch.Tensor]:
        places = np.flatnonzero(which)
        for start in range(0, len(places), _STEP):
            yield torch.from_numpy(rows.images(places[start : start + _STEP], spec))

    fit_novelty(network.cpu(), images(~rows.held), images(rows.held), spec=spec)
