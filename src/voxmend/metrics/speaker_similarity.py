"""Whether it is still the same voice, as an encoder of speakers hears it."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.signal import get_window
from torch import Tensor, nn

from ..dsp.stft import mel_basis
from ._common import WeightsError, find_weights, mono_16k, paired, shipped

RATE, SIZE, HOP, BANDS = 16000, 400, 160, 40
FRAMES, STEP = 160, 77  # of a window of 1.6 s, 1.3 of them a second
COVERED = 0.75  # share of the last window that a clip must reach
LEVEL = 10 ** (-30 / 20)  # RMS that softer clips are brought to
SHORTEST = 1600  # samples, 0.1 s


class VoiceEncoder(nn.Module):
    """GE2E's encoder of speakers, in resemblyzer's sizes and layout.

    (Wan et al. 2018, "Generalized end-to-end loss for speaker verification")

    Shape: mel power spectra `[B, frames, 40]` to embeddings of unit length `[B, 256]`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BANDS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(self.linear(hidden[-1]).relu(), dim=1)


@lru_cache
def load(path: Path) -> VoiceEncoder:
    """The encoder of a file of resemblyzer; raises WeightsError for another kind of file."""
    network = VoiceEncoder()
    try:
        state = torch.load(path, "cpu", weights_only=True)["model_state"]
        network.load_state_dict({key: value for key, value in state.items()
                                 if key.startswith(("lstm", "linear"))})
    except Exception as error:  # torch raises many kinds for files that are others
        reason = " ".join(str(error).split())[:100]
        raise WeightsError(f"{path}: not the encoder of resemblyzer ({reason})") from None
    return network.eval()


def mel_power(wave: np.ndarray) -> np.ndarray:
    """40 mel bands of power spectra: 400 samples (Hann) every 160. Shape: `[T]` to `[n, 40]`."""
    padded = np.pad(wave, SIZE // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    power = np.abs(np.fft.rfft(frames * get_window("hann", SIZE))) ** 2
    return (power @ mel_basis(RATE, SIZE, BANDS).numpy().T.astype(np.float64)).astype(np.float32)


@torch.no_grad()
def embed(network: VoiceEncoder, wave: np.ndarray) -> np.ndarray:
    """The mean direction over windows of 1.6 s of a clip at 16 kHz. Shape: `[T]` to `[256]`.

    As resemblyzer's `embed_utterance` of a clip brought to its level; the last window may reach
    beyond the clip.
    """
    level = np.sqrt(np.mean(wave**2))
    starts = range(0, max(1, len(wave) // HOP + 1 - FRAMES + STEP + 1), STEP)
    if len(starts) > 1 and len(wave) < HOP * (starts[-1] + COVERED * FRAMES):
        starts = starts[:-1]
    padded = np.pad(wave, (0, max(0, HOP * (starts[-1] + FRAMES) - len(wave))))
    mels = mel_power(padded * max(1.0, LEVEL / max(level, 1e-9)))
    windows = np.stack([mels[start:start + FRAMES] for start in starts])
    mean = network(torch.from_numpy(windows)).mean(0)
    return (mean / mean.norm()).numpy()


def speaker_similarity(estimate: ArrayLike, reference: ArrayLike, sample_rate: int,
                       encode: Callable[[np.ndarray], np.ndarray] | None = None) -> float:
    """Cosine between the embeddings of a clip and its original, 1 for the same voice.

    Unlike resemblyzer's own, its encoder hears pauses as well: both clips have the same.

    Args:
        encode: from a signal `[T]` at 16 kHz to a vector; by default the encoder that the package
            resemblyzer ships, or that of `$VOXMEND_RESEMBLYZER`.

    Shape: `[T]`, `[T]` to a float, nan where nothing is heard.

    Raises ValueError for signals that are not finite, not 1-D, differ in length or are shorter than
    0.1 s, WeightsError where there is no encoder.
    """
    waves = [mono_16k(wave, sample_rate, SHORTEST) for wave in paired(estimate, reference)]
    if any(np.ptp(wave) == 0 for wave in waves):
        return np.nan
    if encode is None:
        network = load(find_weights(
            None, "VOXMEND_RESEMBLYZER", shipped("resemblyzer", "resemblyzer/pretrained.pt"),
            "pip install --no-deps resemblyzer, which has them"))
        one, other = (embed(network, wave) for wave in waves)
    else:
        one, other = (encode(wave) for wave in waves)
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))
