"""Priors of the bins of an STFT, each with noise of its own: what Diffiner's refiner samples from.

A prior of waveforms and a network of complex spectra have the same face here:

    prior.bins            wave `[B, T]` to bins `[B, 2, rows, frames]` and back
    prior(bins, sigma)    clean bins out of noisy ones, each part of which has noise of std sigma
    prior.noise(seeds)    draws such noise of unit level, as the prior knows it
    prior.levels(steps)   the noise levels of a sampler, of at most `prior.most` steps

Their noise differs. A network of spectra was trained with noise that is independent in every bin;
a prior of waveforms with white noise, whose bins are correlated: of bins that are independent
hardly a signal has the spectrum (at a hop of a quarter of the window, `inverse` keeps a quarter of
their energy). So for the latter noise is drawn as a waveform and transformed.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ..diffusion.chunked import ChunkedDenoiser, NoiseStream
from ..diffusion.denoiser import Denoiser, EpsilonDenoiser, broadcast
from ..diffusion.schedules import betas_to_sigmas, build_betas, karras_grid
from ..dsp.stft import STFT
from ..models import hub
from ..training.corpus import Corpus
from ..training.recipes import EpsilonRecipe, Source, fresh_network


class Bins:
    """Real and imaginary parts of an STFT, of unit variance for white noise of unit variance.

    Args:
        n_fft, hop: in samples.
        sample_rate: Hz.
        tilt: f₀ in Hz of a weight √(1 + (f/f₀)²) of the bins at f, which makes the spectrum of
            speech level; None leaves it out.
        first: row of the first bin, 1 leaves out the constant.
        multiple: silence is added until the number of frames is a multiple of it.

    Shape: `analyse` takes `[B, T]` to `[B, 2, rows, frames]`, `synthesise` back to `[B, length]`.
    """

    def __init__(self, n_fft: int = 512, hop: int = 128, sample_rate: int = 16000,
                 tilt: float | None = None, first: int = 0, multiple: int = 1):
        self.stft, self.hop, self.first, self.multiple = STFT(n_fft, hop), hop, first, multiple
        frequencies = torch.arange(first, n_fft // 2 + 1) * sample_rate / n_fft
        weights = (1 + (frequencies / tilt) ** 2).sqrt() if tilt else torch.ones(len(frequencies))
        self.weights = math.sqrt(2) * weights[:, None]
        self.rows = len(frequencies)

    def analyse(self, wave: Tensor) -> Tensor:
        frames = math.ceil(wave.shape[-1] / self.hop) + 1
        wave = pad(wave, (0, (frames + -frames % self.multiple - 1) * self.hop - wave.shape[-1]))
        spectrum = self.stft.forward(wave)[..., self.first:].mT
        return torch.stack([spectrum.real, spectrum.imag], 1) * self.weights.to(wave)

    def synthesise(self, bins: Tensor, length: int) -> Tensor:
        spectrum = torch.complex(*(bins / self.weights.to(bins)).unbind(1)).mT
        return self.stft.inverse(pad(spectrum, (self.first, 0)), length)


class WaveformPrior(nn.Module):
    """A denoiser of waveforms, applied to bins: those of the signal that is nearest to them.

    Shape: bins `[B, 2, rows, frames]` to the same; sigma a scalar.
    """

    most = sys.maxsize

    def __init__(self, denoiser: Denoiser, n_fft: int = 512, hop: int = 128):
        super().__init__()
        chunks = denoiser.receptive_field is not None
        self.denoiser = ChunkedDenoiser(denoiser) if chunks else denoiser
        self.sample_rate, self.sigma_data = denoiser.sample_rate, denoiser.sigma_data
        self.bins = Bins(n_fft, hop, self.sample_rate)

    def _samples(self, bins: Tensor) -> int:
        return (bins.shape[-1] - 1) * self.bins.hop

    def forward(self, bins: Tensor, sigma: Tensor | float) -> Tensor:
        wave = self.bins.synthesise(bins, self._samples(bins))
        return self.bins.analyse(self.denoiser(wave[:, None], sigma)[:, 0])

    def noise(self, seeds: Sequence[int],
              start: int | Sequence[int] = 0) -> Callable[[Tensor], Tensor]:
        """White noise of a recording from sample `start` on, as bins like those given.

        Args:
            start: of all items or of each.
        """
        stream = NoiseStream(seeds, start)

        def draw(like: Tensor) -> Tensor:
            wave = like.new_empty(len(like), 1, self._samples(like))
            return self.bins.analyse(stream(wave)[:, 0])

        return draw

    def levels(self, steps: int) -> Tensor:
        """Falling noise levels around that of speech, the last 0. Shape: `[steps + 1]`, float64."""
        return karras_grid(steps, 5 * self.sigma_data, 0.05 * self.sigma_data)


def bins_of(network: Any, sample_rate: int) -> Bins:
    """The bins that a network of spectra is made for."""
    return Bins(network.n_fft, network.hop, sample_rate, network.tilt, 1, network.multiple)


class SpectrogramPrior(EpsilonDenoiser):
    """An ε-network of complex spectra, told the step of its schedule.

    Args:
        network: noisy bins `[B, 2, rows, frames]` and steps `[B]` to their noise; knows the
            `n_fft`, `hop`, `tilt` and `multiple` of its `Bins`, without the constant.
        betas: the schedule it was trained with.
        sigma_data: RMS of the waveforms whose bins it was trained on.

    Shape: bins `[B, 2, rows, frames]` to the same; sigma a scalar or `[B]`.
    """

    def __init__(self, network: nn.Module, betas: Tensor, sample_rate: int, sigma_data: float):
        super().__init__(network, betas, sample_rate, sigma_data, lambda step, beta: step)
        self.bins, self.most = bins_of(network, sample_rate), len(betas)

    def forward(self, bins: Tensor, sigma: Tensor | float) -> Tensor:
        return self.denoise(bins, broadcast(sigma, bins).expand(len(bins), 1, 1, 1))

    def noise(self, seeds: Sequence[int],
              start: int | Sequence[int] = 0) -> Callable[[Tensor], Tensor]:
        """Independent noise of a recording from sample `start`, a multiple of the hop, on.

        Args:
            start: of all items or of each.
        """
        numbers = (np.asarray(start) // self.bins.hop * 2 * self.bins.rows).tolist()
        stream = NoiseStream(seeds, numbers)

        def draw(like: Tensor) -> Tensor:
            frames = like.permute(0, 3, 1, 2)
            return stream(frames.flatten(1)[:, None]).view(frames.shape).permute(0, 2, 3, 1)

        return draw

    def levels(self, steps: int) -> Tensor:
        """The levels of every so-manieth step of the schedule, falling, the last 0.

        Shape: `[steps + 1]`, float64. Raises ValueError for more steps than it has.
        """
        every = self.most // steps
        if not every:
            raise ValueError(f"{steps} steps, but the prior's schedule has {self.most}")
        sigmas = betas_to_sigmas(self.betas.cpu().double())[:every * steps:every]
        return torch.cat([sigmas.flip(0), sigmas.new_zeros(1)])


PRIORS = (*hub.PRIORS, "spectrogram")  # what cards say of them


def load_prior(name_or_path: str = hub.DEFAULT,
               device: str = "cpu") -> WaveformPrior | SpectrogramPrior:
    """A prior of bins by name or path, of spectra or of waveforms; raises `hub.PriorError`."""
    path = hub.find_prior(name_or_path, PRIORS)
    card = hub.read_card(path)
    if card.get("prediction") != "spectrogram":
        return WaveformPrior(hub.load_prior(str(path), device)).to(device)
    with hub.fitting(path):
        return SpectrogramPrior(hub.load_network(path, card, device), build_betas(card["betas"]),
                                card["sample_rate"], card["sigma_data"]).eval().to(device)


@dataclass
class SpectrogramRecipe(EpsilonRecipe):
    """How to train the ε-network of a DDPM of complex spectra: Diffiner's prior.

    Loss: E ‖ε − ε_θ(√ᾱ_t X + √(1 − ᾱ_t) ε, t)‖² over bins, t uniform, by Adam. Bins stay linear,
    since speech and noise add up in them, and only there is the likelihood of each a Gaussian; what
    can be evened out is their level over frequency (`tilt`) and what the network sees of them (its
    `compression`). Defaults are those of Diffiner's compact variant: about 16 384 samples as
    2 × 256 × 256, and 50 steps.
    """

    seconds: float = 1.02
    sigma_data: float = 1.0
    betas: dict = field(default_factory=lambda: {"schedule": "linear", "steps": 50,
                                                 "start": 0.002, "end": 0.4})

    use: ClassVar[str] = "voxmend refine --prior"
    sigmas: ClassVar[tuple[float, ...]] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

    def build(self) -> SpectrogramPrior:
        return SpectrogramPrior(fresh_network(self), build_betas(self.betas), self.sample_rate,
                                self.sigma_data)

    def describe(self) -> dict:
        return {"prediction": "spectrogram", "betas": self.betas, "sigma_data": self.sigma_data}

    @cached_property
    def bins(self) -> Bins:
        """Those of the prior."""
        with torch.device("meta"):
            network = hub.build_network(self.network, self.config, imports=True)
        return bins_of(network, self.sample_rate)

    def held_out(self, corpus: Corpus) -> Tensor:
        """The bins of 16 fixed crops."""
        crops = corpus.crops(16, round(self.seconds * self.sample_rate), self.sigma_data, 0.0,
                             np.random.default_rng(1))
        return self.bins.analyse(crops[:, 0])

    def examples(self, corpus: Source, step: int) -> tuple[Tensor, ...]:
        """Clean bins, steps of the schedule (from 0) and noise of a step."""
        waves, t, _ = super().examples(corpus, step)
        clean = self.bins.analyse(waves[:, 0])
        generator = torch.Generator().manual_seed(self.seed + (step << 20) + 1)
        return clean, t, torch.randn(clean.shape, generator=generator)
