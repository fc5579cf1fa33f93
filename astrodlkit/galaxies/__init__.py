"""Pictures of galaxies for a catalogue, with the structure of real ones."""

from ._noise import NoiseModel
from ._simulate import simulate_galaxies
from ._simulator import GalaxySimulator

__all__ = ["GalaxySimulator", "NoiseModel", "simulate_galaxies"]
