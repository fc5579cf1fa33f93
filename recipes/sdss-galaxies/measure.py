"""What a galaxy looks like in numbers, and its template of unit flux."""

import warnings

import numpy as np
import torch
from clean import Lone
from scipy.ndimage import affine_transform, gaussian_filter
from seeing import pixel
from statmorph import SourceMorphology

from astrodlkit.networks._petrosian import petrosian_fade

SIDE, HALF_LIGHT = 80, 9.0  # pixels of a template, and of its half-light radius
# statmorph's names of what is kept, all in the r band; radii in pixels of the picture.
QUANTITIES = {
    "concentration": "concentration",
    "asymmetry": "asymmetry",
    "smoothness": "smoothness",
    "gini": "gini",
    "m20": "m20",
    "sersic_index": "sersic_n",
    "sersic_radius": "sersic_rhalf",
    "r20": "r20",
    "r80": "r80",
    "petrosian_radius": "rpetro_ellip",
    "half_light_radius": "rhalf_circ",
    "signal_to_noise": "sn_per_pixel",
    "shape_asymmetry": "shape_asymmetry",
    "flag": "flag",
    "flag_sersic": "flag_sersic",
}


def morphology(lone: Lone) -> dict[str, float]:
    """
    Measure a galaxy in r with statmorph.

    Returns
    -------
    dict
        `QUANTITIES`; ``axis_ratio`` and ``angle`` (degrees, counterclockwise from +x), both from
        moments; ``x``, ``y``, the centre of least asymmetry; ``flux``, nanomaggies, within two
        Petrosian radii; ``g_r``, ``r_i``, AB colours within one.
    """
    r = lone.light[1]
    # Light above the sky is no better known than to a level of 8 bits.
    error = np.hypot(lone.noise[1], 0.02 * np.maximum(gaussian_filter(r, 1), 0))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = SourceMorphology(
            r.astype(float), lone.segment.astype(int), 1, weightmap=error,
            sersic_model_args={"bounds": {"n": (0.2, 8.0), "ellip": (0, 0.95)}},
            sersic_maxiter=120,
        )  # fmt: skip
    values = {name: float(getattr(found, key)) for name, key in QUANTITIES.items()}
    values["axis_ratio"] = 1 / float(found.elongation_asymmetry)
    values["angle"] = float(np.degrees(found.orientation_asymmetry))
    values["x"], values["y"] = float(found.xc_asymmetry), float(found.yc_asymmetry)
    reach = _elliptic_radius(r.shape, values)
    near = reach < values["petrosian_radius"]
    g, r_sum, i = (max(float(band[near].sum()), 1e-9) for band in lone.light)
    values["g_r"], values["r_i"] = -2.5 * np.log10(g / r_sum), -2.5 * np.log10(r_sum / i)
    # How much of the ellipse of 1.1 Petrosian radii is in the picture.
    whole = np.pi * (1.1 * values["petrosian_radius"]) ** 2 * values["axis_ratio"]
    values["inside"] = float((reach < 1.1 * values["petrosian_radius"]).sum() / whole)
    values["flux"] = float(r[reach < 2 * values["petrosian_radius"]].sum()) * pixel(lone.fwhm) ** 2
    # As SDSS has it: within circles.
    reach_90 = 2 * float(found.rpetro_circ)
    values["petro_r90"] = growth(r, (values["y"], values["x"]), 0.9, reach_90)
    return values


def _elliptic_radius(shape: tuple[int, ...], values: dict[str, float]) -> np.ndarray:
    """Distance of each pixel along the major axis, (ny, nx)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    dy, dx = y - values["y"], x - values["x"]
    c, s = np.cos(np.radians(values["angle"])), np.sin(np.radians(values["angle"]))
    return np.hypot(c * dx + s * dy, (c * dy - s * dx) / max(values["axis_ratio"], 0.05))


def growth(
    image: np.ndarray, centre: tuple[float, float], share: float, reach: float = np.inf
) -> float:
    """Radius of the circle with a share of the light within ``reach``, in pixels."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    radius = np.hypot(y - centre[0], x - centre[1]).ravel()
    order = np.argsort(radius)
    curve = np.cumsum(image.ravel()[order][radius[order] < reach])
    # The circle that is as large as the pixels that are nearer.
    return float(np.interp(share, curve / curve[-1], np.sqrt((np.arange(len(curve)) + 1) / np.pi)))


def template(lone: Lone, values: dict[str, float]) -> tuple[np.ndarray, float, float]:
    """
    The galaxy of unit flux in r, its half-light radius `HALF_LIGHT`, its major axis along x.

    Returns
    -------
    stamp : `~numpy.ndarray` of float32, (3, SIDE, SIDE)
        g, r and i; the sum over r is 1. Beyond the galaxy's end it fades to nothing.
    zoom : float
        Pixels of the picture in one of the template.
    noise : float
        Standard deviation of the sky in r, in the template's unit.
    """
    # Where the galaxy ends: the sky beyond is noise.
    radius = torch.from_numpy(_elliptic_radius(lone.segment.shape, values))
    reach = torch.tensor([values["petrosian_radius"]], dtype=radius.dtype)
    fade = petrosian_fade(radius[None], reach)[0].numpy()
    light = lone.light * fade
    zoom, middle = values["half_light_radius"] / HALF_LIGHT, (SIDE - 1) / 2
    c, s = np.cos(np.radians(values["angle"])), np.sin(np.radians(values["angle"]))
    for _ in range(4):
        matrix = zoom * np.array([[c, s], [-s, c]])
        offset = np.array([values["y"], values["x"]]) - matrix @ [middle, middle]
        blur = 0.5 * np.sqrt(max(zoom**2 - 1, 0))
        stamp = np.array(
            [
                affine_transform(gaussian_filter(b, blur) if blur > 0.2 else b, matrix, offset,
                                 (SIDE, SIDE), order=3)
                for b in light
            ]
        )  # fmt: skip
        radius = growth(stamp[1], (middle, middle), 0.5)
        if abs(radius / HALF_LIGHT - 1) < 0.002:
            break
        zoom *= radius / HALF_LIGHT
    total = float(stamp[1].sum())
    return (stamp / total).astype(np.float32), float(zoom), float(lone.noise[1]) / total


def seeing(lone: Lone, zoom: float) -> float:
    """Full width at half maximum of the template's PSF in half-light radii."""
    return lone.fwhm / (zoom * HALF_LIGHT)
