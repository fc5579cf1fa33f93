"""depthwise_in_fp32."""

import torch
from torch import nn

from astrodlkit.training import depthwise_in_fp32


def test_only_depthwise_layers_leave_bf16():
    seen = {}

    def record(name):
        return lambda _, __, output: seen.update({name: output.dtype})

    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.Conv2d(8, 8, 3, stride=2, groups=8),
        nn.Conv2d(8, 8, 5, groups=8),
        nn.Conv2d(8, 8, 1),
    )
    names = list(module.state_dict())
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    wanted = module(images)
    depthwise_in_fp32(module)
    assert list(module.state_dict()) == names
    torch.testing.assert_close(module(images), wanted)
    for i, layer in enumerate(module):
        layer.register_forward_hook(record(i))
    with torch.autocast("cpu", torch.bfloat16):
        module(images)
    assert seen == {0: torch.bfloat16, 1: torch.float32, 2: torch.float32, 3: torch.bfloat16}
