"""Galaxies are where their coordinates are, with north where it is."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.wcs import WCS, Sip
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Flag, extract_cutouts, insert_cutouts


def image_wcs(angle=30.0, scale=0.25, *, mirror=False, frame="ICRS", sip=False):
    """A tangent projection turned by an angle."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["GLON-TAN", "GLAT-TAN"] if frame == "galactic" else ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = 150.0, 2.0
    wcs.wcs.crpix = 200.0, 300.0
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = np.array([[-c, s], [s, c]]) * scale / 3600
    if mirror:
        wcs.wcs.cd = wcs.wcs.cd @ np.diag([-1, 1])
    if sip:
        wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
        a = np.zeros((3, 3))
        a[2, 0] = a[0, 2] = 2e-5
        wcs.sip = Sip(a, a, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    wcs.array_shape = (600, 400)
    return wcs


PLACES = [200.2, 10.3, 390.7, 100.4, 200.1], [300.3, 20.4, 590.2, 500.7, 10.9]
WCSS = {
    "turned": image_wcs(),
    "mirrored": image_wcs(mirror=True),
    "distorted": image_wcs(sip=True),
    "galactic": image_wcs(frame="galactic"),
}


@pytest.fixture
def sky(table):
    """The galaxies with Gaussian profiles, somewhere around the image."""
    table["sersic_index"], table["psf_fwhm"] = 0.5, 0.1
    place = WCSS["turned"].pixel_to_world(*PLACES)
    table["coord"] = place.icrs
    return table


def test_without_an_image_the_galaxy_is_in_the_middle(profiles, sky, options):
    stamps = profiles.simulate(sky, **options)
    for i, coord in enumerate(sky["coord"]):
        wcs = stamps.image(i, "r").wcs
        assert_allclose(wcs.world_to_pixel(coord), 23.5, atol=1e-6)
        assert_allclose(3600 * np.array(wcs.pixel_scale_matrix), np.diag([-0.2, 0.2]), atol=1e-9)


@pytest.mark.parametrize("shape", [48, 49, (40, 51)])
@pytest.mark.parametrize("name", WCSS)
def test_on_an_image_it_is_where_the_wcs_says(profiles, sky, moments, name, shape):
    wcs = WCSS[name]
    sky["coord"] = wcs.pixel_to_world(*PLACES).icrs
    stamps = profiles.simulate(sky, wcs=wcs, psf=0.7 * u.arcsec, shape=shape, rng=3)
    ny, nx = stamps.data.shape[-2:]
    for i, coord in enumerate(sky["coord"]):
        x, y = stamps.image(i, "r").wcs.world_to_pixel(coord)
        assert abs(x - (nx - 1) / 2) <= 0.5 + 1e-6
        px, py = wcs.world_to_pixel(coord)
        # The stamps' pixels are the image's.
        assert_allclose([(px - x) % 1, (py - y) % 1], np.round([(px - x) % 1, (py - y) % 1]),
                        atol=1e-6)  # fmt: skip
        found = moments(stamps.data[i, 0])
        assert abs(found.x + (nx - 1) / 2 - x) < 0.02
        assert abs(found.y + (ny - 1) / 2 - y) < 0.02


@pytest.mark.parametrize("name", WCSS)
def test_position_angles_are_east_of_north(profiles, sky, options, moments, name):
    wcs = WCSS[name]
    sky["coord"] = wcs.pixel_to_world(*PLACES).icrs
    options |= {"psf": None}
    options.pop("pixel_scale")
    stamps = profiles.simulate(sky, wcs=wcs, **options)
    for i in (1, 2, 4):
        coord, angle = sky["coord"][i], sky["position_angle"][i]
        x0, y0 = wcs.world_to_pixel(coord)
        x1, y1 = wcs.world_to_pixel(coord.directional_offset_by(angle, 1 * u.arcsec))
        wanted = np.degrees(np.arctan2(y1 - y0, x1 - x0))
        off = moments(stamps.data[i, 0]).angle - wanted
        assert abs((off + 90) % 180 - 90) < 1.5


def test_a_smaller_pixel_has_less_light(profiles, sky, options):
    options.pop("pixel_scale")
    coarse = profiles.simulate(sky, wcs=image_wcs(scale=0.5), **options)
    fine = profiles.simulate(sky, wcs=image_wcs(scale=0.25), **options)
    ratio = coarse.data.max((1, 2, 3)) / fine.data.max((1, 2, 3))
    assert ((ratio > 2) & (ratio < 4.05)).all()
    assert_allclose(coarse.meta["astrodlkit"]["pixel_scale"], 0.5, rtol=1e-4)


@pytest.mark.parametrize("stars", [False, True])
def test_a_psf_is_round_on_the_sky_where_pixels_are_not_square(profiles, sky, stars):
    galsim = pytest.importorskip("galsim")
    # Pixels are twice as long in y as in x; the shear makes the PSF twice as long in x again.
    wcs = image_wcs(angle=0)
    wcs.wcs.cd = wcs.wcs.cd @ np.diag([0.8, 1.6])
    sheared = galsim.Gaussian(fwhm=2).shear(g1=1 / 3, g2=0)
    sky["half_light_radius"] = 0.02 * u.arcsec
    options = {"wcs": wcs, "shape": 90, "rng": 1}
    for psf, ratio in ((8 * u.pix, 1), (2 * u.arcsec, 0.5), (sheared, 0.25)):
        stamp = profiles.simulate(sky[3:4], psf=psf, **options).data[0, 0]
        if stars:
            image = CCDData(np.zeros((90, 90)), unit="nJy", wcs=wcs)
            star = {"n_stars": 1, "star_flux": 1 * u.nJy, "psf": psf, "rng": 0}
            stamp = insert_cutouts(image, profiles.simulate(sky[:0], **options), **star)[0].data
        y, x = np.unravel_index(stamp.argmax(), stamp.shape)
        found = galsim.hsm.FindAdaptiveMom(
            galsim.Image(stamp.astype(float)), guess_centroid=galsim.PositionD(x + 1, y + 1)
        ).observed_shape
        assert_allclose([found.g1, found.g2], [(1 - ratio) / (1 + ratio), 0], atol=0.02)


def test_pixel_positions_on_an_image(profiles, sky, options):
    options.pop("pixel_scale")
    wcs = WCSS["turned"]
    stamps = profiles.simulate(sky, wcs=wcs, **options)
    x, y = wcs.world_to_pixel(sky["coord"])
    sky.remove_column("coord")
    sky["x"], sky["y"] = x, y
    again = profiles.simulate(sky, wcs=wcs, **options)
    assert_allclose(again.data, stamps.data, rtol=1e-4, atol=1e-5)
    assert again.positions[0].separation(stamps.positions[0]) < 1e-6 * u.arcsec


def test_stamps_survive_a_file_with_their_wcs(profiles, sky, options, tmp_path):
    from astrodlkit import Cutouts

    stamps = profiles.simulate(sky, **options)
    stamps.write(tmp_path / "stamps.fits")
    again = Cutouts.read(tmp_path / "stamps.fits")
    assert_allclose(again.data, stamps.data)
    assert_allclose(again.image(1, "r").wcs.wcs.crval, stamps.image(1, "r").wcs.wcs.crval)
    assert again.meta["astrodlkit"]["model"] == "profiles.v1"


def test_they_match_what_is_cut_out_of_the_image(profiles, sky, options):
    """The grid is the one that `extract_cutouts` gives at the same positions."""
    wcs = WCSS["turned"]
    options.pop("pixel_scale")
    stamps = profiles.simulate(sky, wcs=wcs, **options)
    image = CCDData(np.zeros((600, 400)), unit="nJy", wcs=wcs)
    cut = extract_cutouts(image, sky["coord"], 48)
    for i in range(5):
        for where in ((0, 0), (47, 47)):
            ours, theirs = (
                c.image(i, c.bands[0]).wcs.pixel_to_world(*where) for c in (stamps, cut)
            )
            assert ours.separation(theirs) < 1e-6 * u.arcsec


def test_no_position_is_a_flag(profiles, sky, options):
    sky["coord"] = SkyCoord([150.0, np.nan, 150.0, 150.0, 330.0], [2.0, 2, 2, 2, -2], unit="deg")
    stamps = profiles.simulate(sky, **options)
    assert stamps.flags[1] & Flag.INVALID_POSITION
    assert not stamps.flags[1] & Flag.NO_RESULT
    assert stamps.image(1, "r").wcs is None
    options.pop("pixel_scale")
    stamps = profiles.simulate(sky, wcs=WCSS["turned"], **options)
    for row in (1, 4):
        assert stamps.flags[row] & Flag.INVALID_POSITION
        assert stamps.flags[row] & Flag.NO_RESULT
    assert not stamps.flags[0] & Flag.NO_RESULT
    assert len(profiles.simulate(sky[:0], wcs=WCSS["turned"], **options)) == 0


def test_pixels_beyond_all_images_are_a_flag(profiles, sky, options):
    options.pop("pixel_scale")
    sky.remove_column("coord")
    sky["x"], sky["y"] = [200.0, 1e15, -1e20, 1e30, np.inf], 300.0
    stamps = profiles.simulate(sky, wcs=WCSS["turned"], **options)
    assert_array_equal((stamps.flags & Flag.INVALID_POSITION) != 0, [False, True, True, True, True])
    assert_allclose(stamps.meta["astrodlkit"]["pixel_scale"], 0.25, rtol=1e-4)
    alone = profiles.simulate(sky[:1], wcs=WCSS["turned"], **options)
    assert_allclose(stamps.data[0], alone.data[0])


def test_wrong_arguments_say_what_is_right(profiles, table, options):
    def fails(error, message, rows=table, **more):
        with pytest.raises(error, match=message):
            profiles.simulate(rows, **{**options, **more})

    fails(TypeError, "pixel_scale is missing", pixel_scale=None)
    fails(TypeError, r"pixel_scale=0.2 has no unit; write .* \* u.arcsec", pixel_scale=0.2)
    fails(u.UnitConversionError, "pixel_scale must be an angle", pixel_scale=0.2 * u.s)
    fails(ValueError, "pixel_scale must be one positive angle", pixel_scale=-0.2 * u.arcsec)
    fails(ValueError, "pixel_scale follows from wcs", wcs=WCSS["turned"])
    fails(ValueError, "wcs needs a table with positions", wcs=WCSS["turned"], pixel_scale=None)
    fails(ValueError, "no celestial axes", wcs=WCS(naxis=2), pixel_scale=None)
    fails(TypeError, "must be an astropy.wcs.WCS", wcs="a", pixel_scale=None)
    fails(ValueError, "shape must be a positive whole number", shape=0)
    fails(ValueError, "shape must be a positive whole number", shape=4.5)
    fails(ValueError, "bands must be of g, r, i", bands=("z",))
    fails(ValueError, "bands must be of g, r, i", bands=())
    fails(TypeError, "rng must be a whole number", rng="a")
    fails(ValueError, "rng must be from 0", rng=-1)
    fails(ValueError, "zero_point must be", zero_point=np.nan)
    fails(u.UnitConversionError, "not of surface brightness", unit="nJy / arcsec2")
    fails(ValueError, "cannot be had in adu without a zero point", unit="adu")
    fails(ValueError, "columns has the key 'colour'", columns={"colour": "flux"})
    fails(ValueError, "columns names 'F' for 'flux'", columns={"flux": "F"})
    fails(TypeError, "a table is needed, got None", rows=None)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        next(profiles.stream(table, colour=1, **options))
    with pytest.raises(ValueError, match="batch_size"):
        next(profiles.stream(table, batch_size=0, **options))


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ("flux", "table has no column 'flux' or 'mag' or 'absolute_mag'"),
        ("half_light_radius", "no column 'half_light_radius' or 'half_light_semimajor'"),
    ],
)
def test_a_missing_column_is_named(profiles, table, options, drop, message):
    table.remove_column(drop)
    with pytest.raises(ValueError, match=message):
        profiles.simulate(table, **options)


