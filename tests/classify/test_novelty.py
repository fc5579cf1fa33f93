"""Novelty of what is in an SDSS field, where the development data are, and of masked stamps."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import QTable
from scipy.stats import mannwhitneyu

from astrodlkit import Cutouts, classify_cutouts, load_model

# SDSS headers are from 1998; astropy says what it puts right.
pytestmark = pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")

FIELD = "sky/sdss_stripe82_94_1_12"


@pytest.fixture(scope="module")
def model():
    model = load_model("galaxyzoo2", device="cpu")
    if "novelty" not in model.card.output.columns:
        pytest.skip("the model has no novelty")
    return model


@pytest.fixture(scope="module")
def frames(development_data):
    names = {band: f"{FIELD}/frame-{band}-000094-1-0012.fits.bz2" for band in "gri"}
    return {band: CCDData.read(development_data(name), unit=u.nmgy) for band, name in names.items()}


@pytest.fixture(scope="module")
def novelty(development_data, model, frames):
    """Novelty of the field's galaxies or stars brighter than r = 20, away from the edge."""
    sdss = QTable.read(development_data(f"{FIELD}/photoObj-000094-1-0012.fits"))
    magnitude = 22.5 - 2.5 * np.log10(np.maximum(sdss["CMODELFLUX"][:, 2], 1e-3))
    sdss = sdss[(sdss["NCHILD"] == 0) & (magnitude < 20)]

    def measure(kind, factor=1.0, images=frames):
        rows = sdss[sdss["OBJC_TYPE"] == kind]
        table = QTable({"position": SkyCoord(rows["RA"], rows["DEC"], unit="deg")})
        widths = factor * model.card.input.width * np.array(rows["PETROTH90"][:, 2])
        result = classify_cutouts(table, images, model=model, size=widths * u.arcsec)
        values = np.asarray(result["novelty"])
        assert np.isfinite(values).all()
        return values

    return measure


GALAXY, STAR = 3, 6


def area(usual, far):
    return mannwhitneyu(far, usual).statistic / len(far) / len(usual)


def test_galaxies_of_the_field_do_not_stand_out(novelty):
    # Fitted to the survey's own pictures alone, it would put all of them beyond 0.99.
    assert (novelty(GALAXY) > 0.99).mean() < 0.25


def test_stars_do(novelty):
    assert area(novelty(GALAXY), novelty(STAR)) > 0.9


def test_bands_in_the_wrong_order_do(novelty, frames):
    reverse = dict(zip("gri", (frames["i"], frames["r"], frames["g"]), strict=True))
    assert area(novelty(GALAXY), novelty(GALAXY, images=reverse)) > 0.95


def test_stamps_three_times_too_narrow_do(novelty):
    assert area(novelty(GALAXY), novelty(GALAXY, factor=1 / 3)) > 0.95


def test_a_stamp_without_its_middle_does_though_nothing_was_there():
    rows, columns = np.mgrid[:128, :128] - 63.5
    lobes = 255 * np.exp(-((np.abs(columns) - 20) ** 2 + rows**2) / 20).astype(np.float32)
    mask = np.zeros((5, 1, 128, 128), dtype=bool)
    mask[1, ..., :32, :] = True  # no pixel of the middle half
    mask[2, ..., 64:70, :] = True  # a tenth of it
    mask[3, ..., 70:, :] = True
    mask[4] = True
    stamps = np.where(mask[3], 0, lobes)[None].repeat(5, axis=0)
    result = load_model("first-radio", device="cpu").predict(Cutouts(stamps, mask=mask))
    novelty = np.asarray(result["novelty"])
    assert novelty[0] == novelty[1]
    assert novelty[2] >= 0.88
    assert novelty[3] > max(0.999, novelty[0])
    assert np.isnan(novelty[4])
