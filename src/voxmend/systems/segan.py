"""SEGAN: how it is trained, with an adversary, and used.

The network works on signals at a level of `LEVEL` with pre-emphasis, so that it heeds what is
high and weak as much as what is low and strong.

Source: Pascual et al. 2017, "SEGAN: Speech enhancement generative adversarial network"; Mao et al.
2017, "Least squares generative adversarial networks".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor, nn
from torch.func import functional_call

from ..models import hub
from ..networks.segan import SEGAN, Discriminator
from ..training.corpus import Corpus, Mixtures, draw_noise
from ..training.recipes import Model
from .conv_tasnet import SeparationRecipe, si_snr

PRE_EMPHASIS = 0.95
LEVEL = 0.1  # RMS of a recording, of 1 at full scale, before pre-emphasis


def emphasise(wave: Tensor) -> Tensor:
    """y(t) = x(t) − 0.95 x(t − 1). Shape: `[..., T]` to the same."""
    return wave - PRE_EMPHASIS * nn.functional.pad(wave, (1, 0))[..., :-1]


def deemphasise(wave: Tensor) -> Tensor:
    """x(t) = y(t) + 0.95 x(t − 1), the inverse of `emphasise`. Shape: `[..., T]` to the same."""
    found = lfilter([1.0], [1.0, -PRE_EMPHASIS], wave.cpu().double().numpy())
    return torch.from_numpy(found).to(wave)


class Adversaries(nn.Module):
    """A generator, as `network`, and its discriminator: what is trained together."""

    def __init__(self, network: nn.Module, discriminator: nn.Module):
        super().__init__()
        self.network, self.discriminator = network, discriminator

    def deceit(self, noisy: Tensor, enhanced: Tensor) -> Tensor:
        """The discriminator's scores with a gradient for the generator alone. Shape: to `[B]`."""
        frozen = {n: p.detach() for n, p in self.discriminator.named_parameters()}
        return functional_call(self.discriminator, frozen, (noisy, enhanced))


@dataclass
class SEGANRecipe(SeparationRecipe):
    """How to train SEGAN.

    With D of (noisy, speech), s clean and ŝ enhanced, the losses are

        of the discriminator: ½ E (D(s) − 1)² + ½ E D(ŝ)²
        of the generator: ½ E (D(ŝ) − 1)² + λ E |ŝ − s|

    and both networks take a step at once; Adam.

    Args:
        discriminator: the channels of its layers.
        discriminator_rate: its learning rate.
        l1: λ.
        snr_db: range of the signal-to-noise ratio, dB.
        gain_db: standard deviation of the level about `LEVEL`, dB.

    Source: SEGAN, eq. 4 and 5.
    """

    network: str = "SEGAN"
    discriminator: tuple[int, ...] = SEGAN.PRESETS["paper"]["channels"]
    seconds: float = 1.024
    discriminator_rate: float = 1e-3
    l1: float = 100.0
    snr_db: tuple[float, float] = (-2.5, 17.5)
    gain_db: float = 3.0
    clip_norm: float = 10.0

    product: ClassVar[str] = "enhancer"
    use: ClassVar[str] = "voxmend enhance --method segan --weights"
    needs_noise: ClassVar[bool] = True
    sources: ClassVar[int] = 2
    ready: ClassVar[tuple[str, str]] = ("clean", "noisy")

    def build(self) -> Adversaries:
        generator = super().build()
        samples = round(self.seconds * self.sample_rate)
        return Adversaries(generator, Discriminator(self.discriminator, samples))

    def describe(self) -> dict:
        return {"prediction": "speech"}

    def _voices(self, corpus: Corpus | Mixtures, batch: int, seconds: float,
                generator: np.random.Generator) -> Tensor:
        voices = super()._voices(corpus, batch, seconds, generator)
        if isinstance(corpus, Mixtures):  # of any level; what is soft in them stays so
            rms = voices.sum(1, keepdim=True).square().mean(-1, keepdim=True).sqrt()
            voices = voices * LEVEL / rms.clamp_min(LEVEL / 10)
        return voices

    def _mix(self, corpus: Corpus, batch: int, length: int,
             generator: np.random.Generator) -> Tensor:
        """Speech, and noise at an SNR to its whole file; both together at about `LEVEL`."""
        speech = corpus.crops(batch, length, LEVEL, 0.0, generator)
        ratio = 10 ** (-generator.uniform(*self.snr_db, (batch, 1)) / 20)
        noise = np.stack([draw_noise(corpus.noise, length, generator) for _ in range(batch)])
        voices = torch.cat([speech, torch.from_numpy(LEVEL * ratio * noise).float()[:, None]], 1)
        gain = 10 ** (generator.normal(0, self.gain_db, (batch, 1)) / 20) / np.hypot(1, ratio)
        return torch.from_numpy(gain).float()[:, None] * voices

    def loss(self, model: Model, *batch: Tensor) -> Tensor:
        (voices,) = batch
        clean = emphasise(voices[:, :1])
        noisy = emphasise(voices.sum(1, keepdim=True))
        enhanced = model.network(noisy)
        real = model.discriminator(noisy, clean)
        fake = model.discriminator(noisy, enhanced.detach())
        discriminator = ((real - 1).square() + fake.square()).mean() / 2
        generator = ((model.deceit(noisy, enhanced) - 1).square().mean() / 2
                     + self.l1 * (enhanced - clean).abs().mean())
        return discriminator + generator

    @torch.no_grad()
    def validate(self, model: Model, voices: Tensor) -> dict[str, float]:
        """SI-SNR of the speech over that of the noisy speech."""
        noisy, clean = voices.sum(1), voices[:, 0]
        enhanced = torch.cat([model.network(emphasise(some)[:, None])[:, 0]
                              for some in noisy.split(4)])
        gain = si_snr(deemphasise(enhanced), clean) - si_snr(noisy, clean)
        return {"speech": round(gain.mean().item(), 3)}

    def optimizers(self, model: Model) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(model.network.parameters(), lr=self.learning_rate),
                torch.optim.Adam(model.discriminator.parameters(), lr=self.discriminator_rate)]


class Enhancer(nn.Module):
    """A trained generator as one that parts speech from noise.

    Shape: mixture `[B, 1, T]` of about unit variance to speech and the rest `[B, 2, T]`.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, mixture: Tensor) -> Tensor:
        speech = deemphasise(self.network(emphasise(LEVEL * mixture))) / LEVEL
        return torch.cat([speech, mixture - speech], dim=1)


def load_enhancer(path: Path, device: str = "cpu") -> Enhancer:
    """A trained SEGAN; raises `hub.PriorError`, a ValueError."""
    card = hub.read_card(path)
    if card.get("prediction") != "speech":
        raise hub.PriorError(f"{path}: no SEGAN; train one with recipes/diffiner/segan.py")
    return Enhancer(hub.load_network(path, card, device)).eval()
