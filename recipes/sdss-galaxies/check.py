"""
How well the stretch is undone: linear frames made into pictures and back.

.. code-block:: console

    $ python recipes/sdss-galaxies/check.py SKY

``SKY`` is a folder with the SDSS frames in g, r and i of one field, and its photoObj catalogue.
Galaxies of the field are stretched, brought to 8 bits, compressed and resampled as Galaxy Zoo 2's
pictures were.
"""

import argparse
import io
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from linear import BANDS, SDSS, linear, undercut
from pictures import PETRO_R90
from PIL import Image
from scipy.ndimage import gaussian_filter

FRAME_PIXEL = 0.396  # arcsec
SIDE = 96
# Of the 424 pixels of Galaxy Zoo 2 the central 212 were averaged to 96.
FINER = 212 / 96
EDGES = np.geomspace(0.05, 51.2, 11)  # nanomaggies per square arcsecond


def stretched(light: np.ndarray, pixel: float, side: int = SIDE) -> np.ndarray:
    """
    A picture as Galaxy Zoo 2 has it, from a linear frame.

    Parameters
    ----------
    light : `~numpy.ndarray`, (3, n, n)
        g, r and i in nanomaggies per square arcsecond, pixels of 0.396 arcsec.
    pixel : float
        Pixel of the picture, arcsec.
    side : int
        Pixels of the picture, about the middle of ``light``.

    Returns
    -------
    picture : `~numpy.ndarray` of uint8, (side, side, 3)
        Stretched, compressed, resampled to 212 pixels, compressed, averaged to 96, compressed.
    """
    levels = np.moveaxis(SDSS.apply(light[None, ::-1])[0], 0, 2)
    picture = Image.fromarray(np.rint(255 * levels).astype(np.uint8))
    picture = _compressed(picture, 85)
    picture = _compressed(_resized(picture, pixel, side, FINER), 85)
    return np.asarray(_compressed(picture.resize((side, side), Image.Resampling.BOX), 95))


def resampled(light: np.ndarray, pixel: float, side: int = SIDE) -> np.ndarray:
    """Light of one band resampled as the pictures are, (side, side)."""
    image = _resized(Image.fromarray(np.asarray(light, np.float32)), pixel, side, FINER)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def _resized(image: Image.Image, pixel: float, side: int, finer: float) -> Image.Image:
    middle, half = image.width / 2, side * pixel / FRAME_PIXEL / 2
    box = (middle - half, middle - half, middle + half, middle + half)
    n = round(side * finer)
    return image.resize((n, n), Image.Resampling.BILINEAR, box=box)


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def read_frames(folder: Path) -> np.ndarray:
    """g, r and i of a field on the grid of r, whole pixels apart, nmgy/arcsec^2, (3, ny, nx)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        files = [fits.open(next(folder.glob(f"frame-{band}-*.fits.bz2"))) for band in BANDS]
        projections = [WCS(file[0].header) for file in files]
    middle = [[n / 2] for n in files[1][0].data.shape[::-1]]
    sky = projections[1].pixel_to_world_values(*middle)
    bands = []
    for file, projection in zip(files, projections, strict=True):
        x, y = projection.world_to_pixel_values(*sky)
        shift = (round(middle[1][0] - float(y[0])), round(middle[0][0] - float(x[0])))
        bands.append(np.roll(file[0].data, shift, (0, 1)) / FRAME_PIXEL**2)
        file.close()
    return np.array(bands, np.float32)


def field_galaxies(folder: Path) -> np.ndarray:
    """x, y (pixels of r), Petrosian magnitude and radii R50 and R90 (arcsec) in r, (n, 5)."""
    with fits.open(next(folder.glob("photoObj-*.fits"))) as file:
        rows = file[1].data
        rows = rows[(rows["objc_type"] == 3) & (rows["nchild"] == 0)]
        magnitude = 22.5 - 2.5 * np.log10(np.maximum(rows["petroflux"][:, 2], 1e-3))
        keys = ("colc", "rowc", "petroth50", "petroth90")
        x, y, r50, r90 = (rows[key][:, 2] for key in keys)
        return np.column_stack([x, y, magnitude, r50, r90])


def recovered(light: np.ndarray, pixel: float, noise: float) -> list[np.ndarray]:
    """True light, the same after stretch and back, and with what the black level took, r first."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    corner = np.hypot(x, y) > 48
    true = np.array([resampled(band, pixel) for band in light])
    back, _ = linear(stretched(light, pixel))
    true, back = (
        image - np.median(image[:, corner], axis=1)[:, None, None] for image in (true, back)
    )
    smooth = [gaussian_filter(band, 3) for band in back]
    more = [undercut(s, b, noise) for s, b in zip(smooth, BANDS, strict=True)]
    return [true, back, back + np.array(more)]


