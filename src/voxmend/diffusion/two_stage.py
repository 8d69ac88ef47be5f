"""Denoisers whose estimate a second network corrects."""

import math

import torch
from torch import Tensor, nn

from .denoiser import EDMDenoiser, Wrapper, edm_coefficients, per_channel


class TwoStageDenoiser(Wrapper):
    """A denoiser D and a network F that corrects its estimates.

    D'(x, σ) = D(x, σ) + c_out·F((x, D(x, σ))/σ_d, ln σ/4), with c_out of `edm_coefficients`. What D
    is told of a recording, it is told alone (`innermost`): F has learnt nothing of it.

    Args:
        network: of two signals in and one out.

    Shape: as `Denoiser`.
    """

    def __init__(self, denoiser: EDMDenoiser, network: nn.Module):
        super().__init__(denoiser)
        self.network = network
        first, second = denoiser.receptive_field, getattr(network, "receptive_field", None)
        self.receptive_field = None if first is None or second is None else first + second
        self.hop = math.lcm(denoiser.hop, getattr(getattr(network, "stft", None), "hop", 1))

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        flat, levels = per_channel(x, sigma)
        estimate = self.denoiser(flat, levels.flatten())
        heard = torch.cat([flat, estimate], 1) / self.sigma_data
        c_out = edm_coefficients(levels, self.sigma_data)[1]
        said = self.network(heard, levels.flatten().log() / 4)
        return (estimate + c_out * said).reshape(x.shape)
