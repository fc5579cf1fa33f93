"""Maps of the projected matter density for a cosmology."""

from ._emulate import emulate_density_maps
from ._emulator import DensityMapEmulator
from ._figure import plot_density_maps
from ._read import read_density_maps

__all__ = [
    "DensityMapEmulator",
    "emulate_density_maps",
    "plot_density_maps",
    "read_density_maps",
]
