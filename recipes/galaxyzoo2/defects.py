"""Stamps that are not what the network was trained on: from a real sky, and drawn."""

import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import Table
from astropy.wcs import FITSFixedWarning
from scipy.ndimage import affine_transform

from astrodlkit import Cutouts, extract_cutouts
from astrodlkit.specs import InputSpec, LuptonStretch

BANDS = ("red", "green", "blue")


class Sky:
    """One SDSS field in three bands and its catalogue, and stamps of what is in it."""

    def __init__(self, folder: Path, spec: InputSpec) -> None:
        self.spec = spec
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            self.frames = {
                band: CCDData.read(folder / f"frame-{band}-000094-1-0012.fits.bz2", unit=u.nmgy)
                for band in spec.bands
            }
        sdss = Table.read(folder / "photoObj-000094-1-0012.fits")
        sdss = sdss[sdss["NCHILD"] == 0]
        self.catalogue = Table(
            {
                "position": SkyCoord(sdss["RA"], sdss["DEC"], unit="deg"),
                "star": sdss["OBJC_TYPE"] == 6,
                "r": 22.5 - 2.5 * np.log10(np.maximum(sdss["CMODELFLUX"][:, 2], 1e-3)),
                "width": spec.width * np.array(sdss["PETROTH90"][:, 2]),
            }
        )

    def cut(self, positions: SkyCoord, widths: np.ndarray) -> Cutouts:
        """Stamps of given widths in arcsec; without those that reach off the field."""
        cutouts = extract_cutouts(
            self.frames,
            positions,
            widths * u.arcsec,
            shape=self.spec.shape,
            conserve="flux",
            bands=self.spec.bands,
        )
        return cutouts[~cutouts.mask.any(axis=(1, 2, 3))]

    def sources(self, *, star: bool, faintest: float, factor: float = 1.0) -> Cutouts:
        """Stamps of stars or galaxies, ``factor`` times as wide as the catalogue says."""
        rows = self.catalogue[(self.catalogue["star"] == star) & (self.catalogue["r"] < faintest)]
        return self.cut(rows["position"], factor * np.array(rows["width"]))

    def blank(self, n: int, rng: np.random.Generator) -> Cutouts:
        """Stamps of galaxies' widths with nothing brighter than r = 22.5 in them."""
        ny, nx = self.frames["r"].shape
        widths = np.exp(rng.uniform(np.log(15), np.log(45), 20 * n))
        x, y = rng.uniform(0, nx, 20 * n), rng.uniform(0, ny, 20 * n)
        positions = self.frames["r"].wcs.pixel_to_world(x, y)
        sources = self.catalogue["position"][self.catalogue["r"] < 22.5]
        _, distance, _ = positions.match_to_catalog_sky(sources)
        free = distance.arcsec > widths / np.sqrt(2)
        return self.cut(positions[free][:n], widths[free][:n])


def pictures_of(cutouts: Cutouts, spec: InputSpec) -> np.ndarray:
    """Stamps of the sky as pictures, between 0 and 1, shape (n, 3, ny, nx)."""
    images, _ = spec.prepare(cutouts)
    mean, std = (np.array(a, dtype=np.float32)[:, None, None] for a in (spec.mean, spec.std))
    return images * std + mean


def as_cutouts(pictures: np.ndarray, mask: np.ndarray | None = None) -> Cutouts:
    """Pictures between 0 and 1 as a user has them."""
    pictures = np.round(255 * np.clip(pictures, 0, 1)).astype(np.float32)
    return Cutouts(pictures, mask=mask, bands=BANDS)


def add_light(pictures: np.ndarray, light: np.ndarray, stretch: LuptonStretch) -> np.ndarray:
    """Pictures with light added to what they showed before the stretch."""
    # Lupton et al.'s constants: slope 0.1 at the origin.
    slope = 0.1 / np.arcsinh(0.1 * stretch.Q)
    level = np.maximum(pictures.mean(1, keepdims=True), 1e-4)
    linear = pictures / level * stretch.stretch / stretch.Q * np.sinh(level / slope) + light
    grey = np.maximum(linear.mean(1, keepdims=True), 1e-8)
    shown = linear / grey * slope * np.arcsinh(stretch.Q * grey / stretch.stretch)
    return shown / np.maximum(shown.max(1, keepdims=True), 1)


def _brightness(stretch: LuptonStretch, levels: np.ndarray) -> np.ndarray:
    """The light above the sky that is shown as given grey levels, shape (n, 1, 1)."""
    return np.array([stretch.inverse(x) - stretch.minimum for x in levels])[:, None, None]


