"""Change of the pixel grid of a batch of stamps; the one place here that needs torch."""

import numpy as np

__all__ = ["resize"]


def resize(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """
    Resize stamps, averaging over the old pixels where the new ones are larger.

    Parameters
    ----------
    images : `~numpy.ndarray`, shape (n, c, ny, nx)
        Stamps.
    shape : tuple of int
        The new (ny, nx).

    Returns
    -------
    resized : `~numpy.ndarray` of float32, shape (n, c, *shape)
        The same field of view; surface brightness is kept.
    """
    images = np.ascontiguousarray(images, dtype=np.float32)
    if images.shape[2:] == tuple(shape) or not len(images):
        return (
            images
            if images.shape[2:] == tuple(shape)
            else np.zeros((*images.shape[:2], *shape), dtype=np.float32)
        )
    import torch

    return torch.nn.functional.interpolate(
        torch.from_numpy(images), tuple(shape), mode="bilinear", antialias=True
    ).numpy()
