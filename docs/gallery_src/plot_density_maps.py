"""
Density maps, simulated and emulated
====================================

Maps of the projected matter density as an N-body code gives them, and as
`~astrodlkit.cosmicweb.emulate_density_maps` draws them in a fraction of a second.
"""

# %%
# A box that the emulator has never seen: slabs of a simulation of 500 Mpc with 256 :sup:`3`
# particles, today. ``recipes/cosmicweb/example.py`` has written a few of its maps and
# the mean and scatter of the spectra of all 192.

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
from astropy.cosmology import FlatLambdaCDM, Planck18

from astrodlkit import emulate_density_maps
from astrodlkit.cosmicweb import plot_density_maps
from astrodlkit.metrics import power_spectrum


def flat(matter):
    like = {name: getattr(Planck18, name) for name in ("H0", "Tcmb0", "Neff", "Ob0")}
    return FlatLambdaCDM(Om0=matter, **like)


simulated = np.load("density_maps.npz")
matter, sigma8 = simulated["500mpc_cosmology"]
emulated = emulate_density_maps(48, cosmology=flat(matter), sigma8=sigma8, rng=1)

# %%
# Above two simulated maps, below two emulated ones, on one logarithmic scale. They have no
# structure in common: the emulator is given the cosmology, not the box.


def beside(simulated, emulated, title, empty, limits):
    figure, axes = plt.subplots(2, 2, figsize=(9, 9.2))
    for line, maps in zip(axes, (simulated, emulated[:2]), strict=True):
        for axis, values in zip(line, maps, strict=True):
            logs = np.log10(values.astype(float) + empty)
            axis.imshow(logs, vmin=limits[0], vmax=limits[1], cmap="magma", origin="lower")
            axis.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("simulated")
    axes[1, 0].set_ylabel("emulated")
    figure.suptitle(title)
    figure.tight_layout()
    plt.show()


title = f"500 Mpc, matter density {matter:.3f}, sigma8 {sigma8:.3f}, z = 0"
beside(simulated["500mpc_maps"], emulated.data, title, empty=0.05, limits=(-1, 1.3))

# %%
# Their spectra: mean and, as bands, the scatter from map to map.

bins = simulated["500mpc_bins"] / u.Mpc
spectrum = power_spectrum(emulated, bins=bins)
power = spectrum.power.value
figure, (above, below) = plt.subplots(2, sharex=True, figsize=(7, 6), height_ratios=(2, 1))
k, mean, scatter = (simulated[f"500mpc_{name}"] for name in ("k", "power", "scatter"))
for x, middle, width, name in (
    (k, mean, scatter, "simulated"),
    (spectrum.k.value, power.mean(0), power.std(0), "emulated"),
):
    (line,) = above.loglog(x, middle, label=name)
    above.fill_between(x, middle - width, middle + width, color=line.get_color(), alpha=0.2)
    below.plot(x, middle / mean, color=line.get_color())
    below.fill_between(
        x, (middle - width) / mean, (middle + width) / mean, color=line.get_color(), alpha=0.2
    )
above.set(ylabel="P(k), Mpc$^2$")
above.legend()
below.set(xlabel="k, 1/Mpc", ylabel="ratio", ylim=(0.5, 1.5))
figure.tight_layout()
plt.show()

# %%
# The same for the smaller scale, 256 pixels for 100 Mpc, in slabs of 3.1 Mpc.

matter, sigma8 = simulated["100mpc_cosmology"]
emulated = emulate_density_maps(
    2, box_size=100 * u.Mpc, cosmology=flat(matter), sigma8=sigma8, rng=1
)
title = f"100 Mpc, matter density {matter:.3f}, sigma8 {sigma8:.3f}, z = 0"
beside(simulated["100mpc_maps"], emulated.data, title, empty=0.02, limits=(-1.5, 1.8))

# %%
# One seed through five cosmologies: the same structure, more or less evolved. What
# differs between two such maps is what the cosmology does.

figure, axes = plt.subplots(1, 5, figsize=(15, 3.3))
for axis, (matter, sigma8) in zip(
    axes, ((0.2, 0.8), (0.31, 0.65), (0.31, 0.8), (0.31, 0.95), (0.45, 0.8)), strict=True
):
    maps = emulate_density_maps(
        box_size=250 * u.Mpc, shape=(128, 128), cosmology=flat(matter), sigma8=sigma8, rng=3
    )
    axis.imshow(np.log10(maps.data[0] + 0.05), vmin=-1, vmax=1.3, cmap="magma", origin="lower")
    axis.set(xticks=[], yticks=[], title=f"$\\Omega_m$ {matter}, $\\sigma_8$ {sigma8}")
figure.tight_layout()
plt.show()

# %%
# The package draws its own maps with `~astrodlkit.cosmicweb.plot_density_maps`, here through
# time.

for redshift in (2, 1, 0):
    maps = emulate_density_maps(2, redshift=redshift, rng=3)
    plot_density_maps(maps, figure=plt.figure())
    plt.show()
