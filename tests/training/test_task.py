"""LabelsTask: any heads, missing labels, grey pictures."""

import numpy as np
import pytest
import torch

pytest.importorskip("lightning.pytorch")

from astrodlkit.networks import HeadsNetwork
from astrodlkit.specs import Head, InputSpec, OutputSpec, Picture
from astrodlkit.training import Augmentation, LabelsTask, fit, make_batches

pytestmark = pytest.mark.filterwarnings("default")  # Lightning's own advice

SPEC = InputSpec(
    bands=("i", "r", "g"), shape=(32, 32), mean=(0.3,) * 3, std=(0.2,) * 3, stretch=Picture()
)
OUTPUT = OutputSpec(
    heads=(
        Head(name="class", kind="classes", labels=("dark", "bright")),
        Head(name="votes", kind="fractions", labels=("no", "yes")),
    )
)
HEADS = [
    {"name": "class", "kind": "classes", "n": 2},
    {"name": "votes", "kind": "fractions", "n": 2},
]
VIEWS = Augmentation(shape=(32, 32), gain=0.0, noise=0.0, blur=0.0)


def labelled(n=64, channels=1):
    """Grey pictures that are dark or bright; every third label is missing."""
    rng = np.random.default_rng(0)
    bright = rng.random(n) > 0.5
    pictures = rng.integers(0, 100, (n, channels, 32, 32)) + 120 * bright[:, None, None, None]
    classes = np.where(np.arange(n) % 3 == 0, -1, bright)
    votes = np.where(np.arange(n)[:, None] % 3 == 1, np.nan, np.stack([~bright, bright], 1) * 20.0)
    return pictures.astype(np.uint8), [classes.astype(np.int64), votes.astype(np.float32)], bright


def make_task(**options):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = HeadsNetwork("mobilenetv3_small_050", HEADS)
    return LabelsTask(network, OUTPUT, SPEC, VIEWS, **{"max_steps": 40, **options})


def run(folder, max_steps, task, batch_size=16, **options):
    pictures, labels, _ = labelled()
    return fit(
        task,
        make_batches(pictures, labels, batch_size=batch_size, seed=1),
        folder=folder,
        max_steps=max_steps,
        seed=1,
        decay=0.8,
        checkpoint_every=4,
        precision="32-true",
        progress=False,
        **options,
    )


def test_it_learns_from_what_is_known(tmp_path):
    # All pictures in each batch: smaller ones' statistics, and so the figures, differ by processor.
    task = run(tmp_path, 40, make_task(rate=5e-3), batch_size=64)
    pictures, _, bright = labelled()
    task.eval()
    with torch.inference_mode():
        images = (torch.from_numpy(pictures) / 255 - 0.3) / 0.2
        outputs = task.network(images.expand(-1, 3, -1, -1))
    for name in ("class", "votes"):
        right = (outputs[name].argmax(dim=1).numpy() == bright).mean()
        assert right > 0.9, (name, right)


def test_resumed_equals_unbroken(tmp_path):
    whole = run(tmp_path / "whole", 8, make_task(max_steps=8))
    run(tmp_path / "parts", 4, make_task(max_steps=8))
    parts = run(tmp_path / "parts", 8, make_task(max_steps=8))
    for name, values in whole.network.state_dict().items():
        torch.testing.assert_close(parts.network.state_dict()[name], values, msg=name)


def test_early_stopping_keeps_the_best(tmp_path):
    pictures, labels, _ = labelled()
    task = run(
        tmp_path,
        400,
        make_task(max_steps=400, rate=0.05),
        validation=make_batches(pictures, labels, batch_size=32),
        patience=2,
    )
    log = np.genfromtxt(tmp_path / "log" / "version_0" / "metrics.csv", delimiter=",", names=True)
    losses = log["validation_loss"][np.isfinite(log["validation_loss"])]
    assert len(losses) < 100
    task.eval()
    with torch.inference_mode():
        tensors = [torch.from_numpy(known) for known in labels]
        loss = float(task.loss((torch.from_numpy(pictures) / 255, *tensors)))
    assert loss == pytest.approx(losses.min(), rel=1e-3)


def test_each_step_and_seed_has_views_of_its_own(monkeypatch):
    seen = []
    task = make_task(seed=2)
    monkeypatch.setattr(
        Augmentation, "__call__", lambda self, p, g: seen.append(g.initial_seed()) or p
    )
    monkeypatch.setattr(LabelsTask, "loss", lambda self, batch, generator: None)
    monkeypatch.setattr(LabelsTask, "trainer", type("T", (), {"world_size": 1}))
    monkeypatch.setattr(LabelsTask, "global_rank", 0)
    for step in (0, 1, 1):
        monkeypatch.setattr(LabelsTask, "global_step", step)
        task.training_step((torch.zeros(1, 1, 32, 32),), 0)
    assert len(set(seen)) == 2
    assert seen[1] == seen[2]


def test_a_mirror_must_be_allowed():
    from dataclasses import replace

    task = make_task()
    with pytest.raises(ValueError, match="augmentation must not mirror"):
        LabelsTask(task.network, OUTPUT, replace(SPEC, mirror=False), VIEWS, max_steps=1)


def test_weights_for_a_head_that_is_not_there():
    with pytest.raises(ValueError, match=r"weights must be for heads of \['class', 'votes'\]"):
        make_task(weights={"size": 2.0})
