"""Recipe of a prior that listens to noisy, reverberant recordings (`diffusion.told`)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..diffusion.told import ToldDenoiser
from ..dsp.stft import STFT
from . import damages, noises
from .corpus import Corpus
from .disturbance import check_rate, disturbance
from .pool import Draws, Pool
from .recipes import Model, PriorRecipe, Source, muon_and_adamw

SPEEDS = (0.88, 0.94, 1.0, 1.07, 1.15)
RUMBLE_DB = (-20.0, 6.0)  # beside the speech
Pools = dict[str, Pool]


def compressed(spectrum: Tensor, power: float = 0.3) -> Tensor:
    """|X|^p e^{j∠X} as real and imaginary part, and its magnitude. Shape: `[...]` to `[..., 3]`."""
    parts = torch.view_as_real(spectrum)
    energy = parts.square().sum(-1, keepdim=True) + 1e-5
    return torch.cat([parts * energy ** ((power - 1) / 2), energy ** (power / 2)], -1)


def spectral_error(pair: Tensor) -> Tensor:
    """Mean squared distance of two signals' `compressed` spectra. Shape: `[B, 2, T]` to `[B]`."""
    heard = compressed(STFT(512, 128).forward(pair))
    return (heard[:, 0] - heard[:, 1]).square().mean((1, 2, 3))


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """10 log₁₀(‖αx‖²/‖αx − x̂‖²), α = ⟨x̂, x⟩/‖x‖², in dB. Shape: `[B, T]`, `[B, T]` to `[B]`."""
    target = reference * ((estimate * reference).sum(-1, keepdim=True)
                          / (reference.square().sum(-1, keepdim=True) + 1e-9))
    error = (estimate - target).square().sum(-1)
    return 10 * torch.log10((target.square().sum(-1) + 1e-9) / (error + 1e-9))


