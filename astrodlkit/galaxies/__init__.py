"""Pictures of galaxies for a catalogue, with the structure of real ones."""

from ._figure import plot_cutouts
from ._insert import insert_cutouts
from ._noise import NoiseModel
from ._simulate import simulate_galaxies
from ._simulator import GalaxySimulator

__all__ = ["GalaxySimulator", "NoiseModel", "insert_cutouts", "plot_cutouts", "simulate_galaxies"]
