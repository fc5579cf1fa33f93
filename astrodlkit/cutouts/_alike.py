"""Which images go together: one answer is made of several bands, or one array of several tiles."""

from collections.abc import Mapping

import numpy as np

from ._image import Image, conversion

__all__ = ["blank_like", "misfits"]


def misfits(images: Mapping[str, Image], like: Image | None = None) -> dict[str, str]:
    """
    The images that do not go with the others, and why.

    Parameters
    ----------
    images : dict of Image
        By band.
    like : Image or None
        An image with which all must go; None: only with each other.

    Returns
    -------
    why : dict of str
        In words, by band; those that are not in it go together.
    """
    every = list(images.values()) if like is None else [like]
    # One that says nothing does not decide for those that do, nor one for many.
    units = [image.unit for image in every if image.unit is not None]
    votes = [sum(conversion(other, unit) is not None for other in units) for unit in units]
    unit = units[votes.index(max(votes))] if units else None
    sure = any(image.uncertainty is not None for image in every)
    why = {}
    for band, image in images.items():
        if image.unit is None and unit is not None:
            why[band] = f"it has no unit, unlike others, {unit}"
        elif conversion(image.unit, unit) is None:
            why[band] = f"its unit is {image.unit}, and does not become that of others, {unit}"
        elif (image.uncertainty is not None) != sure:
            why[band] = f"it has {'no' if sure else 'an'} uncertainty, unlike others"
    return why


def blank_like(image: Image, like: Image) -> Image:
    """An image without pixels on the grid of one, in the unit of another."""
    nothing = np.broadcast_to(np.zeros((), image.dtype), image.shape)
    sure = like.uncertainty is not None
    return Image(nothing, image.wcs, like.unit, uncertainty=nothing if sure else None)