@dataclass
class ListeningRecipe(PriorRecipe):
    """How to train a prior that is told a noisy or reverberant recording.

    Damage is made on the device: rooms, noise (`noises`, `damages`), microphones, lost bandwidth
    and clipping (`damages`). Loss: the mean over examples of ln(e + ε) + λ ln(s + ε) + μ d, e the
    squared error under EDM's weight, s that of compressed spectra and d the `disturbance` where a
    recording is told. By the logarithm faint errors count as gross ones; s and d are near to what
    listeners hear.

    Args:
        top: share of the examples at sigma_max, where the noisy signal says nothing: a single call
            there is the posterior mean.
        untold: share of the examples without a recording.
        spectral, perceptual, floor: λ, μ and ε.
        muon: rate of Muon (`recipes.muon_and_adamw`).
        speeds: of the speech.
        real, wet: shares with `noises.varied`, not synthetic noise, and with reverberation.
        microphone: share of the recordings through a microphone that the speech is without.
        shaped: share of the speech, which is to stay so, and of the noise with another spectrum.
        tonal: share whose noise is `noises.tones`, in half of them beside other noise.
        rumble: share with noise below 60 Hz as well, half of which have no other.
        snr_db: range of signal-to-noise ratios over a whole recording.
    """

    top: float = 0.6
    untold: float = 0.1
    spectral: float = 1.0
    perceptual: float = 0.0
    floor: float = 1e-4
    muon: float = 2e-3
    balance: float = 0.6
    speeds: tuple[float, ...] = SPEEDS
    real: float = 0.7
    wet: float = 0.35
    microphone: float = 0.2
    shaped: float = 0.0
    tonal: float = 0.0
    rumble: float = 0.0
    snr_db: tuple[float, float] = (-5.0, 30.0)

    product: ClassVar[str] = "enhancer"
    use: ClassVar[str] = "voxmend enhance --weights"
    needs_noise: ClassVar[bool] = True
    measure: ClassVar[str] = "SI-SDR improvement in dB"
    validation: ClassVar[str] = "gain_db"

    def __post_init__(self) -> None:
        if self.perceptual:
            check_rate(self.name, self.sample_rate)

    def build(self) -> ToldDenoiser:
        return ToldDenoiser(self.fresh_network(), self.sample_rate, self.sigma_min, self.sigma_max,
                            self.sigma_data)

    def describe(self) -> dict:
        return super().describe() | {"prediction": "told", "sources": 2}

    def prepare(self, corpus: Corpus, device: torch.device) -> Pools:
        """What `examples` are cut from, on a device."""
        return {"speech": Pool(corpus, device, self.speeds, self.balance),
                "noise": Pool(corpus.noise, device, noises.SPEEDS)}

    def recordings(self, pools: Pools, draws: Draws, length: int) -> tuple[Tensor, Tensor]:
        """Clean speech and recordings of it, which are at the prior's level. Shape: `[B, T]`."""
        rate = self.sample_rate
        clean = self._speech(pools["speech"], draws, length)
        wet = damages.reverberant(clean, draws, rate)
        y = torch.where(draws.chance(self.wet), wet, clean)
        noise, power = self._noise(pools, draws, clean)
        y = y + noise * self.sigma_data
        y = torch.where(draws.chance(self.microphone), damages.coloured(y, draws, rate), y)
        narrow = damages.lost_band(y, draws.log_uniform(2000, 7000), draws, rate)
        y = torch.where(draws.chance(0.1), narrow, y)
        y = torch.where(draws.chance(0.1), damages.clipped(y, draws, 4, 20), y)
        unharmed = draws.chance(0.06)
        level = torch.where(unharmed, 1.0, (1 + power) ** -0.5)
        return clean * level, torch.where(unharmed, clean, y) * level

    def _speech(self, pool: Pool, draws: Draws, length: int) -> Tensor:
        """Clean speech, as loud whatever its spectrum. Shape: `[B, length]`."""
        clean, rate = pool.crops(length, self.sigma_data, self.gain_db, draws), self.sample_rate
        if not self.shaped:
            return clean
        bent = torch.where(draws.chance(self.shaped), damages.coloured(clean, draws, rate), clean)
        bent = torch.where(draws.chance(self.shaped),
                           damages.shelved(bent, draws, -6, 12, rate), bent)
        return bent * (damages.power(clean) / damages.power(bent).clamp(min=1e-9)).sqrt()

    def _noise(self, pools: Pools, draws: Draws, speech: Tensor) -> tuple[Tensor, Tensor]:
        """Noise beside speech of unit power, and its power. Shape: `[B, T]`, `[B, 1]`."""
        length, rate = speech.shape[-1], self.sample_rate
        noise = torch.where(draws.chance(self.real), noises.varied(pools, draws, length, rate),
                            damages.noise(speech, draws, rate))
        if self.shaped:
            bent = damages.shelved(noise, draws, -6, 20, rate)
            noise = torch.where(draws.chance(self.shaped), noises.at_unit_power(bent), noise)
        if self.tonal:
            heard = noises.tones(speech, draws, rate) + draws.chance(0.5) * draws.uniform() * noise
            noise = torch.where(draws.chance(self.tonal), noises.at_unit_power(heard), noise)
        power = 10 ** (-draws.uniform(*self.snr_db) / 10)
        if not self.rumble:
            return noise * power.sqrt(), power
        low = draws.chance(self.rumble) * 10 ** (draws.uniform(*RUMBLE_DB) / 10)
        power = torch.where((low > 0) & draws.chance(0.5), 1e-3 * power, power)
        return (noise * power.sqrt() + noises.rumble(speech, draws, rate) * low.sqrt(),
                power + low)

    @torch.no_grad()
    def examples(self, pools: Source, step: int) -> tuple[Tensor, ...]:
        """Clean signals, recordings, noise levels and noise of a step, and which are told.

        Shape: `[B, 1, T]`, the last `[B]`.
        """
        length = round(self.seconds * self.sample_rate)
        draws = Draws(self.batch, pools["speech"].device, self.seed, step)
        clean, recording = self.recordings(pools, draws, length)
        told = ~draws.chance(self.untold)
        span = math.log(self.sigma_max / self.sigma_min)
        sigma = self.sigma_min * (draws.stratified() * span).exp()
        sigma = torch.where(draws.chance(self.top), self.sigma_max, sigma)
        return (clean[:, None], (recording * told)[:, None], sigma[..., None],
                draws.normal(1, length), told[:, 0])

    def loss(self, denoiser: Model, *batch: Tensor) -> Tensor:
        clean, recording, sigma, noise, told = batch
        found = denoiser(clean + sigma * noise, sigma, recording)
        weight = (sigma.square() + self.sigma_data**2) / (sigma * self.sigma_data).square()
        error = (weight * (found - clean).square()).mean((1, 2))
        apart = spectral_error(torch.cat([found, clean], 1) / self.sigma_data)
        heard = self.spectral * (apart + self.floor).log()
        if self.perceptual:
            heard = heard + self.perceptual * disturbance(found[:, 0], clean[:, 0])
        return ((error + self.floor).log() + told * heard).mean()

    def held_out(self, corpus: Corpus) -> Tensor:
        """32 crops of 2 s in recorded noise at 5 dB, beside the speech. Shape: `[32, 2, T]`."""
        draws, length = Draws(32, "cpu", 1), 2 * self.sample_rate
        clean = Pool(corpus, "cpu").crops(length, self.sigma_data, self.gain_db, draws)
        noise = noises.recorded(Pool(corpus.noise, "cpu"), draws, length, self.sample_rate)
        noise = noise * (damages.power(clean) * 10**-0.5).sqrt()
        return torch.stack([clean, clean + noise], 1) * (1 + 10**-0.5) ** -0.5

    @torch.no_grad()
    def validate(self, denoiser: Model, clean: Tensor) -> dict[str, float]:
        """SI-SDR of the posterior mean, which is one call, over that of the recording."""
        noise = torch.randn(clean[:, :1].shape, generator=torch.Generator().manual_seed(1))
        found = torch.cat([denoiser.posterior_mean(part[:, 1:], z)[:, 0]
                           for part, z in zip(clean.split(8), noise.to(clean).split(8),
                                              strict=True)])
        speech, recording = clean.unbind(1)
        gain = si_sdr(found, speech) - si_sdr(recording, speech)
        return {"noise at 5 dB": round(gain.mean().item(), 3)}

    def optimizers(self, denoiser: nn.Module) -> list[torch.optim.Optimizer]:
        return muon_and_adamw(denoiser, self.muon, self.learning_rate, self.weight_decay)
