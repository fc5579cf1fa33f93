"""Batch norms and activations folded into the convolutions before them."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

__all__ = ["Chain", "FoldedConvolution", "find_chains"]

# What oneDNN can do to a convolution's numbers before they are rounded and written.
_ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.Identity: ("none", []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.SiLU: ("swish", []),
    nn.Hardswish: ("hardswish", []),
}
_WATCHED = (nn.Conv2d, nn.BatchNorm2d, *_ACTIVATIONS)


@dataclass
class Chain:
    """
    A convolution, and the batch norm and activation that alone take what it gives.

    Parameters
    ----------
    convolution : `torch.nn.Conv2d`
        The first of the layers.
    missing : list of int
        Rows and columns that its padding lacks for the size that came out: it
        pads its images itself.
    names : list of str
        Names of all the layers in the network.
    norm : `torch.nn.BatchNorm2d`, optional
        The second.
    activation : `torch.nn.Module`
        The last.
    """

    convolution: nn.Conv2d
    missing: list[int]
    names: list[str]
    norm: nn.BatchNorm2d | None = None
    activation: nn.Module = field(default_factory=nn.Identity)

    def take(self, name: str, layer: nn.Module) -> bool:
        """
        Append a layer, if it can be folded in.

        Parameters
        ----------
        name : str
            Its name in the network.
        layer : `torch.nn.Module`
            What follows.

        Returns
        -------
        taken : bool
            Whether it was appended.
        """
        activation = layer
        if isinstance(layer, nn.BatchNorm2d):
            if len(self.names) > 1 or layer.running_var is None:
                return False
            # Those of timm apply an activation themselves.
            inside = [part for part in layer.children() if not isinstance(part, nn.Identity)]
            activation = inside[0] if inside else nn.Identity()
        if type(activation) not in _ACTIVATIONS:
            return False
        if not isinstance(activation, nn.Identity):
            if not isinstance(self.activation, nn.Identity):
                return False
            self.activation = activation
        if isinstance(layer, nn.BatchNorm2d):
            self.norm = layer
        self.names.append(name)
        return True


class FoldedConvolution(nn.Module):
    """
    A convolution, its batch norm and its activation in one.

    Parameters
    ----------
    chain : Chain
        The layers, which are left as they are.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        layer, norm = chain.convolution, chain.norm
        weight = layer.weight.detach().double()
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().double()
        if norm is not None:
            mean, variance = norm.running_mean, norm.running_var
            assert mean is not None  # noqa: S101
            assert variance is not None  # noqa: S101
            scale = (variance.double() + norm.eps).rsqrt()
            if norm.affine:
                scale = scale * norm.weight.detach()
            bias = (bias - mean) * scale
            if norm.affine:
                bias = bias + norm.bias.detach()
            weight = weight * scale[:, None, None, None]
        self.activation = chain.activation
        self.stride, self.dilation = list(layer.stride), list(layer.dilation)
        self.padding, self.groups = [int(size) for size in layer.padding], layer.groups
        # As TensorFlow does it: an odd one is at the end.
        top, left = (size // 2 for size in chain.missing)
        bottom, right = (size - size // 2 for size in chain.missing)
        self.margins = [left, right, top, bottom]
        if self.groups > 1 and self.dilation == [1, 1]:
            # A kernel that starts with zeros costs a depthwise layer less than to pad its images.
            weight = pad(weight, [right - left, 0, bottom - top, 0])
            self.padding = [self.padding[0] + bottom, self.padding[1] + right]
            self.margins = []
        weight = weight.float().contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias.float())

    def round_weights(self) -> None:
        """Round the weights to bfloat16; a depthwise kernel's errors cancel in its sum."""
        weight = self.weight.clone()
        if self.groups > 1:
            carried = torch.zeros_like(weight[..., 0, 0])
            for row in range(weight.shape[2]):
                for column in range(weight.shape[3]):
                    wanted = weight[..., row, column] + carried
                    weight[..., row, column] = wanted.bfloat16()
                    carried = wanted - weight[..., row, column]
        self.weight = weight.bfloat16()

    def forward(self, images: Tensor) -> Tensor:
        """
        What the layers would give.

        Parameters
        ----------
        images : Tensor, shape (n, c, ny, nx)
            Of any floating-point type.

        Returns
        -------
        images : Tensor, shape (n, c', ny', nx')
            Of the type of the weights.
        """
        images = images.to(self.weight.dtype)
        if any(self.margins):
            images = pad(images, self.margins)
        if images.device.type == "cpu" and _has_onednn(images.dtype):
            return torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
                images,
                self.weight,
                self.bias,
                self.padding,
                self.stride,
                self.dilation,
                self.groups,
                *_ACTIVATIONS[type(self.activation)],
                "",
            )
        with torch.autocast(images.device.type, enabled=False):
            images = conv2d(
                images,
                self.weight,
                self.bias.to(images.dtype),
                self.stride,
                self.padding,
                self.dilation,
                self.groups,
            )
            return self.activation(images)


