"""Pretrained models: their cards, their weights, and where both are found."""

from ._card import ModelCard
from ._load import load_model
from ._parts import Figure, Licence, Training, Weights
from ._registry import describe_model, list_models
from ._save import save_model
from ._weights import read_weights, write_weights

__all__ = [
    "Figure",
    "Licence",
    "ModelCard",
    "Training",
    "Weights",
    "describe_model",
    "list_models",
    "load_model",
    "read_weights",
    "save_model",
    "write_weights",
]
