"""Plain torch modules: on images of shape (n, c, ny, nx), and from noise to maps."""

from ._build import build
from ._density_maps import DensityMapNetwork
from ._galaxy_templates import GalaxyTemplateNetwork
from ._galaxy_zoo import GalaxyZooNetwork
from ._heads import HeadsNetwork
from ._novelty import Novelty
from ._timm import TimmNetwork
from ._vote_tree import GALAXY_ZOO_2, Question, VoteTree

__all__ = [
    "GALAXY_ZOO_2",
    "DensityMapNetwork",
    "GalaxyTemplateNetwork",
    "GalaxyZooNetwork",
    "HeadsNetwork",
    "Novelty",
    "Question",
    "TimmNetwork",
    "VoteTree",
    "build",
]
