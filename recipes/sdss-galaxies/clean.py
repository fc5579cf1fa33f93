"""From the light of a picture to one galaxy alone: bands in register, no sky, no neighbours."""

from dataclasses import dataclass

import numpy as np
from linear import BANDS, linear, undercut
from photutils.segmentation import SegmentationImage, deblend_sources, detect_sources
from scipy.ndimage import (
    binary_dilation,
    gaussian_filter,
    grey_closing,
    map_coordinates,
    shift,
)
from seeing import empty_rim, width
from skimage.registration import phase_cross_correlation

# Bands that are further apart are refused, in pixels; SDSS's pictures show them as fringes.
APART = 3.0
# A part of the galaxy's segment with this share of its light and a peak of its own, and so many
# times as bright as what is across the centre, is a neighbour.
CONTRAST, ALONE = 0.005, 3.0


@dataclass
class Lone:
    """
    A galaxy alone.

    Attributes
    ----------
    light : `~numpy.ndarray`, (3, side, side)
        g, r and i above the sky, nanomaggies per square arcsecond; neighbours are filled in.
    segment : `~numpy.ndarray` of bool, (side, side)
        Where the galaxy is.
    noise : `~numpy.ndarray`, (3,)
        Standard deviation of the sky.
    fwhm : float
        Width of the PSF in pixels.
    filled : float
        Share of the light in r that was filled in.
    neighbour : float
        Light of the brightest neighbour that touches the galaxy, over the galaxy's; twice
        that if it touches the brighter half.
    saturated : float
        Share of the light in pixels as bright as the picture can show.
    border : float
        Share of the light that falls on the two outermost pixels.
    apart : float
        How far the bands were from each other, in pixels.
    """

    light: np.ndarray
    segment: np.ndarray
    noise: np.ndarray
    fwhm: float
    filled: float
    neighbour: float
    saturated: float
    border: float
    apart: float


def alone(picture: np.ndarray, *, efigi: bool = False) -> Lone | None:
    """The galaxy in the middle of a picture, or None where there is none."""
    light, saturated = linear(picture, efigi=efigi)
    side = light.shape[1]
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    empty = empty_rim(light[1])
    # Pixels beside a source are not sky.
    bright = gaussian_filter(light[1], 1) > light[1][empty].mean() + 3 * light[1][empty].std()
    empty &= ~binary_dilation(bright, iterations=2)
    if empty.sum() < 200:
        return None
    fwhm = width(light[1], empty, efigi=efigi)
    light = light - np.array([band[empty].mean() for band in light])[:, None, None]
    noise = np.array([band[empty].std() for band in light])
    light, apart = _in_register(light)
    both = (light / noise[:, None, None] ** 2).sum(0)
    light, both = _without_dark_lines(light, both, 8 * float(both[empty].std()))
    smooth = gaussian_filter(both, 1.2)
    sources = detect_sources(smooth, 2.5 * smooth[empty].std() + smooth[empty].mean(), 10)
    if sources is None:
        return None
    # The galaxy is what the middle belongs to, or what is nearest to it.
    distance = np.where(sources.data > 0, np.hypot(x, y), np.inf)
    centre = np.unravel_index(distance.argmin(), distance.shape)
    label = sources.data[centre]
    if distance.min() > 0.06 * side:
        return None
    segment = sources.data == label
    mask = binary_dilation((sources.data > 0) & ~segment, iterations=2) & ~segment
    parts = deblend_sources(
        smooth, SegmentationImage(segment.astype(int)), 10, n_levels=24, contrast=CONTRAST,
        progress_bar=False,
    ).data  # fmt: skip
    near = np.where(np.hypot(x, y) < 0.06 * side, np.where(parts > 0, smooth, -np.inf), -np.inf)
    main = parts[np.unravel_index(near.argmax(), near.shape)]
    own = parts == main
    # Arms and knots have a counterpart on the other side; stars and neighbours have none.
    across = _turned(smooth, smooth, own)
    touching = 0.0
    for part in np.unique(parts[segment & ~own]):
        here = parts == part
        if smooth[here].sum() > ALONE * np.maximum(across[here], 0).sum():
            inside = (here & binary_dilation(_core(own, smooth), iterations=2)).any()
            touching = max(touching, (2 if inside else 1) * both[here].sum() / both[own].sum())
            mask |= binary_dilation(here, iterations=1) & ~_core(own, smooth)
    segment = segment & ~mask
    if not efigi:
        soft = binary_dilation(segment, iterations=3)
        faint = np.array([gaussian_filter(band, 3) for band in light])
        light = light + soft * np.array([undercut(f, b) for f, b in zip(faint, BANDS, strict=True)])
    filled = _filled(light, mask, smooth, segment)
    total = np.maximum(filled[1], 0)[segment | mask].sum()
    edge = segment.copy()
    edge[2:-2, 2:-2] = False
    return Lone(
        light=filled,
        segment=segment | (mask & _turned(segment, smooth, segment)),
        noise=noise,
        fwhm=fwhm,
        filled=float(np.maximum(filled[1], 0)[mask & binary_dilation(segment, iterations=3)].sum()
                     / max(total, 1e-6)),
        neighbour=float(touching),
        saturated=float(light[1][saturated & segment].sum() / max(total, 1e-6)),
        border=float(np.maximum(filled[1], 0)[edge].sum() / max(total, 1e-6)),
        apart=apart,
    )  # fmt: skip


