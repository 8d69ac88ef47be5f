"""Fréchet DeepSpeech distance."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from ._common import WeightsError, find_weights, load_state_dict, mono_16k
from .frechet import frechet_distance

DEFAULT = Path("~/.cache/voxmend/an4_pretrained_v2.pth")


class DeepSpeech2(nn.Module):
    """DeepSpeech 2 up to its last recurrent layer, in deepspeech.pytorch's variant and key layout.

    Two convolutions over frequency and time, then bidirectional recurrent layers whose directions
    are summed. (Amodei et al. 2016)

    Args:
        cell: nn.LSTM or nn.GRU.
        hidden: size of a recurrent layer.
        layers: number of recurrent layers.

    Shape: spectrogram `[161, frames]` to features `[⌈frames/2⌉, hidden]`.
    """

    def __init__(self, cell: type[nn.LSTM | nn.GRU], hidden: int, layers: int):
        super().__init__()
        convolutions = nn.Sequential(
            nn.Conv2d(1, 32, (41, 11), (2, 2), (20, 5)), nn.BatchNorm2d(32), nn.Hardtanh(0, 20),
            nn.Conv2d(32, 32, (21, 11), (2, 1), (10, 5)), nn.BatchNorm2d(32), nn.Hardtanh(0, 20))
        self.conv = nn.ModuleDict({"seq_module": convolutions})
        self.rnns = nn.ModuleList()
        for i in range(layers):
            layer: dict[str, nn.Module] = {
                "rnn": cell(hidden if i else 32 * 41, hidden, bidirectional=True)}
            if i:
                layer["batch_norm"] = nn.ModuleDict({"module": nn.BatchNorm1d(hidden)})
            self.rnns.append(nn.ModuleDict(layer))

    def forward(self, spectrogram: Tensor) -> Tensor:
        x = self.conv["seq_module"](spectrogram[None, None])
        x = x.flatten(1, 2)[0].T
        for i, layer in enumerate(self.rnns):
            if i:
                x = layer.get_submodule("batch_norm.module")(x)
            forwards, backwards = layer.get_submodule("rnn")(x)[0].chunk(2, dim=-1)
            x = forwards + backwards
        return x


@lru_cache
def load(path: Path) -> DeepSpeech2:
    """The network of a deepspeech.pytorch checkpoint, sizes and cell read off its weights.

    Raises WeightsError for another kind of checkpoint.
    """
    state = load_state_dict(path)
    try:
        gates, hidden = state["rnns.0.rnn.weight_hh_l0"].shape
        layers = len([key for key in state if re.fullmatch(r"rnns\.\d+\.rnn\.weight_hh_l0", key)])
        network = DeepSpeech2({3: nn.GRU, 4: nn.LSTM}[gates // hidden], hidden, layers)
        network.load_state_dict({k: v for k, v in state.items() if k.startswith(("conv", "rnns"))})
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: not a bidirectional DeepSpeech 2 of deepspeech.pytorch "
                           f"({reason})") from None
    return network.eval()


def log_spectrogram(wave: np.ndarray) -> Tensor:
    """log(1 + |S|) of 20 ms (Hann) every 10 ms, brought to mean 0 and deviation 1 over the clip.

    So does speech_distances (github.com/AndreevP/speech_distances, its class
    DeepSpeechInputFeatureExtractor), Hann's window and all, though deepspeech.pytorch trains with
    Hamming's by default.

    Shape: `[T]` at 16 kHz to `[161, T // 160 + 1]`, float32.
    """
    spectrum = torch.stft(torch.from_numpy(wave).float(), 320, 160, window=torch.hann_window(320),
                          return_complex=True)
    levels = spectrum.abs().log1p()
    return (levels - levels.mean()) / (levels.std() + 1e-12)


def fdsd(estimates: Sequence[ArrayLike], references: Sequence[ArrayLike], sample_rate: int,
         weights: str | Path | None = None) -> float:
    """Fréchet distance of two sets of clips over DeepSpeech 2 features; lower is better.

    A clip's features are the mean over time of the last recurrent layer. (Bińkowski et al. 2020,
    GAN-TTS, whose own network exists for TensorFlow 1 only; here that of UnDiff's authors, whose
    package speech_distances takes an4_pretrained_v2.pth of deepspeech.pytorch.) Figures compare
    between equal weights and equal numbers of clips only: with fewer clips than features (1024
    there) the distance grows as their number falls.

    Args:
        weights: a checkpoint of deepspeech.pytorch; default `$VOXMEND_DEEPSPEECH` or
            ~/.cache/voxmend/an4_pretrained_v2.pth.

    Shape: lists of `[T]` to a float.

    Raises ValueError for clips that are not finite, not 1-D or shorter than 20 ms and for sets of
    less than two clips, WeightsError for weights that are missing or others.
    """
    waves = [[mono_16k(clip, sample_rate, shortest=320) for clip in clips]
             for clips in (estimates, references)]
    network = load(find_weights(
        weights, "VOXMEND_DEEPSPEECH", DEFAULT,
        "fetch it from the releases (v2.0) of SeanNaren/deepspeech.pytorch and save it there"))
    with torch.inference_mode():
        sets = [np.array([network(log_spectrogram(wave)).mean(0).numpy() for wave in clips])
                for clips in waves]
    return frechet_distance(*sets)
