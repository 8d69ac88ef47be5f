"""Conv-TasNet of the bundled size, made for bf16: its two norms in a block are one that is cheap.

Luo & Mesgarani 2019, figure 1C and eq. 9, without the mean: PReLU and a convolution that has no
bias let a factor pass, so of two divisions by the RMS over frames and channels the first cancels,
and the second may follow the matrix product, which makes fewer channels of many. Residual and skip
are one product, and PReLU's slope stays the 0.25 that it begins with.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from voxmend.networks import register
from voxmend.networks.conv_tasnet import ConvTasNet
from voxmend.networks.convnext import convolved
from voxmend.networks.frame_separator import FrameSeparator
from voxmend.training.recipes import load_recipe


class LeanBlock(nn.Module):
    """W₂ h/rms(h) + b₂, h = PReLU(depthwise(PReLU(W₁x + b₁))). Shape: as `conv_tasnet.Block`."""

    def __init__(self, B: int, H: int, Sc: int, P: int, dilation: int):
        super().__init__()
        self.sizes, self.dilation = [B, Sc], dilation
        self.enter = nn.Linear(B, H)
        self.depthwise = nn.Conv2d(H, H, (1, P), groups=H, bias=False)
        self.leave = nn.Linear(H, B + Sc, bias=False)
        self.shift = nn.Parameter(torch.zeros(B + Sc))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        h = leaky_relu(self.enter(x), 0.25)
        h = leaky_relu(convolved(h, self.depthwise, self.dilation), 0.25)
        scale = (h.square().mean((1, 2), keepdim=True) + 1e-8).rsqrt()
        h = self.leave(h)
        return (h * scale.to(h.dtype) + self.shift.to(h.dtype)).split(self.sizes, -1)


class LeanTasNet(ConvTasNet):
    """Conv-TasNet of such blocks.

    Args and shape: those of `ConvTasNet`.
    """

    def __init__(self, N: int, L: int, B: int, H: int, Sc: int, P: int = 3, X: int = 8, R: int = 2,
                 sources: int = 3):
        super().__init__(N, L, B, H, Sc, P, X, R, sources)
        self.blocks = nn.ModuleList(LeanBlock(B, H, Sc, P, 2**(i % X)) for i in range(R * X))

    def forward(self, mixture: Tensor, _: None = None) -> Tensor:
        return super().forward(mixture)


@register
class LeanTasNetSeparator(FrameSeparator):
    """A FrameSeparator with that in the place of its body, so that its parts add up as well."""

    def __init__(self, **sizes: int):
        nn.Module.__init__(self)
        self.sources, self.body = 2, LeanTasNet(**sizes)


recipe = replace(load_recipe(Path(__file__).with_name("frames.py")), name="conv_tasnet",
                 network="LeanTasNetSeparator", config=ConvTasNet.PRESETS["small"])
