"""
Mock galaxies of every kind
===========================

What `~astrodlkit.galaxies.simulate_galaxies` draws: galaxies of each class, others of the same
row, what lies between two of them, and what a survey sees.
"""

# %%
# Eight galaxies of each class. Sizes and shapes follow from the class; so do colours, bars and
# arms, which are drawn from the galaxies that the network was trained on.

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.table import QTable, vstack

from astrodlkit import Cutouts, load_model, simulate_galaxies
from astrodlkit.galaxies import NoiseModel, plot_cutouts

CLASSES = ("completely_round", "in_between", "cigar_shaped", "edge_on", "spiral")
BANDS, N = ("g", "r", "i"), 8
near = {"psf": 0.5 * u.arcsec, "pixel_scale": 0.25 * u.arcsec, "shape": 96, "bands": BANDS}

table = QTable({"class": np.repeat(CLASSES, N)})
table["mag"] = 17.0
table["half_light_radius"] = 3 * u.arcsec
every = simulate_galaxies(table, rng=1, **near)
plot_cutouts(every, n_columns=N, figure=plt.figure())
plt.show()

# %%
# From above: completely round, in between, cigar-shaped, edge-on, spiral. A catalogue that says
# more gets what it says. Below, one row eight times, everything given: what is left
# to chance is where arms and clumps lie.

simulator = load_model("sdss-galaxies")
complete = simulator.complete(table, rng=1)
wanted = QTable(complete[np.flatnonzero(complete["class_spiral"] == 1)[:1]])
wanted.remove_column("latent")
same = simulate_galaxies(vstack([wanted] * N), rng=2, **near)
plot_cutouts(same, n_columns=N, figure=plt.figure())
plt.show()

# %%
# From one galaxy to another: the templates on the way between a round galaxy and a spiral.

way = simulator.interpolate(complete[[0, -1]], n=N - 1)
plot_cutouts(Cutouts(way, bands=BANDS), n_columns=N, figure=plt.figure())
plt.show()

# %%
# The galaxies of the first picture as a deep survey from the ground sees them: seven times smaller,
# of magnitude 22, with its PSF and its noise.

far = table.copy()
far["mag"], far["half_light_radius"] = 22.0, 0.45 * u.arcsec
noise = NoiseModel(sky_level=2 * u.uJy / u.arcsec**2, gain=500 * u.electron / u.nJy)
deep = simulate_galaxies(
    far, psf=0.7 * u.arcsec, pixel_scale=0.2 * u.arcsec, shape=32, bands=BANDS, noise=noise, rng=1
)
plot_cutouts(deep, n_columns=N, figure=plt.figure())
plt.show()

# %%
# How near they come to real ones, and what they are not for, is in :ref:`mock_galaxies`.
