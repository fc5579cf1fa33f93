"""Random views of a batch of pictures: what a survey could have shown instead."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

__all__ = ["Augmentation"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """
    Rotations, reflections, zooms, shifts, gains, greys, blurs and noise.

    Parameters
    ----------
    shape : tuple of int
        Pixels of the views, (ny, nx); they show the pictures' whole field at
        a zoom of 1.
    zoom : tuple of float
        Smallest and largest zoom; drawn evenly in the logarithm.
    shift : float
        Largest shift along an axis, as a part of the field.
    gain : float
        Largest relative change of brightness.
    grey, blur, noise : float
        Probability that a picture loses its colours, its resolution (by up to
        a factor of three), or gets noise (of up to 0.06, in grains of up to 2.5
        pixels).
    mirror : bool
        Whether reflections are allowed.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.training import Augmentation
    >>> views = Augmentation(shape=(32, 32))(torch.rand(4, 3, 48, 48), torch.Generator())
    >>> tuple(views.shape)
    (4, 3, 32, 32)
    """

    shape: tuple[int, int]
    zoom: tuple[float, float] = (0.85, 1.25)
    shift: float = 0.04
    gain: float = 0.2
    grey: float = 0.1
    blur: float = 0.15
    noise: float = 0.25
    mirror: bool = True

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """
        One view of each picture.

        Parameters
        ----------
        pictures : Tensor, shape (n, c, ny, nx)
            Channels between 0 and 1.
        generator : `torch.Generator`
            Source of the randomness.

        Returns
        -------
        views : Tensor, shape (n, c, ny, nx)
            Channels between 0 and 1.
        """
        n, channels = pictures.shape[:2]
        source = {"generator": generator, "device": generator.device, "dtype": torch.float32}

        def uniform(low: float, high: float, *size: int) -> Tensor:
            drawn = torch.rand(*size, **source)
            return low + (high - low) * drawn.to(pictures.device)

        # Numbers of 16 bits would put pixels elsewhere.
        with torch.autocast(pictures.device.type, enabled=False):
            grid = affine_grid(
                self._affine(n, uniform), [n, channels, *self.shape], align_corners=False
            )
        views = grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
        blurred = uniform(0, 1, n) < self.blur
        if blurred.any():
            factor = float(uniform(1.3, 3.0, 1))
            small = [max(1, round(size / factor)) for size in self.shape]
            coarse = interpolate(views[blurred], small, mode="bilinear", antialias=True)
            views[blurred] = interpolate(coarse, self.shape, mode="bilinear")
        grey = uniform(0, 1, n) < self.grey
        views[grey] = views[grey].mean(dim=1, keepdim=True).expand(-1, channels, -1, -1)
        views *= 1 + uniform(-self.gain, self.gain, n, 1, 1, 1)
        sigma = uniform(0, 0.06, n, 1, 1, 1) * (uniform(0, 1, n, 1, 1, 1) < self.noise)
        if sigma.any():
            # The noise of a small galaxy is as coarse as the pixels it was seen with.
            coarse = [round(size / float(uniform(1.0, 2.5, 1))) for size in self.shape]
            grain = torch.randn(n, channels, *coarse, **source).to(pictures.device)
            views += sigma * interpolate(grain, self.shape, mode="bilinear")
        return views.clamp_(0, 1)

    def _affine(self, n: int, uniform: Callable[..., Tensor]) -> Tensor:
        """Maps from the views to the pictures, shape (n, 2, 3)."""
        angle = uniform(0, 2 * math.pi, n)
        scale = torch.exp(-uniform(math.log(self.zoom[0]), math.log(self.zoom[1]), n))
        flip = 1 - 2 * (uniform(0, 1, n) < 0.5 * self.mirror).to(angle)
        cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
        dx, dy = uniform(-2 * self.shift, 2 * self.shift, 2, n)
        return torch.stack(
            [torch.stack([cos * flip, -sin, dx], 1), torch.stack([sin * flip, cos, dy], 1)], 1
        )
