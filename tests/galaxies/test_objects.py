"""Templates, latent variables and GalSim objects."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.cosmology import Planck18
from astropy.table import QTable
from numpy.testing import assert_allclose, assert_array_equal

from astrodlkit import Cutouts, Flag, describe_model, load_model, simulate_galaxies
from astrodlkit.galaxies import GalaxySimulator
from astrodlkit.pretrained import ModelCard
from astrodlkit.specs import TemplateSpec

galsim = pytest.importorskip("galsim")


class TestToGalsim:
    def test_drawn_it_is_the_stamp(self, lively, table, options):
        stamps = lively.simulate(table, bands=("g", "r"), **options)
        psf = galsim.Moffat(beta=3.5, fwhm=0.7)
        for i, row in enumerate(table):
            galaxy = lively.to_galsim(row, rng=3)
            assert_allclose(galaxy.flux, row["flux"].value)
            image = galsim.Convolve(galaxy, psf).drawImage(nx=48, ny=48, scale=0.2)
            stamp = stamps.data[i, 1]
            # North is along y and east along -x.
            assert_allclose(image.array, stamp, atol=2e-3 * stamp.max())

    def test_it_can_be_sheared(self, lively, table):
        galaxy = lively.to_galsim(table[1], rng=3)
        sheared = galaxy.shear(g1=0.05, g2=0)
        images = [
            galsim.Convolve(each, galsim.Gaussian(fwhm=0.7)).drawImage(nx=64, ny=64, scale=0.2)
            for each in (galaxy, sheared)
        ]
        shapes = [galsim.hsm.FindAdaptiveMom(image).observed_shape for image in images]
        assert shapes[1].g1 > shapes[0].g1 + 0.01

    def test_rows_tables_and_dicts(self, lively, table):
        row = lively.to_galsim(table[0], rng=3)
        assert lively.to_galsim(table[:1], rng=3) == row
        assert lively.to_galsim(dict(zip(table.colnames, table[0], strict=True)), rng=3) == row
        assert lively.to_galsim(table[1], rng=3) != lively.to_galsim(table[1:2], rng=3)

    def test_what_cannot_be_drawn_is_an_error(self, lively, table):
        table["flux"][1] = np.nan * u.nJy
        with pytest.raises(ValueError, match="row 1 has a value that cannot be drawn"):
            lively.to_galsim(table[1])
        with pytest.raises(ValueError, match="row must be one row, got a table of 5"):
            lively.to_galsim(table)
        for radius in (1e-300, 1e-160, 1e300):
            table["half_light_radius"][2] = radius * u.arcsec
            with pytest.raises(ValueError, match="row 2 has a size that cannot be drawn"):
                lively.to_galsim(table[2])


class TestComplete:
    def test_the_same_galaxies_with_any_seed(self, lively, table, options):
        table.remove_columns(["axis_ratio", "position_angle"])
        stamps = lively.simulate(table, bands=("g", "r"), **options)
        complete = lively.complete(table, bands=("g", "r"), rng=3)
        again = lively.simulate(complete, bands=("g", "r"), **{**options, "rng": 77})
        assert_allclose(again.data, stamps.data, atol=1e-4 * stamps.data.max())

    def test_what_was_given_is_as_it_was(self, lively, table):
        table["name"] = list("abcde")
        complete = lively.complete(table, rng=3)
        for name in table.colnames:
            assert_array_equal(complete[name], table[name])
        assert set(lively.spec.conditions) < set(complete.colnames)
        assert complete["latent"].shape == (5, lively.module.n_latent)
        assert not np.isnan(complete["sersic_index"]).any()
        assert "sersic_index" not in table.colnames
        assert_allclose(complete["flux_r"], table["flux"])

    def test_names_are_the_users(self, lively, table):
        table["n"] = [1.0, np.nan, 2.0, 3.0, np.nan]
        complete = lively.complete(table, rng=3, columns={"sersic_index": "n"})
        assert "sersic_index" not in complete.colnames
        assert not np.isnan(complete["n"]).any()
        assert complete["n"][0] == 1

    def test_bad_values_are_as_they_were(self, lively, table):
        table["latent"] = lively.complete(table, rng=3)["latent"]
        table["latent"][3] = np.nan
        table["axis_ratio"][1:3] = 1.5, np.nan
        table["position_angle"][2:5] = [np.nan, 20, np.inf] * u.deg
        complete = lively.complete(table, rng=3)
        for name in ("latent", "axis_ratio", "position_angle"):
            gaps = np.isnan(table[name]) & (name != "latent")
            assert_allclose(complete[name][~gaps], table[name][~gaps], rtol=1e-14)
            assert np.isfinite(complete[name][gaps]).all()
        bad = (complete["flags"] & Flag.NO_RESULT) != 0
        assert_array_equal(bad, [False, True, False, True, True])
        assert_array_equal(lively.complete(complete)["flags"], complete["flags"])

    def test_more_rows_than_are_made_at_once(self, lively):
        n = 300
        table = QTable({"mag": np.full(n, 20.0), "half_light_radius": np.ones(n) * u.arcsec})
        complete = lively.complete(table, rng=1)
        assert len(complete) == n
        assert len(np.unique(complete["g_r"])) > 100
        assert_array_equal(lively.complete(table[:40], rng=1)["g_r"], complete["g_r"][:40])

    def test_flags_of_another_kind(self, lively, table):
        complete = lively.complete(table, rng=1)
        assert_array_equal(lively.complete(complete)["flags"], complete["flags"])
        table["flags"] = 1
        with pytest.raises(ValueError, match="a column 'flags' of its own"):
            lively.complete(table)


class TestInterpolate:
    def test_ends_are_the_galaxies_and_steps_are_small(self, lively, table):
        templates = lively.interpolate(table[:3], n=5, rng=3)
        assert templates.data.shape == (11, 3, 80, 80)
        assert templates.bands == ("g", "r", "i")
        assert_allclose(templates.data[:, 1].sum((1, 2)), 1, rtol=1e-4)
        complete = lively.complete(table[:3], rng=3)
        inputs = (
            np.asarray(complete["latent"], np.float32),
            np.stack([complete[name] for name in lively.spec.conditions], 1).astype(np.float32),
        )
        with torch.inference_mode():
            ends = lively.module(*map(torch.from_numpy, inputs)).numpy()
        assert_allclose(templates.data[::5], ends, atol=1e-7, rtol=1e-3)
        steps = np.abs(np.diff(templates.data[:, 1], axis=0)).sum((1, 2))
        assert steps.max() < np.abs(ends[0] - ends[1])[1].sum()

    def test_less_than_two_galaxies(self, lively, table):
        with pytest.raises(ValueError, match="two galaxies or more"):
            lively.interpolate(table[:1])
        with pytest.raises(ValueError, match="n be a positive whole number"):
            lively.interpolate(table, n=0)
        with pytest.raises(ValueError, match=r"a positive whole number, got 5 and 2\.5"):
            lively.interpolate(table, n=2.5)
        table["axis_ratio"][1] = 5
        with pytest.raises(ValueError, match=r"rows \[1\] have values that no galaxy can have"):
            lively.interpolate(table)


class TestEncode:
    @pytest.fixture
    def stamps(self, profiles, table):
        table["sersic_index"] = 1.0
        return profiles.simulate(
            table, psf=0.2 * u.arcsec, pixel_scale=0.08 * u.arcsec, shape=120,
            bands=("i", "g", "r"), rng=3,
        )  # fmt: skip

    def test_shapes_and_colours_are_measured(self, profiles, table, stamps):
        found = profiles.encode(stamps)
        complete = profiles.complete(table, bands=("g", "r", "i"), rng=3)
        assert_allclose(found["axis_ratio"], table["axis_ratio"], atol=0.06)
        assert_allclose(found["g_r"], complete["g_r"], atol=0.02)
        assert_allclose(found["r_i"], complete["r_i"], atol=0.02)
        assert found["latent"].shape == (5, profiles.module.n_latent)
        assert np.isfinite(found["latent"]).all()

    def test_what_is_known_is_taken(self, profiles, table, stamps):
        table["g_r"] = 0.123
        found = profiles.encode(stamps, table)
        assert_allclose(found["g_r"], 0.123)
        assert_allclose(found["sersic_index"], 1.0)
        assert_allclose(found["axis_ratio"], table["axis_ratio"])

    def test_masked_pixels_do_not_count(self, profiles, stamps):
        wanted = profiles.encode(stamps)
        data, mask = stamps.data.copy(), np.zeros(stamps.shape, bool)
        mask[:, :, 55:58, 62:66] = True
        data[mask] = 100 * data.max()
        found = profiles.encode(Cutouts(data, mask=mask, bands=stamps.bands))
        assert_allclose(found["axis_ratio"], wanted["axis_ratio"], atol=0.02)
        assert_allclose(found["g_r"], wanted["g_r"], atol=0.02)
        assert (found["flags"] & Flag.MASKED_PIXELS).all()

    def test_bad_rows_are_flagged(self, profiles, table, stamps):
        table["axis_ratio"][1] = 5
        found = profiles.encode(stamps, table)
        assert [bool(flag & Flag.NO_RESULT) for flag in found["flags"]] == [False, True] + 3 * [
            False
        ]
        assert np.isnan(found["latent"][1]).all()

    def test_with_fluxes_and_sizes_it_can_be_drawn(self, profiles, table, stamps, options):
        found = profiles.encode(stamps, table)
        for name in ("flux", "half_light_radius", "position_angle"):
            found[name] = table[name]
        again = profiles.simulate(found, **options)
        wanted = profiles.simulate(table, **options)
        # The templates' own PSF is not known.
        assert_allclose(again.data.max((1, 2, 3)), wanted.data.max((1, 2, 3)), rtol=0.2)

    def test_what_is_no_galaxy_is_nan(self, profiles, stamps):
        stamps = Cutouts(
            np.concatenate([stamps.data[:2], np.zeros_like(stamps.data[:1]),
                            -stamps.data[:1], np.full_like(stamps.data[:1], np.nan)]),
            bands=stamps.bands,
        )  # fmt: skip
        found = profiles.encode(stamps)
        bad = [bool(flag & Flag.NO_RESULT) for flag in found["flags"]]
        assert bad == [False, False, True, True, True]
        assert np.isnan(found["latent"][2:]).all()
        assert np.isnan(found["g_r"][2:]).all()
        assert len(profiles.encode(stamps[:0])) == 0

    def test_wrong_arguments(self, profiles, table, stamps):
        with pytest.raises(TypeError, match="cutouts must be Cutouts"):
            profiles.encode(stamps.data)
        with pytest.raises(ValueError, match=r"cutouts lack the bands \['g', 'r'\]"):
            profiles.encode(Cutouts(stamps.data[:, :1], bands=("i",)))
        with pytest.raises(ValueError, match="table must have 5 rows as the cutouts, it has 2"):
            profiles.encode(stamps, table[:2])


class TestModel:
    def test_a_card_says_what_it_is(self, folder, card):
        loaded = load_model(folder)
        assert isinstance(loaded, GalaxySimulator)
        assert repr(loaded) == "<GalaxySimulator profiles.v1 on cpu>"
        assert "PSF of 0.4 half-light radii (95 %: 0.8)" in str(describe_model(folder))
        assert ModelCard.from_dict(card.to_dict()) == card

    def test_what_does_not_go_together_is_refused(self, card, profiles):
        with pytest.raises(TypeError, match="card must be a ModelCard"):
            GalaxySimulator(None, profiles.module)
        with pytest.raises(TypeError, match=r"module must be a torch\.nn\.Module"):
            GalaxySimulator(card, None)
        with pytest.raises(ValueError, match="same conditions"):
            GalaxySimulator(card, torch.nn.Identity())
        with pytest.raises(ValueError, match="card must be one for the task 'simulate'"):
            GalaxySimulator(describe_model("galaxyzoo2"), profiles.module)

    def test_a_model_for_something_else_is_refused(self, table, options):
        with pytest.raises(ValueError, match="model must be one for the task 'simulate'"):
            simulate_galaxies(table, model="galaxyzoo2", **options)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"side": 4}, "side must be a number of pixels"),
            ({"half_light": -1}, "half_light must be positive"),
            ({"half_light": 60}, "half_light must be within the template"),
            ({"bands": ("r", "r")}, "bands must be different names"),
            ({"reference": "z"}, "reference must be one of"),
            ({"domain": {"g_r": (0, 1)}}, "domain must be a mapping with 'axis_ratio'"),
            ({"domain": {"axis_ratio": (1, 0)}}, "axis_ratio"),
            ({"psf_fwhm": float("nan")}, "psf_fwhm"),
        ],
    )
    def test_a_specification_that_means_nothing(self, card, change, message):
        fields = card.templates.to_dict() | change
        with pytest.raises((TypeError, ValueError), match=message):
            TemplateSpec.from_dict(fields)


def test_redshifts_need_a_cosmology_that_has_distances(profiles, options):
    table = QTable({"absolute_mag": [-20.0], "half_light_radius": [1] * u.kpc, "redshift": [0.1]})
    near = profiles.simulate(table, **options)
    far = profiles.simulate(table, cosmology=Planck18.clone(H0=50), **options)
    assert far.data.sum() < near.data.sum()
