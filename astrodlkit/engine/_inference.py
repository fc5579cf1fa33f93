"""A network as it is run: the same numbers as its own, sooner."""

import threading
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ._folding import FoldedConvolution, find_chains
from ._threads import worker_pool

__all__ = ["InferenceCopies"]

# Held while a copy is looked for or made: threads that share a network share its copies.
_COPYING = threading.Lock()


class InferenceCopies:
    """
    Faster copies of a network, which is left as it is.

    In a copy each batch norm is part of the convolution before it, and each
    activation is applied before the convolution's numbers are rounded and
    written: fewer passes over memory, and fewer roundings. In bfloat16

    * weights are rounded once, after folding; biases are not rounded;
    * the errors of rounding within a depthwise kernel cancel in its sum, which
      is what a smooth image sees;
    * the first convolution, which sees the pixels, stays in float32.

    A copy is made when it is first asked for, and again when parameters or
    buffers of the network were replaced or written to (other than through
    their ``data``, of which torch keeps no count). If a copy does not answer
    as the network does, the network itself is used. Threads may ask at once.

    Parameters
    ----------
    shape : tuple of int, (c, ny, nx)
        Shape of the images; copies take no others.

    Examples
    --------
    >>> import torch
    >>> from astrodlkit.engine import InferenceCopies
    >>> from astrodlkit.networks import TimmNetwork
    >>> network = TimmNetwork("mobilenetv3_small_050", n_classes=3).eval()
    >>> copy = InferenceCopies((3, 64, 64)).get(network, "float32")
    >>> images = torch.rand(2, 3, 64, 64)
    >>> with torch.inference_mode():
    ...     print(torch.allclose(copy(images)["class"], network(images)["class"], atol=1e-5))
    True
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._state: list[tuple[int, int]] = []
        self._copies: dict[str, nn.Module] = {}

    def get(self, module: nn.Module, precision: str) -> nn.Module:
        """
        The copy for a precision.

        Parameters
        ----------
        module : `torch.nn.Module`
            In evaluation mode; ``module(images)`` gives a dict of tensors and
            ``module.features(images)`` a tensor.
        precision : {"float32", "bfloat16"}
            As of `run_batches`, which takes what is returned.

        Returns
        -------
        copy : `torch.nn.Module`
            For inference only.
        """
        with _COPYING:
            state = _state(module)
            if state != self._state:
                self._state, self._copies = state, {}
            if precision not in self._copies:
                with worker_pool(1, threads=1) as pool:
                    made = pool.submit(_copy, module, self._shape, precision)
                    self._copies[precision] = made.result()
            return self._copies[precision]


def _copy(module: nn.Module, shape: tuple[int, ...], precision: str) -> nn.Module:
    with torch.no_grad():  # of this thread
        return _folded(module, shape, precision)


def _folded(module: nn.Module, shape: tuple[int, ...], precision: str) -> nn.Module:
    tensors = list(module.parameters())
    if not tensors:
        return module
    images = torch.randn(
        (2, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.float32
    )
    images = images.to(tensors[0].device, memory_format=torch.channels_last)
    # The copy's layers are watched: other threads may be using the network's.
    copy = deepcopy(module)
    layers = []
    for chain in find_chains(copy, images):
        layers.append(FoldedConvolution(chain))
        _put(copy, chain.names[0], layers[-1])
        for name in chain.names[1:]:
            _put(copy, name, nn.Identity())
    # What is folded may have been needed elsewhere too: the numbers tell.
    pairs = zip(_answers(module, images), _answers(copy, images), strict=True)
    if not all((a - b).abs().max() <= 1e-3 * a.abs().max() for a, b in pairs):
        return module
    if precision == "bfloat16":
        for layer in layers[1:]:
            layer.round_weights()
    return copy


def _answers(module: Any, images: Tensor) -> list[Tensor]:
    return [module.features(images), *module(images).values()]


def _put(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, layer)


def _state(module: nn.Module) -> list[tuple[int, int]]:
    """Something else once a parameter or buffer is replaced or written to."""
    tensors = [*module.parameters(), *module.buffers()]
    return [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors]  # noqa: SLF001