def _core(segment: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """The brighter half of the galaxy's pixels, which no neighbour's rim may cut into."""
    return segment & (smooth > np.median(smooth[segment]))


def _without_dark_lines(
    light: np.ndarray, both: np.ndarray, bright: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lines where SDSS had no data, one or two pixels wide, filled from both sides."""
    around = grey_closing(both, footprint=np.ones((5, 5)))
    dark = (both < 0.55 * around) & (around > bright)
    dark = binary_dilation(dark)
    if not dark.any() or dark.mean() > 0.05:
        return light, both
    weight = gaussian_filter((~dark).astype(float), 1.2)
    values = [np.where(dark, gaussian_filter(np.where(dark, 0, b), 1.2) / np.maximum(weight, 1e-3),
                       b) for b in (*light, both)]  # fmt: skip
    return np.array(values[:3]), values[3]


def _in_register(light: np.ndarray) -> tuple[np.ndarray, float]:
    """Move g and i onto r; returns also by how much at most."""
    side = light.shape[1]
    inner = slice(side // 4, side - side // 4)
    root = np.sqrt(np.maximum([gaussian_filter(band, 1) for band in light], 0))[:, inner, inner]
    moved, apart = [light[1]], 0.0
    for band in (0, 2):
        offset, _, _ = phase_cross_correlation(
            root[1], root[band], upsample_factor=10, normalization=None
        )
        far = float(np.hypot(*offset))
        apart = max(apart, far)
        if 0.2 < far <= APART:
            moved.append(shift(light[band], offset, order=3, mode="nearest"))
        else:
            moved.append(light[band])
    return np.array([moved[1], moved[0], moved[2]]), apart


def _centre(smooth: np.ndarray, segment: np.ndarray) -> tuple[float, float]:
    """Centroid of the brightest fifth of the galaxy's pixels, (y, x)."""
    bright = segment & (smooth >= np.quantile(smooth[segment], 0.8))
    y, x = np.nonzero(bright)
    weight = smooth[bright]
    return float((weight * y).sum() / weight.sum()), float((weight * x).sum() / weight.sum())


def _turned(values: np.ndarray, smooth: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Values turned by 180 degrees about the galaxy's centre; beyond the picture there is 0."""
    cy, cx = _centre(smooth, segment)
    y, x = np.mgrid[: len(values), : len(values)]
    turned = map_coordinates(values.astype(float), [2 * cy - y, 2 * cx - x], order=1)
    return turned > 0.5 if values.dtype == bool else turned


def _filled(
    light: np.ndarray, mask: np.ndarray, smooth: np.ndarray, segment: np.ndarray
) -> np.ndarray:
    """Masked pixels from the other side of the galaxy, or else from their ring."""
    cy, cx = _centre(smooth, segment)
    y, x = np.mgrid[: len(mask), : len(mask)]
    ring = np.hypot(y - cy, x - cx).astype(int)
    clean = mask & ~_turned(mask, smooth, segment)
    rest = mask & ~clean
    filled = light.copy()
    for band, turned in zip(filled, [_turned(b, smooth, segment) for b in light], strict=True):
        band[clean] = turned[clean]
        for r in np.unique(ring[rest]):
            here = (ring == r) & ~mask
            band[rest & (ring == r)] = np.median(band[here]) if here.sum() > 3 else 0
    return filled
