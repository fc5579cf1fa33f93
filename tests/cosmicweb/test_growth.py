"""Linear growth against closed forms and a Boltzmann code."""

import pytest
from astropy.cosmology import FlatLambdaCDM, FlatwCDM, Planck18, w0waCDM
from numpy.testing import assert_allclose
from scipy.special import hyp2f1

from astrodlkit.cosmicweb._growth import linear_growth

REDSHIFTS = (0, 0.3, 1, 2, 9)


def closed_form(Om0, w, redshift):
    """Matter and dark energy of a constant w: Silveira & Waga 1994, PRD, 50, 4890."""

    def growth(a):
        x = -(a ** (-3 * w)) * (1 - Om0) / Om0
        return a * hyp2f1(-1 / (3 * w), (w - 1) / (2 * w), 1 - 5 / (6 * w), x)

    return growth(1 / (1 + redshift)) / growth(1)


def test_matter_alone_grows_as_the_scale_factor():
    found = [linear_growth(FlatLambdaCDM(70, 1), z) for z in REDSHIFTS]
    assert_allclose(found, [1 / (1 + z) for z in REDSHIFTS], rtol=1e-5)


@pytest.mark.parametrize("Om0", [0.15, 0.3, 0.5])
@pytest.mark.parametrize("w", [-1, -0.8, -1.2])
def test_closed_forms(Om0, w):
    found = [linear_growth(FlatwCDM(70, Om0, w0=w), z) for z in REDSHIFTS]
    assert_allclose(found, [closed_form(Om0, w, z) for z in REDSHIFTS], rtol=1e-5)


def test_dark_energy_that_changes_lies_between():
    found = linear_growth(w0waCDM(70, 0.3, 0.7, w0=-0.9, wa=0.1), 1)
    assert closed_form(0.3, -0.9, 1) < found < closed_form(0.3, -0.8, 1)


def test_camb():
    camb = pytest.importorskip("camb")
    h = Planck18.h
    pars = camb.CAMBparams()
    pars.set_cosmology(
        H0=100 * h,
        ombh2=Planck18.Ob0 * h**2,
        omch2=(Planck18.Om0 - Planck18.Ob0) * h**2,
        mnu=0,
        nnu=Planck18.Neff,
        TCMB=Planck18.Tcmb0.value,
    )
    pars.set_matter_power(redshifts=[2.0, 1.0, 0.5, 0.0], kmax=2)
    then = camb.get_results(pars).get_sigma8()
    found = [linear_growth(Planck18, z) for z in (2, 1, 0.5, 0)]
    assert_allclose(found, then / then[-1], rtol=2e-3)
