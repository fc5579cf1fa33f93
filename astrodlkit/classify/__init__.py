"""Morphological classification of the sources of a table."""

from ._classifier import CutoutClassifier
from ._classify import classify_cutouts
from ._ensemble import ClassifierEnsemble
from ._gallery import plot_gallery

__all__ = ["ClassifierEnsemble", "CutoutClassifier", "classify_cutouts", "plot_gallery"]
