"""A damage of one's own: clipping on one side, as of a transistor with the wrong bias.

    python examples/own_operator.py [CLEAN]

An operator says how the signal was damaged, y = A(x), and, if it can, which signal near to a guess
explains y. Then every guidance and sampler can use it.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import voxmend
from voxmend import audio
from voxmend.metrics.si_snr import si_snr

DEMO = Path(voxmend.__file__).parent / "demo" / "clean.flac"


class ClipAbove(voxmend.operators.Operator):
    """A(x) = min(x, level)."""

    projects = True

    def __init__(self, level: float):
        self.level = level

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(max=self.level)

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        """What was not clipped is y's; what was lies at the level or above."""
        return torch.where(y >= 0.999 * self.level, torch.maximum(x0, y), y)


def main(path: str = str(DEMO)) -> None:
    """Clips a clean recording above, restores it and prints SI-SNR before and after."""
    rate = 16000
    clean = audio.load(path, rate)[0]
    level = 0.3 * np.abs(clean).max()
    clipped = np.minimum(clean, level)

    # levels within an operator are those of the scaled signal, and without a first guess of its
    # own it starts from noise
    task = replace(voxmend.TASKS["declip"], name="clip above", told=None, native_rate=False,
                   operator=lambda scene: ClipAbove(level * scene.scale), start="noisy",
                   sigma_max=0.2, guidance=voxmend.guidance.Reconstruction(0.5))
    restored = voxmend.Restorer(task)(clipped, rate)
    print(f"clipped {si_snr(clipped, clean):5.2f} dB, restored {si_snr(restored, clean):5.2f} dB")


if __name__ == "__main__":
    main(*sys.argv[1:])
