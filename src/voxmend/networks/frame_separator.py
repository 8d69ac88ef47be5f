"""Separator of voices: a frame-wise ConvNeXt with attention over the whole segment."""

from typing import Any, ClassVar

from torch import Tensor, nn

from . import Presets, register
from .convnext import FrameConvNeXt


@register
class FrameSeparator(nn.Module):
    """Parts a mixture into voices and what is no voice; the parts add up to the mixture.

    Attention over all frames says which voice is whose from the segment's beginning to its end.
    Each part is the mixture's spectrum under a complex mask and a correction; what the parts lack
    of the mixture is shared among them alike.

    Args:
        channels, blocks, kernel, dilations, expansion, n_fft, hop, attention: of `FrameConvNeXt`.
        sources: number of voices.

    Shape: `[B, 1, T]` to `[B, sources, T]`; `parts` to `[B, sources + 1, T]`, the rest last.
    """

    bears_bf16 = True
    PRESETS: ClassVar[Presets] = {"small": {}}

    def __init__(self, channels: int = 384, blocks: int = 8, kernel: int = 7,
                 dilations: tuple[int, ...] = (1, 2, 4, 8), expansion: int = 3, n_fft: int = 512,
                 hop: int = 128, attention: int = 2, sources: int = 2):
        super().__init__()
        self.sources = sources
        self.body = FrameConvNeXt(channels, blocks, kernel, dilations, expansion, n_fft, hop,
                                  outputs=sources + 1, log_magnitude=True, attention=attention,
                                  conditioned=False)
        nn.init.normal_(self.body.leave.weight, std=0.02)  # voices that begin alike stay so long

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles the body, which both `forward` and `parts` call."""
        self.body.compile(*args, **kwargs)

    def parts(self, mixture: Tensor) -> Tensor:
        """The voices, and the rest."""
        level = mixture.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-8)
        scaled = mixture / level
        parts = self.body(scaled, None).float()
        missing = (scaled - parts.sum(1, keepdim=True)) / parts.shape[1]
        return level * (parts + missing)

    def forward(self, mixture: Tensor) -> Tensor:
        return self.parts(mixture)[:, :self.sources]
