"""Matter power spectra from CAMB: the linear one to start from and halofit to judge by."""

import camb
import numpy as np
from astropy.cosmology import Planck18

# What is not varied: Planck18's values. Its neutrinos are taken massless, as in PySCo.
FIXED = {
    "H0": float(Planck18.H0.value),
    "Ob0": float(Planck18.Ob0),
    "Tcmb0": float(Planck18.Tcmb0.value),
    "Neff": float(Planck18.Neff),
    "n_s": float(Planck18.meta["n"]),
}
HALOFIT = "takahashi"
# From below the longest wave of the largest box to beyond the corner of the smallest box's mesh.
K_RANGE = (5e-4, 16.0)


class Spectra:
    """
    Linear and halofit spectra of one cosmology.

    Wave numbers in 1/Mpc, spectra in Mpc^3, both comoving and without h.

    Parameters
    ----------
    Om0, sigma8 : float
        Matter density and linear amplitude today.
    redshifts : sequence of float
        Where halofit is wanted.
    """

    def __init__(self, Om0: float, sigma8: float, redshifts: list[float]) -> None:
        h = FIXED["H0"] / 100
        pars = camb.CAMBparams()
        pars.set_cosmology(
            H0=FIXED["H0"],
            ombh2=FIXED["Ob0"] * h**2,
            omch2=(Om0 - FIXED["Ob0"]) * h**2,
            mnu=0,
            nnu=FIXED["Neff"],
            TCMB=FIXED["Tcmb0"],
        )
        pars.InitPower.set_params(As=2e-9, ns=FIXED["n_s"])
        pars.set_matter_power(
            redshifts=sorted({0.0, *redshifts}, reverse=True), kmax=K_RANGE[1] / h
        )
        # The amplitude for this sigma8: sigma8^2 is proportional to As.
        first = camb.get_results(pars).get_sigma8_0()
        pars.InitPower.set_params(As=2e-9 * (sigma8 / first) ** 2, ns=FIXED["n_s"])
        pars.NonLinearModel.set_params(halofit_version=HALOFIT)
        pars.NonLinear = camb.model.NonLinear_both
        results = camb.get_results(pars)
        self._linear, self._halofit = (
            results.get_matter_power_interpolator(
                nonlinear=nonlinear, hubble_units=False, k_hunit=False
            )
            for nonlinear in (False, True)
        )

    def linear(self, k: np.ndarray, redshift: float = 0) -> np.ndarray:
        """The linear spectrum at wave numbers ``k``."""
        return self._linear.P(redshift, k)

    def halofit(self, k: np.ndarray, redshift: float) -> np.ndarray:
        """Takahashi et al. 2012 (ApJ 761, 152)."""
        return self._halofit.P(redshift, k)
