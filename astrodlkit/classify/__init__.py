"""Morphological classification of the sources of a table."""

from ._classifier import CutoutClassifier
from ._classify import classify_cutouts
from ._ensemble import ClassifierEnsemble
from ._gallery import plot_gallery
from ._similar import find_similar

__all__ = [
    "ClassifierEnsemble",
    "CutoutClassifier",
    "classify_cutouts",
    "find_similar",
    "plot_gallery",
]
