"""A classifier small enough to be asked thousands of times, and pictures to show it."""

import numpy as np
import pytest
import torch
from torch import nn

from astrodlkit import CutoutClassifier, ModelCard
from astrodlkit.networks import GALAXY_ZOO_2, VoteTree
from astrodlkit.specs import Head, InputSpec, LuptonStretch, OutputSpec

CLASSES = ("completely_round", "in_between", "cigar_shaped", "edge_on", "spiral")


class SmallNetwork(nn.Module):
    """Votes and classes from a few convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 5, stride=3)
        self.tree = VoteTree(GALAXY_ZOO_2)
        self.votes = nn.Linear(8 * 16, 37)
        self.classes = nn.Linear(37, 5)
        # Wide enough for the answers to differ from galaxy to galaxy.
        nn.init.normal_(self.votes.weight, std=0.5)
        nn.init.normal_(self.classes.weight, std=4.0)

    def features(self, images):
        features = self.convolution(images).relu()
        return nn.functional.adaptive_avg_pool2d(features, 4).flatten(1).float()

    def forward(self, images):
        votes = self.tree(self.votes(self.features(images)))
        return {"votes": votes, "class": self.classes(votes).softmax(dim=1)}


def make_card(**changes):
    heads = (
        Head(name="votes", kind="fractions", labels=VoteTree(GALAXY_ZOO_2).columns),
        Head(name="class", kind="classes", labels=CLASSES),
    )
    values = {
        "name": "small",
        "tag": "v1",
        "title": "A network of random numbers",
        "task": "classify",
        "architecture": "galaxy-zoo",
        "input": InputSpec(
            bands=("i", "r", "g"),
            shape=(32, 32),
            mean=(0.2, 0.2, 0.2),
            std=(0.2, 0.2, 0.2),
            stretch=LuptonStretch(stretch=0.5, Q=5.0),
            width=4.24,
        ),
        "output": OutputSpec(heads=heads),
    }
    return ModelCard(**(values | changes))


@pytest.fixture(scope="session")
def classifier():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return CutoutClassifier(make_card(), SmallNetwork(), device="cpu")


@pytest.fixture(scope="session")
def columns():
    """Names of the columns of a result, in order."""
    return (*VoteTree(GALAXY_ZOO_2).columns, "class", "class_probability", "flags")


@pytest.fixture(scope="session")
def pictures():
    """Surface brightness of 12 galaxies in three bands, in nmgy / arcsec2."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    stamps = []
    for _ in range(12):
        angle, ratio, width = rng.uniform((0, 0.2, 0.1), (np.pi, 1, 0.5))
        major = x * np.cos(angle) + y * np.sin(angle)
        minor = y * np.cos(angle) - x * np.sin(angle)
        profile = np.exp(-np.hypot(major, minor / ratio) / width)
        colour = rng.uniform(0.2, 2, (3, 1, 1))
        stamps.append(colour * profile + rng.normal(0, 0.02, (3, 32, 32)))
    return np.array(stamps)
