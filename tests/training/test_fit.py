"""fit: averaged weights, and a resumed run that equals an unbroken one."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

lightning = pytest.importorskip("lightning.pytorch")

from astrodlkit.training import fit  # noqa: E402

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


def batches():
    x = torch.linspace(-1, 1, 32)
    return DataLoader(TensorDataset(x, 2 * x), batch_size=8)


def run(folder, max_steps, seed=1, **options):
    task = Line()
    fit(
        task,
        batches(),
        folder=folder,
        max_steps=max_steps,
        seed=seed,
        checkpoint_every=4,
        precision="32-true",
        progress=False,
        **{"decay": 0.5, **options},
    )
    return task.slope.item()


def test_it_learns(tmp_path):
    assert run(tmp_path, 60) == pytest.approx(2, abs=0.05)
    assert (tmp_path / "last.ckpt").exists()


def test_resumed_equals_unbroken(tmp_path):
    whole = run(tmp_path / "whole", 120, decay=None)
    run(tmp_path / "parts", 120, decay=None, stop_at=4)
    assert run(tmp_path / "parts", 120, decay=None) == pytest.approx(whole, abs=1e-6)


def test_the_average_is_over_the_last_tenth(tmp_path):
    # An average that is longer than the training still holds what was there before.
    assert run(tmp_path / "short", 100, decay=None) == pytest.approx(2, abs=0.01)
    assert run(tmp_path / "long", 100, decay=0.999) < 1


def test_the_result_is_the_average(tmp_path):
    # With one step from zero, the average lies behind the last value.
    after_one = run(tmp_path / "one", 1)
    assert after_one > 0
    assert run(tmp_path / "many", 12) < 2
