"""Stamps on images: the light that goes in is there, at its place."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDData,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.table import QTable
from astropy.wcs import WCS, Sip
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Cutouts, Flag, insert_cutouts
from astrodlkit.galaxies import NoiseModel

SHAPE = (240, 300)
PLACES = np.array([[60.3, 150.8, 240.1, 100.0, 200.4], [50.2, 120.5, 60.9, 180.0, 190.3]])


def image_wcs(scale=0.2, angle=0.0, *, sip=False):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"] if sip else ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = 150.0, 2.0
    wcs.wcs.crpix = 150.0, 120.0
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = np.array([[-c, s], [s, c]]) * scale / 3600
    if sip:
        a = np.zeros((3, 3))
        a[2, 0] = a[0, 2] = 5e-5
        wcs.sip = Sip(a, a, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    wcs.array_shape = SHAPE
    return wcs


def blank(wcs, **more):
    return CCDData(np.zeros(SHAPE), unit="nJy", wcs=wcs, **more)


@pytest.fixture
def sky(table):
    """Five galaxies with little light beyond their stamps."""
    table["sersic_index"], table["psf_fwhm"] = 0.5, 0.1
    table["half_light_radius"] = [0.6, 0.4, 0.8, 0.5, 0.6] * u.arcsec
    table["coord"] = image_wcs().pixel_to_world(*PLACES)
    return table


@pytest.fixture
def alone(profiles, sky, options):
    """Stamps that know of no image."""
    return profiles.simulate(sky, **options)


@pytest.fixture
def fitting(profiles, sky, options):
    """Stamps on the pixels of the image."""
    options.pop("pixel_scale")
    return profiles.simulate(sky, wcs=image_wcs(), **options)


def centroid(image, x, y, half=20):
    """Around a place, in whole pixels of the image."""
    x0, y0 = round(float(x)), round(float(y))
    part = image[y0 - half : y0 + half + 1, x0 - half : x0 + half + 1]
    py, px = np.indices(part.shape) - half
    return x0 + (part * px).sum() / part.sum(), y0 + (part * py).sum() / part.sum()


def test_stamps_of_the_image_are_added_as_they_are(fitting):
    image, truth = insert_cutouts(blank(image_wcs()), fitting)
    assert_allclose(image.data.sum(), fitting.data.sum(), rtol=1e-6)
    assert_allclose([truth["x"], truth["y"]], PLACES, atol=1e-6)
    assert not (truth["flags"] & Flag.RESAMPLED).any()
    first = np.ceil(PLACES[:, 1] - 24).astype(int)
    part = image.data[first[1] : first[1] + 48, first[0] : first[0] + 48]
    assert_allclose(part, fitting.data[1, 0], rtol=1e-6)


WCSS = {
    "same": image_wcs(),
    "turned": image_wcs(angle=40),
    "fine": image_wcs(scale=0.13, angle=-20),
    "coarse": image_wcs(scale=0.45, angle=70),
    "distorted": image_wcs(angle=10, sip=True),
}


@pytest.mark.parametrize("name", WCSS)
def test_others_are_resampled_with_their_flux_to_their_place(alone, name):
    wcs = WCSS[name]
    image, truth = insert_cutouts(blank(wcs), alone)
    assert ((truth["flags"] & Flag.RESAMPLED) != 0).all()
    for row, place in zip(truth, alone.positions, strict=True):
        x, y = wcs.world_to_pixel(place)
        assert_allclose([row["x"], row["y"]], [x, y], atol=1e-6)
        if row["flags"] & (Flag.PARTIAL_OVERLAP | Flag.NO_OVERLAP):
            continue
        assert_allclose(row["flux_on_image"] / row["flux"], 1, atol=2e-3)
    if name == "fine":
        return
    # A bright galaxy that no other comes near.
    found = centroid(image.data, truth["x"][0], truth["y"][0], half=round(4 / wcs_scale(wcs)))
    assert_allclose(found, [truth["x"][0], truth["y"][0]], atol=0.02)


def wcs_scale(wcs):
    return 3600 * np.sqrt(np.abs(np.linalg.det(wcs.pixel_scale_matrix)))


def test_resampled_they_are_as_if_they_were_drawn_there(alone, fitting):
    ours, _ = insert_cutouts(blank(image_wcs()), alone)
    drawn, _ = insert_cutouts(blank(image_wcs()), fitting)
    assert_allclose(ours.data, drawn.data, atol=2e-3 * drawn.data.max())


@pytest.mark.parametrize("name", ["same", "turned", "distorted"])
@pytest.mark.parametrize("drawn_there", [True, False])
def test_galaxies_off_the_middle_are_where_the_truth_says(profiles, sky, name, drawn_there):
    wcs = WCSS[name]
    sky["coord"] = SkyCoord(wcs.pixel_to_world(*PLACES)).galactic
    sky["dx"], sky["dy"] = [6.0, 0, 0, 0, 0] * u.pix, [-4.5, 0, 0, 0, 0] * u.pix
    place = {"wcs": wcs} if drawn_there else {"pixel_scale": 0.2 * u.arcsec}
    stamps = profiles.simulate(sky, psf=0.7 * u.arcsec, shape=64, rng=3, **place)
    assert stamps.positions[1:].separation(sky["coord"][1:]).max() < 1e-9 * u.arcsec
    image, truth = insert_cutouts(blank(wcs), stamps)
    found = centroid(image.data, truth["x"][0], truth["y"][0])
    assert_allclose(found, [truth["x"][0], truth["y"][0]], atol=0.03)
    assert_allclose(wcs.world_to_pixel(truth["position"][0]), found, atol=0.03)
    if drawn_there:
        assert_allclose(found, PLACES[:, 0] + [6.0, -4.5], atol=0.03)


def test_edges_and_beyond(profiles, table, options):
    wcs = image_wcs()
    places = [[0.0, 299.4, 150.0, -500.0, 150.0], [120.0, 239.3, -20.0, 120.0, 120.0]]
    table["coord"] = wcs.pixel_to_world(*places)
    table["half_light_radius"] = 0.3 * u.arcsec
    for more in ({"pixel_scale": 0.2 * u.arcsec}, {"wcs": wcs}):
        stamps = profiles.simulate(table, **{**options, "pixel_scale": None, **more})
        image, truth = insert_cutouts(blank(wcs), stamps)
        flags = truth["flags"]
        partial, outside = ((flags & bit) != 0 for bit in (Flag.PARTIAL_OVERLAP, Flag.NO_OVERLAP))
        assert_array_equal(partial, [True, True, True, False, False])
        assert_array_equal(outside, [False, False, False, True, False])
        share = (truth["flux_on_image"] / truth["flux"]).value
        assert 0.45 < share[0] < 0.6
        assert 0.15 < share[1] < 0.45
        assert share[2] < 0.05
        assert share[3] == 0
        assert_allclose(image.data.sum(), truth["flux_on_image"].value.sum(), rtol=1e-5)


def test_on_the_other_side_of_the_sky(alone):
    wcs = image_wcs()
    wcs.wcs.crval = 330.0, -2.0
    image, truth = insert_cutouts(blank(wcs), alone)
    assert not image.data.any()
    assert ((truth["flags"] & Flag.NO_RESULT) != 0).all()
    assert np.isnan(truth["flux"]).all()


def test_everything_that_the_image_has_is_carried(fitting):
    wcs = image_wcs()
    mask = np.zeros(SHAPE, bool)
    mask[3, 4] = True
    data = np.full(SHAPE, 7, ">i2")
    image = CCDData(data, unit="nJy", wcs=wcs, mask=mask, meta={"a": [1]},
                    uncertainty=StdDevUncertainty(np.full(SHAPE, 2.0)))  # fmt: skip
    result, _ = insert_cutouts(image, fitting)
    assert type(result) is CCDData
    assert result.unit == u.nJy
    assert result.wcs is wcs
    assert result.meta["a"] == [1]
    assert result.meta["a"] is not image.meta["a"]
    assert_array_equal(result.mask, mask)
    assert_array_equal(result.uncertainty.array, 2)
    assert_array_equal(image.data, 7)
    assert_allclose((result.data - 7).sum(), fitting.data.sum(), rtol=1e-5)
    plain, _ = insert_cutouts(NDData(data.astype(np.float32), unit="uJy", wcs=wcs), fitting)
    assert type(plain) is NDData
    assert plain.data.dtype == np.float32
    assert_allclose((plain.data - 7).sum(dtype=float), fitting.data.sum() / 1e3, rtol=1e-2)


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
@pytest.mark.parametrize("resampled", [False, True])
def test_variance_is_added(profiles, sky, options, kind, resampled):
    wcs = image_wcs()
    place = {"pixel_scale": 0.2 * u.arcsec} if resampled else {"wcs": wcs, "pixel_scale": None}
    noise = NoiseModel(background_rms=2 * u.nJy)
    stamps = profiles.simulate(sky, noise=noise, **{**options, **place})
    power = {StdDevUncertainty: 0.5, VarianceUncertainty: 1, InverseVariance: -1}[kind]
    image = blank(wcs, uncertainty=kind(np.full(SHAPE, 9.0) ** power))
    result, truth = insert_cutouts(image, stamps)
    variance = result.uncertainty.array ** (1 / power)
    assert_allclose(variance[round(truth["y"][0]), round(truth["x"][0])], 13, rtol=1e-4)
    assert_allclose(variance[0, 0], 9)
    assert type(result.uncertainty) is kind


@pytest.mark.parametrize("scale", [0.4, 0.6])
def test_variance_on_coarse_pixels_is_that_of_the_sum(profiles, sky, options, scale):
    options |= {"noise": NoiseModel(background_rms=2 * u.nJy), "shape": 128}
    sky["flux"] = 1e-3 * u.nJy
    wcs = image_wcs(scale=scale, angle=30)
    sky["coord"] = wcs.pixel_to_world(*PLACES)
    image, truth = insert_cutouts(blank(wcs), profiles.simulate(sky[:4], **options))
    for row in truth:
        x, y, half = round(row["x"]), round(row["y"]), round(8 / scale)
        middle = slice(y - half, y + half), slice(x - half, x + half)
        assert_allclose(image.uncertainty.array[middle], 4 * (scale / 0.2) ** 2, rtol=1e-3)
        assert_allclose(image.data[middle].var(), 4 * (scale / 0.2) ** 2, rtol=0.2)


def test_counts_have_noise(fitting):
    image = blank(image_wcs(), uncertainty=VarianceUncertainty(np.ones(SHAPE)))
    clean, _ = insert_cutouts(image, fitting)
    noisy, truth = insert_cutouts(image, fitting, gain=3 * u.electron / u.nJy, rng=1)
    again, _ = insert_cutouts(image, fitting, gain=3 / u.nJy, rng=truth.meta["seed"])
    assert_array_equal(noisy.data, again.data)
    expected = np.maximum(clean.data, 0)
    assert_allclose(noisy.uncertainty.array, 1 + expected / 3, rtol=1e-4)
    bright = expected > 1
    chi = (noisy.data - clean.data)[bright] / np.sqrt(expected[bright] / 3)
    assert abs((chi**2).mean() - 1) < 5 * np.sqrt(2 / bright.sum())
    without, _ = insert_cutouts(blank(image_wcs()), fitting, gain=3 / u.nJy)
    assert type(without.uncertainty) is VarianceUncertainty
    assert_allclose(without.uncertainty.array, expected / 3, atol=1e-6)


def test_an_image_without_noise_gets_that_of_the_stamps(profiles, sky, options):
    noise = NoiseModel(background_rms=2 * u.nJy)
    stamps = profiles.simulate(sky, noise=noise, **options)
    image = CCDData(np.zeros(SHAPE), unit="uJy", wcs=image_wcs())
    result, truth = insert_cutouts(image, stamps)
    assert type(result.uncertainty) is VarianceUncertainty
    assert result.uncertainty.unit == u.uJy**2
    y, x = round(truth["y"][0]), round(truth["x"][0])
    assert_allclose(result.uncertainty.array[y, x], 4e-6, rtol=1e-4)
    assert result.uncertainty.array[0, 0] == 0


def test_masked_pixels_and_rows(fitting):
    stamps = Cutouts(
        fitting.data, unit=fitting.unit, bands=fitting.bands, positions=fitting.positions,
        mask=fitting.mask.copy(), wcs=fitting._grid,
    )  # fmt: skip
    stamps.mask[0, 0, 10, 20] = True
    stamps.mask[1] = True
    again = Cutouts(
        stamps.data, unit="nJy", bands=("r",), positions=stamps.positions, mask=stamps.mask,
        wcs=fitting._grid,
    )  # fmt: skip
    result, truth = insert_cutouts(blank(image_wcs()), again)
    first = np.ceil(PLACES[:, 0] - 24).astype(int)
    assert_array_equal(np.argwhere(result.mask), [[first[1] + 10, first[0] + 20]])
    assert result.data[first[1] + 10, first[0] + 20] == 0
    assert truth["flags"][1] & Flag.NO_RESULT
    assert_allclose(result.data.sum(), np.nansum(truth["flux_on_image"].value), rtol=1e-5)


@pytest.mark.parametrize("name", ["turned", "fine", "coarse"])
def test_a_masked_pixel_is_masked_and_leaves_the_light_beside_it(alone, name):
    places = {"bands": alone.bands, "positions": alone.positions[1:2], "wcs": alone._grid[1:2]}
    mask = alone.mask[1:2].copy()
    mask[0, 0, 24, 26] = True
    holed = Cutouts(alone.data[1:2], unit="nJy", mask=mask, **places)
    result, truth = insert_cutouts(blank(WCSS[name]), holed)
    whole, _ = insert_cutouts(blank(WCSS[name]), alone[1:2])
    x, y = WCSS[name].world_to_pixel(alone.image(1, "r").wcs.pixel_to_world(26, 24))
    assert result.mask[round(float(y)), round(float(x))]
    assert result.mask.sum() < 20
    assert not result.data[result.mask].any()
    off = np.where(result.mask, 0, result.data - whole.data)
    assert np.abs(off).max() < 0.02 * whole.data.max()
    assert_allclose(truth["flux_on_image"][0].value, result.data.sum(), rtol=1e-5)


def test_a_band_is_chosen(profiles, sky, options):
    stamps = profiles.simulate(sky, bands=("g", "r"), **options)
    red, _ = insert_cutouts(blank(image_wcs()), stamps, band="r")
    both, _ = insert_cutouts(red, stamps, band="g")
    assert_allclose(both.data.sum(), stamps.data.sum(), rtol=2e-3)
    with pytest.raises(ValueError, match="band must be one of g, r, got None"):
        insert_cutouts(red, stamps)


def test_no_stamps(fitting):
    image, truth = insert_cutouts(blank(image_wcs()), fitting[:0])
    assert not image.data.any()
    assert len(truth) == 0
    assert truth["flux"].unit == u.nJy


def test_stars(fitting):
    psf = 0.8 * u.arcsec
    image, truth = insert_cutouts(
        blank(image_wcs()), fitting, n_stars=200, star_flux=[1, 100] * u.nJy, psf=psf, rng=2
    )
    stars = truth[truth["kind"] == "star"]
    assert len(stars) == 200
    assert ((stars["flux"].value > 1) & (stars["flux"].value < 100)).all()
    # Evenly in magnitude.
    assert abs(np.log10(stars["flux"].value).mean() - 1) < 5 * 2 / np.sqrt(12 * 200)
    whole = (stars["flags"] & Flag.PARTIAL_OVERLAP) == 0
    assert_allclose((stars["flux_on_image"] / stars["flux"])[whole], 1, atol=0.01)
    assert_allclose(image.data.sum(), truth["flux_on_image"].value.sum(), rtol=1e-5)
    x, y = image.wcs.world_to_pixel(truth["position"])
    assert_allclose([truth["x"], truth["y"]], [x, y], atol=1e-6)
    one, truth = insert_cutouts(
        blank(image_wcs()), fitting[:0], n_stars=1, star_flux=1e3 * u.nJy, psf=psf, rng=1
    )
    found = centroid(one.data, truth["x"][0], truth["y"][0])
    assert_allclose(found, [truth["x"][0], truth["y"][0]], atol=0.01)
    _, truth = insert_cutouts(
        blank(image_wcs()), fitting[:0], n_stars=3, star_flux=[1, 2, 3] * u.nJy, psf=psf
    )
    assert_array_equal(truth["flux"].value, [1, 2, 3])
    # A PSF for each band, as for stamps.
    several = {"g": 1.6 * u.arcsec, fitting.bands[0]: psf}
    again, _ = insert_cutouts(
        blank(image_wcs()), fitting[:0], n_stars=1, star_flux=1e3 * u.nJy, psf=several, rng=1
    )
    assert_array_equal(again.data, one.data)


def test_the_variance_of_small_units_is_kept(fitting):
    unit = u.erg / (u.s * u.cm**2 * u.Hz)
    images = []
    for kind, gain in ((u.nJy, 5.0), (unit, (5 * u.electron / u.nJy).to_value(u.electron / unit))):
        image = CCDData(np.zeros(SHAPE, "f4"), unit=kind, wcs=image_wcs())
        images.append(insert_cutouts(image, fitting, gain=gain * u.electron / kind, rng=1)[0])
    wanted = images[0].uncertainty.array * u.nJy.to(unit) ** 2
    assert (wanted > 0).any()
    # Faint pixels are differences of brighter ones.
    assert_allclose(images[1].uncertainty.array, wanted, rtol=1e-4, atol=1e-12 * wanted.max())


def test_wrong_arguments_say_what_is_right(fitting, profiles, table, options):
    image = blank(image_wcs())

    def fails(error, message, image=image, cutouts=fitting, **more):
        with pytest.raises(error, match=message):
            insert_cutouts(image, cutouts, **more)

    fails(TypeError, "image must be NDData or CCDData, got ndarray", image.data)
    fails(ValueError, "image has no WCS", CCDData(image.data, unit="nJy"))
    fails(ValueError, "image must be one band", NDData(np.zeros((2, 5, 5)), wcs=image.wcs))
    fails(TypeError, "image must hold real numbers", NDData(image.data > 0, wcs=image.wcs))
    fails(TypeError, "cutouts must be Cutouts", cutouts=fitting.data)
    nowhere = profiles.simulate(
        table["flux", "half_light_radius"], pixel_scale=0.2 * u.arcsec, **options
    )
    fails(ValueError, "cutouts have no WCS", cutouts=nowhere)
    fails(u.UnitConversionError, "cutouts in nJy cannot be added to an image in adu",
          CCDData(image.data, unit="adu", wcs=image.wcs))  # fmt: skip
    fails(u.UnitConversionError, "to an image in no unit", NDData(image.data, wcs=image.wcs))
    unknown = CCDData(
        image.data, unit="nJy", wcs=image.wcs, uncertainty=UnknownUncertainty(image.data)
    )
    fails(TypeError, "the uncertainty is a UnknownUncertainty", unknown)
    fails(TypeError, "gain=3 has no unit", gain=3)
    fails(ValueError, "gain must be positive", gain=-3 / u.nJy)
    fails(u.UnitConversionError, "gain must have a unit like", gain=3 / u.s)
    noisy = profiles.simulate(
        table, noise=NoiseModel(background_rms=1 * u.nJy), **options, pixel_scale=0.2 * u.arcsec
    )
    fails(ValueError, "the cutouts have noise already", cutouts=noisy, gain=3 / u.nJy)
    stars = {"n_stars": 3, "psf": 0.7 * u.arcsec}
    fails(ValueError, "psf is missing", n_stars=3, star_flux=1 * u.nJy)
    fails(TypeError, "star_flux=None has no unit", **stars)
    fails(u.UnitConversionError, "star_flux must have a unit", star_flux=1 * u.adu, **stars)
    fails(ValueError, "star_flux must be two fluxes, or 3", star_flux=np.ones(4) * u.nJy, **stars)
    fails(ValueError, "star_flux must be positive", star_flux=0 * u.nJy, **stars)
    fails(ValueError, "n_stars must be", n_stars=-1)
    fails(TypeError, "progress must be", progress=3)


def test_positions_in_another_frame(profiles, sky, options):
    sky["coord"] = SkyCoord(sky["coord"]).galactic
    stamps = profiles.simulate(QTable(sky), **options)
    _, truth = insert_cutouts(blank(image_wcs()), stamps)
    assert_allclose([truth["x"], truth["y"]], PLACES, atol=1e-5)
