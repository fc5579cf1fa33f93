"""Augmentation."""

import pytest
import torch

from astrodlkit.training import Augmentation

PLAIN = {"zoom": (1.0, 1.0), "shift": 0.0, "gain": 0.0, "grey": 0.0, "blur": 0.0, "noise": 0.0}


@pytest.fixture
def blobs():
    """Four blobs off the centre, red ones."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    blob = torch.exp(-((x - 30) ** 2 + (y - 23.5) ** 2) / 18)
    return (blob * torch.tensor([0.8, 0.4, 0.2])[:, None, None]).repeat(4, 1, 1, 1)


def moments(pictures):
    """Flux and centre of the sum over the bands."""
    total = pictures.sum(dim=1)
    n = total.shape[-1]
    flux = total.sum(dim=(1, 2))
    axis = torch.arange(n) - (n - 1) / 2
    x = (total.sum(dim=1) * axis).sum(dim=1) / flux
    y = (total.sum(dim=2) * axis).sum(dim=1) / flux
    return flux, x, y


def test_rotation_keeps_flux_and_distance(blobs):
    views = Augmentation(shape=(48, 48), **PLAIN)(blobs, torch.Generator().manual_seed(1))
    flux, x, y = moments(views)
    wanted, x0, y0 = moments(blobs)
    torch.testing.assert_close(flux, wanted, rtol=0.01, atol=0)
    torch.testing.assert_close(x.hypot(y), x0.hypot(y0), rtol=0.01, atol=0)
    assert x.std() > 1


def test_zoom_is_about_the_centre(blobs):
    options = {**PLAIN, "zoom": (1.25, 1.25)}
    views = Augmentation(shape=(48, 48), **options)(blobs, torch.Generator().manual_seed(1))
    flux, x, y = moments(views)
    wanted, x0, y0 = moments(blobs)
    torch.testing.assert_close(flux, wanted * 1.25**2, rtol=0.01, atol=0)
    torch.testing.assert_close(x.hypot(y), 1.25 * x0.hypot(y0), rtol=0.01, atol=0)


def test_mirrors_come_up_and_can_be_forbidden():
    # The letter L tells a mirror image from a rotated one.
    letter = torch.zeros(1, 3, 33, 33)
    letter[..., 8:25, 12] = 1
    letter[..., 24, 12:20] = 1
    pictures = letter.repeat(64, 1, 1, 1)

    def handedness(views):
        _, x, y = moments(views)
        total = views.sum(dim=1)
        axis = torch.arange(33) - 16.0
        dx, dy = axis[None, None, :] - x[:, None, None], axis[None, :, None] - y[:, None, None]
        # The third moment along the long axis times that across it changes sign in a mirror.
        angle = (
            0.5
            * torch.atan2(
                2 * (total * dx * dy).sum(dim=(1, 2)), (total * (dx**2 - dy**2)).sum(dim=(1, 2))
            )[:, None, None]
        )
        along = dx * angle.cos() + dy * angle.sin()
        across = dy * angle.cos() - dx * angle.sin()
        return ((total * along**3).sum(dim=(1, 2)) * (total * across**3).sum(dim=(1, 2))).sign()

    both = handedness(Augmentation(shape=(33, 33), **PLAIN)(pictures, torch.Generator()))
    one = handedness(
        Augmentation(shape=(33, 33), **PLAIN, mirror=False)(pictures, torch.Generator())
    )
    assert 16 < int((both > 0).sum()) < 48
    assert len(one.unique()) == 1


def test_grey(blobs):
    views = Augmentation(shape=(48, 48), **{**PLAIN, "grey": 1.0})(blobs, torch.Generator())
    torch.testing.assert_close(views[:, 0], views[:, 2])


def test_blur_lowers_the_peak(blobs):
    sharp = Augmentation(shape=(48, 48), **PLAIN)(blobs, torch.Generator().manual_seed(2))
    options = {**PLAIN, "blur": 1.0}
    soft = Augmentation(shape=(48, 48), **options)(blobs, torch.Generator().manual_seed(2))
    assert bool((soft.amax(dim=(1, 2, 3)) < sharp.amax(dim=(1, 2, 3))).all())


def test_same_generator_same_views_and_global_state_untouched(blobs):
    before = torch.random.get_rng_state()
    augmentation = Augmentation(shape=(40, 40))
    one = augmentation(blobs, torch.Generator().manual_seed(5))
    two = augmentation(blobs, torch.Generator().manual_seed(5))
    assert torch.equal(one, two)
    assert torch.equal(before, torch.random.get_rng_state())
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1


def test_sixteen_bits_move_nothing(blobs):
    """A grid of 8 bits of precision would be a fifth of a pixel off."""
    augmentation = Augmentation(shape=blobs.shape[-2:])
    with torch.autocast("cpu", torch.bfloat16):
        views = augmentation(blobs, torch.Generator().manual_seed(3))
    assert torch.equal(views, augmentation(blobs, torch.Generator().manual_seed(3)))
