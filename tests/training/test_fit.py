"""fit: averaged weights, and a resumed run that equals an unbroken one."""

import subprocess
import sys
import textwrap
from argparse import ArgumentParser

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

lightning = pytest.importorskip("lightning.pytorch")

from astrodlkit.training import (  # noqa: E402
    add_process_options,
    fit,
    process_options,
    step_generator,
    this_process,
)

pytestmark = pytest.mark.filterwarnings("default")  # Lightning's own advice


class Line(lightning.LightningModule):
    """Fit y = 2 x."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))

    def training_step(self, batch, _):
        x, y = batch
        return (self.slope * x - y).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.3)


def batches(batch_size=8):
    x = torch.linspace(-1, 1, 32)
    return DataLoader(TensorDataset(x, 2 * x), batch_size=batch_size)


def run(folder, max_steps, seed=1, batch_size=8, **options):
    task = Line()
    fit(
        task,
        batches(batch_size),
        folder=folder,
        max_steps=max_steps,
        seed=seed,
        checkpoint_every=4,
        precision="32-true",
        **{"decay": 0.5, "progress": False, **options},
    )
    return task.slope.item()


def test_it_learns(tmp_path):
    assert run(tmp_path, 60) == pytest.approx(2, abs=0.05)
    assert (tmp_path / "last.ckpt").exists()


def test_resumed_equals_unbroken(tmp_path):
    whole = run(tmp_path / "whole", 120, decay=None)
    run(tmp_path / "parts", 120, decay=None, stop_at=4)
    assert run(tmp_path / "parts", 120, decay=None) == pytest.approx(whole, abs=1e-6)


# Before the first checkpoint is due, where it is, and after it.
@pytest.mark.parametrize("stop_at", [2, 4, 6])
def test_stopped_at_any_step(tmp_path, stop_at):
    whole = run(tmp_path / "whole", 8, batch_size=32)
    run(tmp_path / "parts", 8, batch_size=32, stop_at=stop_at)
    assert run(tmp_path / "parts", 8, batch_size=32) == pytest.approx(whole, abs=1e-6)


def test_the_average_is_over_the_last_tenth(tmp_path):
    # An average that is longer than the training still holds what was there before.
    assert run(tmp_path / "short", 100, decay=None) == pytest.approx(2, abs=0.01)
    assert run(tmp_path / "long", 100, decay=0.999) < 1


def test_the_result_is_the_average(tmp_path):
    # With one step from zero, the average lies behind the last value.
    after_one = run(tmp_path / "one", 1)
    assert after_one > 0
    assert run(tmp_path / "many", 12) < 2


SCRIPT = """
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
import lightning.pytorch as lightning
from astrodlkit.training import fit, make_batches, step_generator, this_process

folder = Path(sys.argv[1])


class Mean(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))
        self.seen, self.drawn = [], []

    def training_step(self, batch, _):
        self.seen += batch[1].tolist()
        self.drawn.append(torch.rand(1, generator=step_generator(1, self.global_step)).item())
        return (self.value - batch[1]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


rows = np.arange(16, dtype=np.float32)
batches = make_batches(rows[:, None, None, None], [rows], batch_size=4, seed=3)
task = Mean()
fit(task, batches, folder=folder / "training", max_steps=4, seed=1, precision="32-true",
    progress=False, accelerator="cpu", devices=2, strategy="ddp")
rank, n = this_process()
np.savez(folder / f"process{rank}", seen=task.seen, drawn=task.drawn, value=task.value.item(), n=n)
"""


def test_two_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=300, cwd=tmp_path)
    first, second = (np.load(tmp_path / f"process{rank}.npz") for rank in (0, 1))
    assert first["n"] == second["n"] == 2
    # Two passes of two steps: in each, every row is seen by one of the processes.
    for passed in (slice(8), slice(8, 16)):
        both = [*first["seen"][passed], *second["seen"][passed]]
        assert sorted(both) == list(range(16))
    assert not np.isin(first["drawn"], second["drawn"]).any()
    assert first["value"] == second["value"] > 0


def test_alone():
    assert this_process() == (0, 1)
    expected = torch.Generator().manual_seed(1_000_003 * 2 + 5)
    assert torch.equal(
        torch.rand(3, generator=step_generator(2, 5)), torch.rand(3, generator=expected)
    )


@pytest.mark.parametrize(
    ("given", "partial", "strategy"),
    [
        ("", False, "auto"),
        ("", True, "auto"),
        ("--devices 2", False, "auto"),
        ("--nodes 2", True, "ddp_find_unused_parameters_true"),
        ("--devices 2 --strategy ddp_spawn", True, "ddp_spawn_find_unused_parameters_true"),
        ("--devices 2 --strategy ddp_spawn", False, "ddp_spawn"),
        ("--strategy fsdp", True, "fsdp"),
    ],
)
def test_options_of_a_script(given, partial, strategy):
    parser = ArgumentParser()
    add_process_options(parser)
    options = process_options(parser.parse_args(given.split()), partial=partial)
    assert options["strategy"] == strategy
    lightning.Trainer(**options | {"devices": 1, "num_nodes": 1, "strategy": "auto"}, logger=False)


@pytest.mark.parametrize("given", [["--devices", "0"], ["--nodes", "-1"], ["--devices", "two"]])
def test_wrong_options(given, capsys):
    parser = ArgumentParser()
    add_process_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(given)
    assert given[0] in capsys.readouterr().err


def test_a_callable_is_told_passes(tmp_path):
    calls = []
    # 4 steps a pass; the third is not whole.
    run(tmp_path, 10, progress=lambda *call: calls.append(call), stop_at=4)
    assert calls == [(1, 3)]
    run(tmp_path, 10, progress=lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_an_interrupt_is_one_for_the_caller(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Line, "training_step", interrupted)
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 10)
    torch.testing.assert_close(torch.rand(1), wanted, rtol=0, atol=0)
