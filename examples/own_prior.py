"""A prior of one's own: any denoiser D(x, σ) ≈ E[x₀ | x₀ + σn = x].

    python examples/own_prior.py [CLEAN]

Here the denoiser is a formula: for a stationary Gaussian of power spectrum S it is the Wiener
filter S/(S + σ²). It serves every task as the network does; here both denoise, and the difference
is what the network knows of speech beside its mean spectrum.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import voxmend
from voxmend import audio
from voxmend.diffusion.denoiser import broadcast
from voxmend.dsp import degrade
from voxmend.metrics.si_snr import si_snr

DEMO = Path(voxmend.__file__).parent / "demo" / "clean.flac"


class GaussianPrior(voxmend.Denoiser):
    """A stationary Gaussian whose spectrum is the mean of recordings, at RMS 0.1."""

    def __init__(self, wave: np.ndarray, taps: int = 1024):
        super().__init__()
        frames = torch.from_numpy(wave).unfold(0, taps, taps // 2) * torch.hann_window(taps)
        power = torch.fft.rfft(frames).abs().square().mean(0)
        self.register_buffer("power", power / power.mean() * self.sigma_data**2)

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        bins = torch.fft.rfft(x)
        power = torch.nn.functional.interpolate(self.power[None, None], bins.shape[-1],
                                                mode="linear", align_corners=True)
        gain = power / (power + broadcast(sigma, x) ** 2)
        return torch.fft.irfft(bins * gain, x.shape[-1])


def main(path: str = str(DEMO)) -> None:
    """Denoises by both priors, told the noise's level, and prints the SI-SNR."""
    rate = 16000
    clean = audio.load(path, rate)[0]
    noisy = degrade.white_noise(clean, 5, 0)
    damage = voxmend.Damage(noise=float(np.std(noisy - clean)))
    print(f"{'noisy':>10}: {si_snr(noisy, clean):6.2f} dB")
    for name, prior in (("Gaussian", GaussianPrior(clean)), ("speech16k", "speech16k")):
        denoised = voxmend.Restorer("denoise", prior=prior)(noisy, rate, damage)
        print(f"{name:>10}: {si_snr(denoised, clean):6.2f} dB")


if __name__ == "__main__":
    main(*sys.argv[1:])
