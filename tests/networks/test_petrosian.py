"""Petrosian radii against analytic profiles, and how templates end."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq

from astrodlkit.networks._petrosian import (
    END,
    FADE,
    elliptic_radius,
    petrosian_fade,
    petrosian_radius,
)


def expected(index, scale):
    """Where a profile exp(-(r / scale)^(1 / index)) is a fifth of its mean within."""

    def brightness(r):
        return np.exp(-((r / scale) ** (1 / index)))

    def over(r):
        return brightness(r) - 0.2 * 2 / r**2 * quad(lambda x: x * brightness(x), 0, r)[0]

    return brentq(over, 0.1 * scale, 60)


@pytest.mark.parametrize("axis_ratio", [1.0, 0.6, 0.25])
@pytest.mark.parametrize(("index", "scale"), [(0.5, 12.0), (1.0, 6.0), (2.0, 1.2)])
def test_it_is_that_of_a_sersic_profile(index, scale, axis_ratio):
    radius = elliptic_radius(80, torch.tensor([axis_ratio]))
    light = torch.exp(-((radius / scale) ** (1 / index)))
    assert petrosian_radius(light, radius) == pytest.approx(expected(index, scale), rel=0.02)


def test_a_gap_between_nucleus_and_ring_is_not_the_end():
    radius = elliptic_radius(80, torch.tensor([0.7]))
    disc = torch.exp(-radius / 6)
    gap = 1 - 0.95 * torch.exp(-(((radius - 8) / 3) ** 2))
    nucleus = 5 * torch.exp(-((radius / 1.5) ** 2))
    found = petrosian_radius(disc * gap + nucleus, radius)
    assert found == pytest.approx(float(petrosian_radius(disc, radius)), rel=0.2)


def test_light_in_other_units_has_the_same():
    radius = elliptic_radius(80, torch.tensor([0.5, 0.5]))
    light = torch.exp(-radius / 6) * torch.tensor([1.0, 1e-6])[:, None, None]
    first, second = petrosian_radius(light, radius)
    assert first == pytest.approx(float(second), rel=1e-4)


def test_it_is_not_beyond_the_picture():
    radius = elliptic_radius(80, torch.ones(2))
    light = torch.stack([torch.ones(80, 80), torch.zeros(80, 80)])
    found = petrosian_radius(light, radius)
    assert torch.isfinite(found).all()
    assert (found <= 40).all()


def test_templates_fade_between_two_ellipses():
    radius = elliptic_radius(80, torch.tensor([0.5]))
    fade = petrosian_fade(radius, torch.tensor([15.0]))
    further = radius / 15 / END
    assert (fade[further < 1] == 1).all()
    assert (fade[further > 1 + FADE].abs() < 1e-6).all()
    between = (further > 1) & (further < 1 + FADE)
    order = radius[between].argsort()
    assert (fade[between][order].diff() <= 0).all()
    assert float(fade[between].max() - fade[between].min()) > 0.9
