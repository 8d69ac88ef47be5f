"""Distance of two sets of clips by their log-mel-spectrograms."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..operators import Mel
from ._common import mono_16k
from .frechet import frechet_distance


def log_mel_frames(wave: np.ndarray) -> np.ndarray:
    """80 log-mel bands (`operators.Mel`, floor 1e-5) and their change since the frame before.

    The clip is first brought to RMS 0.1, so loudness does not count.

    Shape: `[T]` at 16 kHz to `[T // 256 - 1, 160]`.
    """
    wave = wave * (0.1 / max(np.sqrt(np.mean(wave**2)), 1e-8))
    mel = Mel()(torch.from_numpy(wave)[None, None])[0, 0].T.clamp(min=1e-5).log().numpy()
    return np.concatenate([mel[1:], np.diff(mel, axis=0)], axis=1)


def frechet_logmel(estimates: Sequence[ArrayLike], references: Sequence[ArrayLike],
                   sample_rate: int) -> float:
    """Fréchet distance of two sets of clips over all their log-mel frames; lower is better.

    It needs no weights and is *not* FDSD: it sees timbre and its change from frame to frame, no
    words. Every frame is one sample, so a few clips already give Σ its full rank. With one vector
    per clip (mean and deviation of each band), two sets of clean speech are 2.3 times as far apart
    at 100 clips of 4 s, and damaged ones no farther.

    Shape: lists of `[T]` to a float.

    Raises ValueError for clips that are not finite, not 1-D or shorter than 32 ms, and for empty
    sets.
    """
    def frames(clips: Sequence[ArrayLike]) -> np.ndarray:
        rows = [log_mel_frames(mono_16k(c, sample_rate, shortest=512)) for c in clips]
        return np.concatenate(rows or [np.empty((0, 160))])

    return frechet_distance(frames(estimates), frames(references))
