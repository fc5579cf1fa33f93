"""Bad input, and cosmologies that the model does not know."""

import astropy.cosmology.units as cu
import astropy.units as u
import numpy as np
import pytest
from astropy.cosmology import (
    WMAP9,
    FlatLambdaCDM,
    FlatwCDM,
    LambdaCDM,
    Planck13,
    Planck15,
    Planck18,
    z_at_value,
)

from astrodlkit.exceptions import AstrodlkitWarning

SAID = {"sigma8": 0.8, "n": 0.9665}


def flat(Om0=0.3, **options):
    values = {"H0": 67.66, "Ob0": 0.049, "Tcmb0": 2.7255, "Neff": 3.046, "meta": SAID}
    return FlatLambdaCDM(Om0=Om0, **{**values, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": -1}, ValueError, "n must be a number of maps, 0 or more, got -1"),
        ({"n": 1.5}, ValueError, "n must be a number of maps, 0 or more, got 1.5"),
        ({"n": True}, ValueError, "n must be a number of maps, 0 or more, got True"),
        ({"shape": 32}, TypeError, r"shape must be two numbers of pixels \(ny, nx\), got 32"),
        ({"shape": (32, 32.0)}, TypeError, "shape must be two numbers of pixels"),
        ({"shape": (1, 1)}, ValueError, r"shape must be 16 pixels or more on a side, got \(1, 1\)"),
        ({"box_size": 64}, TypeError, r"box_size=64 has no unit; write box_size=64 \* u.Mpc"),
        ({"box_size": 64 * u.s}, u.UnitConversionError, "box_size must be in Mpc, got the unit s"),
        ({"box_size": -64 * u.Mpc}, ValueError, "box_size must be one positive length"),
        (
            {"shape": (32, 64), "box_size": 64 * u.Mpc},
            ValueError,
            r"no square: give the sides \(y, x\)",
        ),
        (
            {"box_size": 500 * u.Mpc},
            ValueError,
            r"15.625 x 15.625 Mpc; .* 2 Mpc: box_size=64 \* u.Mpc .* shape=\(250, 250\) for",
        ),
        ({"box_size": (64, 65) * u.Mpc}, ValueError, "pixels of 2 x 2.03125 Mpc"),
        ({"redshift": -0.1}, ValueError, "redshift must be a number, 0 or more, got -0.1"),
        ({"redshift": np.nan}, ValueError, "redshift must be a number, 0 or more, got nan"),
        ({"redshift": [0, 1]}, TypeError, "redshift must be a number, 0 or more"),
        ({"redshift": 1 * u.m}, TypeError, "redshift must be a number, 0 or more, got <Quantity"),
        ({"redshift": 1 * u.rad}, TypeError, "redshift must be a number, 0 or more, got <Quantity"),
        ({"redshift": [1] * cu.redshift}, TypeError, "redshift must be a number, 0 or more"),
        ({"redshift": -1 * cu.redshift}, ValueError, "redshift must be a number, 0 or more, got"),
        ({"redshift": u.Magnitude(1)}, TypeError, "redshift must be a number, 0 or more, got"),
        ({"sigma8": 1 * cu.redshift}, TypeError, "sigma8 must be a positive number, got <Quantity"),
        ({"cosmology": "Planck18"}, TypeError, "cosmology must be one of astropy.cosmology"),
        (
            {"cosmology": FlatLambdaCDM(70, 0.3)},
            ValueError,
            "does not say sigma8 in its meta: give",
        ),
        ({"cosmology": flat(Om0=0, Ob0=0)}, ValueError, "cosmology must have matter, got Om0=0"),
        (
            {"cosmology": FlatLambdaCDM(70, np.inf, meta=SAID)},
            ValueError,
            "cosmology must have matter, got Om0=inf",
        ),
        ({"cosmology": flat(H0=-70)}, ValueError, "H0 must be positive, got H0=-70.0 km / "),
        ({"cosmology": flat(H0=np.nan)}, ValueError, "H0 must be positive, got H0=nan km / "),
        (
            {"cosmology": flat(meta={**SAID, "n": "x"})},
            TypeError,
            "n in the meta of the cosmology must be a number, 0 or more, got 'x'",
        ),
        (
            {"cosmology": flat(meta={**SAID, "n": np.nan})},
            ValueError,
            "n in the meta of the cosmology must be a number, 0 or more, got nan",
        ),
        (
            {"cosmology": flat(meta={"sigma8": "x"})},
            TypeError,
            "sigma8 must be a positive number, got 'x'",
        ),
        (
            {"cosmology": LambdaCDM(67.66, 0.3, 0.6, meta=SAID)},
            ValueError,
            "cosmology must be flat: no model knows curvature; got Ok0=0.1",
        ),
        ({"sigma8": 0}, ValueError, "sigma8 must be a positive number, got 0"),
        ({"sigma8": "0.8"}, TypeError, "sigma8 must be a positive number, got '0.8'"),
        ({"rng": -1}, ValueError, r"rng must be from 0 to 2\*\*63 - 1, got -1"),
        ({"rng": "1"}, TypeError, "rng must be a whole number, a numpy.random.Generator or None"),
        ({"unit": "kg"}, u.UnitConversionError, "unit must be dimensionless for 1 \\+ delta, or"),
        ({"unit": "mag(1)"}, u.UnitConversionError, "unit must be dimensionless for 1 \\+ delta"),
        ({"unit": "dex(Msun/Mpc2)"}, u.UnitConversionError, "or one of surface density"),
        ({"unit": "solar"}, ValueError, "unit='solar' is no unit"),
    ],
)
def test_wrong_arguments(plain, options, error, message):
    with pytest.raises(error, match=message):
        plain.sample(**{"n": 1, "shape": (32, 32), **options})


