"""Growth by a formula beside that of the equation."""

import pytest
import torch
from astropy.cosmology import FlatLambdaCDM

from astrodlkit.cosmicweb._growth import linear_growth
from astrodlkit.networks._growth import growth


@pytest.mark.parametrize("matter", [0.15, 0.3, 0.5])
@pytest.mark.parametrize("redshift", [0.0, 0.5, 2.0])
def test_formula_and_equation(matter, redshift):
    wanted = linear_growth(FlatLambdaCDM(H0=70, Om0=matter, Tcmb0=0), redshift)
    found = growth(torch.tensor([matter]), torch.tensor([redshift]))
    assert found.item() == pytest.approx(wanted, rel=0.02)
