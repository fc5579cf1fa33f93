"""Mixed precision on processors whose bf16 kernels are not all fast."""

import torch
from torch import Tensor, nn

__all__ = ["depthwise_in_fp32"]


def depthwise_in_fp32(module: nn.Module) -> nn.Module:
    """
    Keep depthwise convolutions in fp32 under a bf16 autocast.

    On x86 processors the backward pass of a depthwise convolution with a
    stride, or wider than three pixels, takes up to ten times longer in bf16
    than in fp32; the other layers are faster in bf16.

    Parameters
    ----------
    module : `torch.nn.Module`
        Changed in place: hooks, no new parameters.

    Returns
    -------
    module : `torch.nn.Module`
        The same module.
    """
    for layer in module.modules():
        if (
            isinstance(layer, nn.Conv2d)
            and layer.groups == layer.in_channels > 1
            and (max(layer.stride) > 1 or max(layer.kernel_size) > 3)
        ):
            layer.forward = _InFloat32(layer)
    return module


class _InFloat32:
    """A layer's own forward pass, in fp32; it can be copied and pickled with the layer."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def __call__(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return type(self.layer).forward(self.layer, images.float())
