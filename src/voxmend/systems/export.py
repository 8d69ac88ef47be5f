"""What of each kind of weights is exported: the part of its use that is a function of tensors."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

from ..diffusion.told import ToldDenoiser
from ..models import hub
from ..models.export import ExportError, Function
from . import conv_tasnet, segan
from .score_models import MODELS

TOLD = ("sample_rate", "prediction", "sigma_data", "sigma_min", "sigma_max", "betas", "process",
        "dim", "data", "licence")  # of a card, in the file
SIGNAL = ("batch", 1, "samples")


class PosteriorMean(nn.Module):
    """`ToldDenoiser.posterior_mean` as a module. Shape: recording and noise `[B, 1, T]` alike."""

    def __init__(self, prior: ToldDenoiser):
        super().__init__()
        self.prior = prior

    def forward(self, recording: Tensor, noise: Tensor) -> Tensor:
        return self.prior.posterior_mean(recording, noise)


class Emphasised(nn.Module):
    """A SEGAN from recordings at `segan.LEVEL` to speech, pre-emphasis and its inverse included.

    The inverse, x(t) = Σ_k 0.95^k y(t − k), ends where it is below 1e-9.

    Shape: `[B, 1, T]` to the same.
    """

    def __init__(self, network: nn.Module, taps: int = 405):
        super().__init__()
        self.network, self.taps = network, taps
        decay = segan.PRE_EMPHASIS ** torch.arange(taps, dtype=torch.float64).flip(0)
        self.decay = nn.Buffer(decay.float()[None, None])

    def forward(self, recording: Tensor) -> Tensor:
        wave = self.network(segan.emphasise(recording))
        return conv1d(pad(wave, (self.taps - 1, 0)), self.decay)


def function_of(name_or_path: str) -> Function:
    """A bundled network, or one of a .safetensors, as what is exported of it.

    | prediction | inputs | output |
    |---|---|---|
    | of a prior of waveforms | signal in noise, σ | clean signal |
    | told | recording at RMS 0.1, white noise | speech |
    | sources | mixture of any level | voices |
    | speech | recording at RMS 0.1 | speech |
    | embedding | signal | embedding |
    | score, differences | x_t and mixture, noise level | what the network says of them |
    | regeneration | error, estimate, what it leaves; noise level | the same |
    | spectrogram | bins, step | noise in the bins |

    Raises `hub.PriorError`, and ExportError for weights that are of no use as a function.
    """
    path = hub.find_prior(name_or_path)
    card = hub.read_card(path)
    kind = card.get("prediction")
    about = {key: card[key] for key in TOLD if key in card}
    if kind == "voices":
        raise ExportError(f"{path.stem}: draws voices by a sampler, which ONNX does not hold; only "
                          "functions of tensors are exported")
    if kind == "sources":
        return Function(conv_tasnet.load_separator(path), {"mixture": SIGNAL}, "voices", about)
    if kind in hub.PRIORS:
        prior = hub.load_prior(str(path))
        if isinstance(prior, ToldDenoiser):
            return Function(PosteriorMean(prior), {"recording": SIGNAL, "noise": SIGNAL}, "speech",
                            about)
        return Function(prior, {"noisy": SIGNAL, "sigma": ("batch",)}, "clean", about)
    network: Any = hub.load_network(path, card)
    if kind == "speech":
        return Function(Emphasised(network), {"recording": SIGNAL}, "speech", about)
    if kind == "embedding":
        return Function(network, {"signal": SIGNAL}, "embedding", about)
    if kind == "spectrogram":
        rows = network.shape(0)[1]
        return Function(network, {"bins": ("batch", 2, rows, "frames"), "step": ("batch",)},
                        "noise", about)
    if kind in MODELS:
        return Function(network, {"signals": ("batch", network.inputs, "samples"),
                                  "noise_level": ("batch",)}, kind, about)
    raise ExportError(f"{path}: predicts {kind}, of which no function is known")