def test_columns_without_their_unit(profiles, table, options):
    table["half_light_radius"] = table["half_light_radius"].value
    with pytest.raises(TypeError, match=r"'half_light_radius' has no unit: .*unit = u.arcsec"):
        profiles.simulate(table, **options)
    table["half_light_radius"] = np.ones(5) * u.s
    with pytest.raises(u.UnitConversionError, match="'half_light_radius' must have a unit like"):
        profiles.simulate(table, **options)
    table["half_light_radius"] = np.ones(5) * u.kpc
    with pytest.raises(ValueError, match="no column 'redshift'"):
        profiles.simulate(table, **options)
    table["redshift"] = 0.3
    with pytest.raises(TypeError, match="cosmology must be one of astropy"):
        profiles.simulate(table, cosmology="Planck18", **options)
    table["redshift"] = [0.3, 0, -1, np.nan, 0.5]
    flags = profiles.simulate(table, **options).flags
    assert [bool(flag & Flag.NO_RESULT) for flag in flags] == [False, True, True, True, False]
    table["flux"] = table["flux"].value
    with pytest.raises(TypeError, match=r"'flux' has no unit: .*unit = u.nJy"):
        profiles.simulate(table, **options)


def test_a_table_of_duplicates_and_of_dicts(profiles, options):
    rows = {"mag": [21.0, 21.0], "half_light_radius": [0.5, 0.5] * u.arcsec, "ra": [1, 1],
            "dec": [2, 2]}  # fmt: skip
    stamps = profiles.simulate(rows, **options)
    assert len(stamps) == 2
    assert stamps.positions[0].separation(stamps.positions[1]) == 0
    assert np.abs(stamps.data[0] - stamps.data[1]).max() > 0
