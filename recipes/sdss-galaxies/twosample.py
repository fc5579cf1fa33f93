"""Can a classifier tell two samples of templates apart?"""

import numpy as np
import torch
from critic import SOFT
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_predict
from torch import nn

EPOCHS, FOLDS = 12, 5


def forest(first: np.ndarray, second: np.ndarray, seed: int = 0) -> tuple[float, float, int]:
    """Accuracy of a random forest on measured numbers, its error, and N; cross-validated."""
    n = min(len(first), len(second))
    numbers, names = np.concatenate([first[:n], second[:n]]), np.repeat([0, 1], n)
    model = RandomForestClassifier(300, min_samples_leaf=3, random_state=seed)
    mixed = np.random.default_rng(seed).permutation(2 * n)
    given = cross_val_predict(model, numbers[mixed], names[mixed], cv=min(FOLDS, n))
    return _accuracy(given == names[mixed])


def pixels(first: np.ndarray, second: np.ndarray, seed: int = 0) -> tuple[float, float, int]:
    """The same of a small network on pictures (n, 3, side, side)."""
    n = min(len(first), len(second))
    light = torch.from_numpy(np.concatenate([first[:n], second[:n]])).float()
    maps = (light / SOFT).asinh() / 3
    names = torch.arange(2).repeat_interleave(n)
    generator = torch.Generator().manual_seed(seed)
    # Both samples are of the same galaxies' conditions, or not of the same at all: row i of both
    # is in the same fold.
    fold = torch.randperm(n, generator=generator).repeat(2) % min(FOLDS, n)
    right = torch.zeros(2 * n, dtype=torch.bool)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for k in range(min(FOLDS, n)):
            network = _learned(maps[fold != k], names[fold != k], generator)
            with torch.inference_mode():
                right[fold == k] = network(maps[fold == k]).argmax(1) == names[fold == k]
    return _accuracy(right.numpy())


def _learned(maps: torch.Tensor, names: torch.Tensor, generator: torch.Generator) -> nn.Module:
    def layer(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU()]

    network = nn.Sequential(
        *layer(3, 16), *layer(16, 32), *layer(32, 64), *layer(64, 64), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, 2),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    steps = EPOCHS * max(1, len(maps) // 32)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for _ in range(steps):
        chosen = torch.randint(len(maps), (min(32, len(maps)),), generator=generator)
        batch = maps[chosen]
        for axis in (2, 3):
            turned = torch.rand(len(batch), generator=generator) < 0.5
            batch[turned] = batch[turned].flip(axis)
        loss = nn.functional.cross_entropy(network(batch), names[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _accuracy(right: np.ndarray) -> tuple[float, float, int]:
    value = float(right.mean())
    return value, float(np.sqrt(max(value * (1 - value), 0.01) / len(right))), len(right)
