"""
How many times other measures of size the Petrosian-90 radius is, on an SDSS frame.

Needs the frame and the catalogue of run 94, camcol 1, field 12, in the folder that is
given. Prints the medians over the galaxies brighter than r = 19, with their quartiles.
"""

import argparse
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import QTable
from astropy.wcs import FITSFixedWarning

from astrodlkit.cli._detect import detect

SCALE = 0.396  # arcsec


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        frame = CCDData.read(folder / "frame-r-000094-1-0012.fits.bz2", unit="nmgy")
    sdss = QTable.read(folder / "photoObj-000094-1-0012.fits")
    magnitude = 22.5 - 2.5 * np.log10(np.maximum(sdss["CMODELFLUX"][:, 2], 1e-3))
    sdss = sdss[(sdss["OBJC_TYPE"] == 3) & (sdss["NCHILD"] == 0) & (magnitude < 19)]
    sky = SkyCoord(sdss["RA"], sdss["DEC"], unit="deg")
    for threshold in (1.5, 5.0):
        sources = detect(frame, threshold=threshold)
        nearest, distance, _ = sky.match_to_catalog_sky(sources["sky_centroid"])
        found = distance < 2 * u.arcsec
        source, galaxy = sources[nearest[found]], sdss[found]
        r90 = galaxy["PETROTH90"][:, 2] / SCALE
        # The names before and since photutils 3.
        axis = "semimajor_axis" if "semimajor_axis" in source.colnames else "semimajor_sigma"
        width = source["bbox_xmax"] - source["bbox_xmin"] + 1
        height = source["bbox_ymax"] - source["bbox_ymin"] + 1
        measures = {
            "Petrosian radius": galaxy["PETROTHETA"][:, 2] / SCALE,
            "Petrosian-50 radius": galaxy["PETROTH50"][:, 2] / SCALE,
            "Kron radius times semi-major axis": u.Quantity(
                source["kron_radius"] * source[axis]
            ).value,
            "equivalent radius": u.Quantity(source["equivalent_radius"]).value,
            "half the longer side of the box": np.maximum(width, height) / 2,
        }
        print(f"threshold {threshold}, N = {found.sum()}")
        for name, values in measures.items():
            low, median, high = np.percentile(r90 / values, [25, 50, 75])
            print(f"  {name:36s} {median:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