def trails(pictures: np.ndarray, stretch: LuptonStretch, rng: np.random.Generator) -> np.ndarray:
    """
    A satellite's trail through each picture.

    In half of them in one channel, as in a survey that takes its bands one
    after the other; in the others in all of them.
    """
    n, _, ny, nx = pictures.shape
    y, x = np.mgrid[:ny, :nx] - (ny - 1) / 2
    angle, offset = rng.uniform(0, np.pi, n), rng.uniform(-0.2, 0.2, n) * nx
    away = (
        np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y - offset[:, None, None]
    )
    width = rng.uniform(1.5, 4.0, n)[:, None, None]
    colour = np.ones((n, 3))
    single = rng.random(n) < 0.5
    colour[single] = np.eye(3)[rng.integers(3, size=single.sum())]
    light = _brightness(stretch, rng.uniform(0.3, 0.9, n)) * np.exp(-0.5 * (away / width) ** 2)
    return add_light(pictures, light[:, None] * colour[:, :, None, None], stretch)


def spikes(pictures: np.ndarray, stretch: LuptonStretch, rng: np.random.Generator) -> np.ndarray:
    """
    A bright star with four spikes over each picture.

    In half of them the star is in the middle; in the others it is outside and a
    spike runs through the middle.
    """
    n, _, ny, nx = pictures.shape
    y, x = np.mgrid[:ny, :nx] - (ny - 1) / 2
    angle = rng.uniform(0, 2 * np.pi, (n, 1, 1))
    inside = rng.random((n, 1, 1)) < 0.5
    away = np.where(inside, rng.uniform(-0.05, 0.05, (n, 1, 1)), rng.uniform(0.6, 1.2, (n, 1, 1)))
    along = np.cos(angle) * x + np.sin(angle) * y + away * nx
    across = np.cos(angle) * y - np.sin(angle) * x + rng.uniform(-4, 4, (n, 1, 1))
    seeing = rng.uniform(2.5, 5, (n, 1, 1))
    cross = sum(
        np.exp(-0.5 * (one / seeing) ** 2) / (1 + (other / (6 * seeing)) ** 2)
        for one, other in ((along, across), (across, along))
    )
    star = (1 + (along**2 + across**2) / (2 * seeing) ** 2) ** -2.5
    # The brightness of the spike in the middle, or a quarter of the picture from it.
    reach = np.where(inside, 0.25, away) * nx
    wanted = _brightness(stretch, rng.uniform(0.25, 0.65, n))
    light = wanted * (1 + (reach / (6 * seeing)) ** 2) * (cross + 20 * star)
    colour = rng.uniform(0.7, 1.3, (n, 3, 1, 1))
    return add_light(pictures, light[:, None] * colour, stretch)


def half_masked(pictures: np.ndarray, rng: np.random.Generator) -> Cutouts:
    """Pictures with the mask of one side set, some 35 to 65 per cent of the pixels."""
    n, _, ny, nx = pictures.shape
    y, x = np.mgrid[:ny, :nx] - (ny - 1) / 2
    # The edge of a detector is parallel to the pixels unless the stamp was turned.
    angle = np.where(
        rng.random(n) < 0.5, rng.integers(4, size=n) * np.pi / 2, rng.uniform(0, 2 * np.pi, n)
    )
    side = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    mask = side > rng.uniform(-0.15, 0.15, (n, 1, 1)) * nx
    return as_cutouts(pictures, np.repeat(mask[:, None], 3, axis=1))


def too_narrow(pictures: np.ndarray) -> np.ndarray:
    """The middle third of each picture, blown up."""
    ny, nx = pictures.shape[2:]
    offset = (np.array([ny, nx]) - 1) / 3
    return np.array(
        [
            [affine_transform(channel, np.eye(2) / 3, offset, order=1) for channel in picture]
            for picture in pictures
        ]
    )


def too_wide(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each picture a third as wide, in sky made of pieces of its own corners."""
    n, channels, ny, nx = pictures.shape
    side = ny // 4
    fields = np.empty((n, channels, 3 * ny, 3 * nx), np.float32)
    fade = np.minimum(np.arange(ny), np.arange(ny)[::-1]) / 8
    fade = np.clip(np.minimum(fade[:, None], fade), 0, 1)
    for picture, field in zip(pictures, fields, strict=True):
        corners = [
            picture[:, y, x]
            for y in (slice(side), slice(-side, None))
            for x in (slice(side), slice(-side, None))
        ]
        corners = sorted(corners, key=np.mean)[:2]
        for y in range(0, 3 * ny, side):
            for x in range(0, 3 * nx, side):
                piece = corners[rng.integers(2)]
                piece = np.rot90(piece, rng.integers(4), (1, 2))[:, :, :: rng.choice([-1, 1])]
                field[:, y : y + side, x : x + side] = piece
        middle = field[:, ny : 2 * ny, nx : 2 * nx]
        middle += fade * (picture - middle)
    return fields.reshape(n, channels, ny, 3, nx, 3).mean((3, 5))