def _has_onednn(dtype: torch.dtype) -> bool:
    """Whether oneDNN's convolutions are there for a format, on this processor."""
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001


class _Watch:
    """Which layers see which tensors, in the order of time, while a network is called."""

    def __init__(self, module: nn.Module, images: Tensor) -> None:
        self.layers: dict[str, nn.Module] = dict(module.named_modules())
        self.calls: dict[str, list[tuple[Tensor, Tensor]]] = {}
        self._taken: list[tuple[str, tuple[int, int]]] = []
        self._given: dict[str, tuple[int, tuple[int, int]]] = {}
        hooks = []
        for name, layer in self.layers.items():
            if isinstance(layer, _WATCHED):
                hooks.append(layer.register_forward_pre_hook(partial(self._before, name)))
                hooks.append(layer.register_forward_hook(partial(self._after, name)))
        try:
            module.features(images)  # type: ignore[operator]
        finally:
            for hook in hooks:
                hook.remove()

    def _before(self, name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._taken.append((name, _key(inputs[0])))

    def _after(self, name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # Kept, so that no other tensor takes its place in memory.
        self.calls.setdefault(name, []).append((inputs[0], output))
        self._given[name] = len(self._taken), _key(output)

    def follower(self, name: str) -> str | None:
        """The only layer that took what a layer gave, as it was given."""
        place, key = self._given[name]
        takers = [taker for taker, taken in self._taken[place:] if taken == key]
        return takers[0] if len(takers) == 1 and len(self.calls[takers[0]]) == 1 else None


def _key(tensor: Tensor) -> tuple[Any, ...]:
    """Another one once the tensor is written to."""
    return id(tensor), tensor._version  # noqa: SLF001


def find_chains(module: nn.Module, images: Tensor) -> list[Chain]:
    """
    Find the convolutions of a network, and what can be folded into each.

    Parameters
    ----------
    module : `torch.nn.Module`
        In evaluation mode.
    images : Tensor, shape (n, c, ny, nx)
        They are sent through ``module.features`` to see which layer follows
        which.

    Returns
    -------
    chains : list of Chain
        In the order of their calls. Whether anything else takes what is
        between their layers cannot be seen.
    """
    watch = _Watch(module, images)
    chains = []
    for name, calls in watch.calls.items():
        layer = watch.layers[name]
        if (
            not isinstance(layer, nn.Conv2d)
            or layer.padding_mode != "zeros"
            or isinstance(layer.padding, str)
            or len(calls) > 1
        ):
            continue
        ((image, output),) = calls
        missing = [
            max((out - 1) * stride + dilation * (kernel - 1) + 1 - size - 2 * padding, 0)
            for out, size, stride, dilation, kernel, padding in zip(
                output.shape[2:],
                image.shape[2:],
                layer.stride,
                layer.dilation,
                layer.kernel_size,
                layer.padding,
                strict=True,
            )
        ]
        chain = Chain(layer, missing, [name])
        following = watch.follower(name)
        while following is not None and chain.take(following, watch.layers[following]):
            following = watch.follower(following)
        chains.append(chain)
    return chains