def robust(values: np.ndarray) -> str:
    """Median and scatter, with their number."""
    values = values[np.isfinite(values)]
    middle = np.median(values)
    return f"{middle:+.3f} +- {1.48 * np.median(np.abs(values - middle)):.3f}, N={len(values)}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sky", type=Path, help="folder of the frames and of photoObj")
    parser.add_argument("--magnitude", type=float, default=19.0, help="faintest galaxy, r")
    args = parser.parse_args()
    frames, galaxies = read_frames(args.sky), field_galaxies(args.sky)
    noise = 1.48 * float(np.median(np.abs(frames[1] - np.median(frames[1]))))
    galaxies = galaxies[(galaxies[:, 2] < args.magnitude) & (galaxies[:, 4] > 2.5)]
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    disc, shares, totals = np.hypot(x, y) < 1.5 * PETRO_R90, [], []
    for column, row, _, _, r90 in galaxies:
        pixel, middle = r90 / PETRO_R90, (round(float(row)), round(float(column)))
        half = int(SIDE / 2 * pixel / FRAME_PIXEL) + 4
        light = frames[:, *(slice(max(m - half, 0), m + half) for m in middle)]
        if light.shape[1:] != (2 * half, 2 * half):
            continue
        images = recovered(light, pixel, noise)
        smooth = [gaussian_filter(image[1], 1) for image in images]
        bins = np.digitize(smooth[0], EDGES) - 1
        rows = [[(s - smooth[0])[bins == k].sum() / smooth[0][bins == k].sum()
                 if (bins == k).sum() > 3 else np.nan for k in range(len(EDGES) - 1)]
                for s in smooth[1:]]  # fmt: skip
        shares.append(rows)
        sums = np.array([image[:, disc].sum(1) for image in images])
        totals.append(-2.5 * np.log10(np.maximum(sums[1:], 1e-9) / sums[0]))
    print(f"{len(totals)} galaxies; noise {noise:.3f} nmgy/arcsec^2 in r")
    for k, name in enumerate(("as it is", "with undercut")):
        print(f"{name}: light against nmgy/arcsec^2 in r, share off, scatter of the galaxies")
        for low, high, values in zip(EDGES, EDGES[1:], np.array(shares)[:, k].T, strict=False):
            if np.isfinite(values).sum() > 3:
                print(f"  {low:6.2f} to {high:6.2f}: {robust(values)}")
        for b, band in enumerate(BANDS):
            print(f"  magnitude within 1.5 R90 in {band}: {robust(np.array(totals)[:, k, b])}")
        colours = np.array(totals)[:, k]
        print(f"  g-r: {robust(colours[:, 0] - colours[:, 1])}")
        print(f"  r-i: {robust(colours[:, 1] - colours[:, 2])}")
    sky, above, white = (SDSS.inverse(level / 255) for level in (5, 6, 254))
    print(f"one level at the sky's is {above - sky:.4f}, white {white:.0f} nmgy/arcsec^2")


if __name__ == "__main__":
    main()