def test_a_universe_that_does_not_expand(plain):
    with np.errstate(invalid="ignore"):
        still = FlatLambdaCDM(0, 0.3, meta=SAID)
    with pytest.raises(ValueError, match="cosmology must expand: H0 must be positive, got H0=0"):
        plain.sample(shape=(16, 16), cosmology=still)


@pytest.mark.parametrize(
    ("redshift", "number"),
    [
        (z_at_value(Planck18.age, 5 * u.Gyr), 1.2376),
        (0.5 * u.one, 0.5),
        (50 * u.percent, 0.5),
        (np.float32(0.5), 0.5),
    ],
)
def test_redshifts_as_astropy_gives_them(plain, redshift, number):
    found = plain.sample(shape=(16, 16), redshift=redshift).meta["redshift"]
    assert type(found) is float
    assert found == pytest.approx(number, rel=1e-4)


def test_quantities_without_a_unit(plain):
    said = {"sigma8": 0.8 * u.one, "n": 96.65 * u.percent}
    meta = plain.sample(shape=(16, 16), cosmology=flat(meta=said)).meta
    assert (meta["sigma8"], meta["flags"]) == (0.8, {})
    assert plain.sample(shape=(16, 16), sigma8=0.9 * u.one).meta["sigma8"] == 0.9


@pytest.mark.parametrize("box", [64, 64.05, (63.97, 64.03)])
def test_boxes_that_are_right(plain, box):
    maps = plain.sample(shape=(32, 32), box_size=u.Quantity(box, u.Mpc))
    assert (maps.meta["box_size"] == u.Quantity(box, u.Mpc)).all()


@pytest.mark.parametrize(
    "cosmology",
    [Planck18, Planck15, Planck13, flat(), FlatLambdaCDM(67.66, 0.3, meta={"sigma8": 0.8})],
)
def test_inside_the_domain(plain, cosmology):
    assert plain.sample(shape=(16, 16), redshift=2, cosmology=cosmology).meta["flags"] == {}


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ({"redshift": 2.5}, {"redshift": "redshift is 2.5, the model was trained from 0 to 2"}),
        ({"sigma8": 0.5}, {"sigma8": "sigma8 is 0.5, the model was trained from 0.6 to 1"}),
        ({"cosmology": flat(0.6)}, {"Om0": "Om0 is 0.6, the model was trained from 0.15 to 0.5"}),
        (
            {"cosmology": flat(H0=73)},
            {"H0": "H0 is 73, the model was trained with 67.66"},
        ),
        (
            {"cosmology": flat(Ob0=0.06)},
            {"Ob0": "Ob0 is 0.06, the model was trained with 0.04897"},
        ),
        (
            {"cosmology": flat(meta={**SAID, "n": 1})},
            {"n_s": "n_s is 1, the model was trained with 0.9665"},
        ),
        (
            {"cosmology": flat(m_nu=[0, 0, 0.3] * u.eV)},
            {"m_nu": "m_nu is 0.3, the model was trained with 0"},
        ),
        (
            {"cosmology": FlatwCDM(67.66, 0.3, w0=-0.9, meta=SAID)},
            {
                "dark_energy": "dark energy has w from -0.9 to -0.9, "
                "the model was trained with a cosmological constant"
            },
        ),
    ],
)
def test_outside_the_domain(plain, options, flags):
    with pytest.warns(AstrodlkitWarning, match="outside the domain of web.v1: ") as caught:
        maps = plain.sample(shape=(16, 16), **options)
    assert maps.meta["flags"] == flags
    assert str(caught[0].message).endswith("; ".join(flags.values()))
    assert caught[0].filename == __file__


def test_all_flags_in_one_warning(plain):
    with pytest.warns(AstrodlkitWarning) as caught:
        maps = plain.sample(shape=(16, 16), cosmology=WMAP9, redshift=3)
    assert list(maps.meta["flags"]) == ["redshift", "H0"]
    assert len(caught) == 1


@pytest.mark.filterwarnings("ignore:outside the domain")
def test_nothing_that_is_not_finite_is_given(plain):
    with pytest.raises(ValueError, match=r"no finite densities so far outside its domain: sigma8"):
        plain.sample(shape=(16, 16), sigma8=1e300)
