"""The bundled model, from the image to the class."""

import astropy.units as u
import numpy as np
import pytest
from astropy.modeling.models import Sersic2D
from astropy.nddata import CCDData
from astropy.table import QTable
from astropy.wcs import WCS
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import classify_cutouts, describe_model, load_model

SCALE = 0.396
GALAXIES = (
    # effective radius in arcsec, Sersic index, ellipticity, the class it must have
    (2.5, 4.0, 0.03, "completely_round"),
    (3.0, 3.0, 0.35, "in_between"),
    (5.0, 1.0, 0.9, "edge_on or cigar_shaped"),
)


@pytest.fixture(scope="module")
def field():
    """A table of three galaxies, and their images in g, r and i."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix, wcs.wcs.crval = [150, 50], [20.0, -10.0]
    wcs.wcs.cdelt = [-SCALE / 3600, SCALE / 3600]
    y, x = np.mgrid[:100, :300]
    sky = np.zeros(x.shape)
    table = QTable({"x": [50.0, 150, 250], "y": [50.0, 52, 48]})
    for row, (radius, index, ellipticity, _) in zip(table, GALAXIES, strict=True):
        sky += Sersic2D(
            0.1, radius / SCALE, index, row["x"], row["y"], ellip=ellipticity, theta=0.5
        )(x, y)
    rng = np.random.default_rng(2)
    images = {
        band: CCDData(factor * sky + rng.normal(0, 0.01, sky.shape), unit="nmgy", wcs=wcs)
        for band, factor in {"g": 0.4, "r": 0.8, "i": 1.1}.items()
    }
    table["half_light_radius"] = [galaxy[0] for galaxy in GALAXIES] * u.arcsec
    return table, images


def test_drawn_galaxies_have_the_class_they_were_drawn_with(field):
    result = classify_cutouts(*field, views=8)
    for row, (*_, expected) in zip(result, GALAXIES, strict=True):
        assert str(row["class"]) in expected.split(" or ")
    assert (result["t01_smooth_or_features_a03_star_or_artifact"] < 0.3).all()


def test_provenance_names_the_weights(field):
    about = classify_cutouts(*field).meta["astrodlkit"]
    card = describe_model("galaxyzoo2")
    assert about["model"] == card.full_name
    assert about["sha256"] == card.weights.sha256


def test_rows_are_independent_in_float32(field):
    table, images = field
    classifier = load_model("galaxyzoo2", device="cpu")
    order = [2, 0, 1, 0]
    whole = classifier.predict(table, images, precision="float32")
    part = classifier.predict(table[order], images, precision="float32", batch_size=1)
    assert_array_equal(part["class"], whole["class"][order])
    for name in classifier.card.output.heads[0].labels:
        assert_allclose(part[name], whole[name][order], atol=1e-5)


def test_unknown_pixel_units_cost_little(field):
    """Counts instead of fluxes: each stamp is scaled by itself, the shape stays."""
    table, images = field
    from astrodlkit.exceptions import AstrodlkitWarning

    counts = {band: (image.data * 500, image.wcs) for band, image in images.items()}
    with pytest.warns(AstrodlkitWarning, match="no flux unit"):
        result = classify_cutouts(table, counts)
    assert result["class"][0] == "completely_round"
