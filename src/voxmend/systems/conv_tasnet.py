"""Supervised separation, the counterpart of separation with a prior: loss, recipe, use.

Mixtures are made on the fly from the same folders of clean speech that train a prior, or ready.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..models import hub
from ..training.corpus import Corpus, Mixtures
from ..training.recipes import Model, Source, fresh_network, trapezoid
from .hearing import best_order, heard_as


def si_snr(estimate: Tensor, reference: Tensor, eps: float = 1e-8) -> Tensor:
    """`metrics.si_snr` for tensors, with a gradient and finite for silence.

    Shape: `[..., T]`, `[..., T]` (broadcast) to `[...]`, in dB.
    """
    estimate = estimate - estimate.mean(-1, keepdim=True)
    reference = reference - reference.mean(-1, keepdim=True)
    scale = (estimate * reference).sum(-1) / (reference.square().sum(-1) + eps)
    target = scale.unsqueeze(-1) * reference
    residual = estimate - target
    return 10 * torch.log10((target.square().sum(-1) + eps) / (residual.square().sum(-1) + eps))


def pit_si_snr(estimates: Tensor, sources: Tensor) -> Tensor:
    """Mean SI-SNR of the voices in the order that has the best one (permutation invariant).

    (Kolbæk et al. 2017, "Multitalker speech separation with utterance-level permutation invariant
    training of deep recurrent neural networks")

    Shape: `[B, K, T]`, `[B, K, T]` to `[B]`, in dB.
    """
    return best_order(si_snr(estimates.unsqueeze(2), sources.unsqueeze(1)))[0]


def pit_snr(estimates: Tensor, sources: Tensor, floor: float = 1e-3) -> Tensor:
    """Mean of 10 log10(|s|²/(|s − ŝ|² + floor·|Σs|²)) in the best order, which heeds levels.

    A silent voice counts as one 80 dB under the mixture; the floor keeps errors that are far under
    the mixture from outweighing the others.
    (Wisdom et al. 2021, "What's all the fuss about free universal sound separation data?", eq. 2)

    Shape: `[B, K, T]`, `[B, K, T]` to `[B]`, in dB.
    """
    mixture = sources.sum(1).square().sum(-1).view(-1, 1, 1) + 1e-8
    error = (estimates.unsqueeze(2) - sources.unsqueeze(1)).square().sum(-1)
    energy = sources.square().sum(-1).unsqueeze(1) + 1e-8 * mixture
    return best_order(10 * torch.log10(energy / (error + floor * mixture)))[0]


def draw_voices(corpus: Corpus, count: int, length: int, level_db: float,
                generator: np.random.Generator) -> np.ndarray:
    """Random crops of `count` different speakers, whose sum is a mixture.

    The first file is at an RMS of 0.1, the others differ from it by a level uniform in
    ±`level_db`. Files are drawn as by `Corpus.pick`.

    Shape: `[count, length]`, float32.

    Raises ValueError for a corpus with fewer speakers.
    """
    if len(set(corpus.speakers)) < count:
        raise ValueError(f"{corpus.folder}: mixtures of {count} voices need as many speakers, in "
                         "folders of their own or with names like SPEAKER-CHAPTER-UTTERANCE")
    files: dict[str, int] = {}
    while len(files) < count:
        file = corpus.pick(generator)
        files.setdefault(corpus.speakers[file], file)
    voices = np.zeros((count, length), np.float32)
    for i, (voice, file) in enumerate(zip(voices, files.values(), strict=True)):
        crop = corpus.cut(file, length, generator)
        level = generator.uniform(-level_db, level_db) if i else 0.0
        voice[:len(crop)] = crop * (0.1 / corpus.rms[file] * 10 ** (level / 20))
    return voices


@dataclass
class SeparationRecipe:
    """How to train a network `[B, 1, T]` → `[B, K, T]` to separate K voices.

    Loss: minus `pit_si_snr`, or where voices may be silent, of which it says nothing, `pit_snr`.
    Adam; the learning rate's course is `trapezoid`'s.

    Args:
        alone: share of the mixtures in which only the first voice speaks, so that a recording of
            one speaker is not shared among several.
        balance, speed_range: how `train` has crops drawn, as in `Corpus.vary`; noise is heard at
            these speeds, too. Ready mixtures stay as they are.
        begin: weights that a run begins with, as in `hub.begin_with`; a ScoreTasNet can begin with
            those of a ConvTasNet of its size.
    """

    name: str
    config: dict
    steps: int
    network: str = "ConvTasNet"
    batch: int = 4
    seconds: float = 3.0
    learning_rate: float = 1e-3
    warmup: int = 1
    decay: float = 0.5
    ema: float = 0.999
    clip_norm: float = 5.0
    level_db: float = 2.5
    alone: float = 0.0
    balance: float = 1.0
    speed_range: tuple[float, float] = (1.0, 1.0)
    sample_rate: int = 16000
    seed: int = 0
    begin: str = ""
    card: dict = field(default_factory=dict)

    product: ClassVar[str] = "separator"
    use: ClassVar[str] = "voxmend separate --method conv-tasnet --weights"
    needs_noise: ClassVar[bool] = False
    measure: ClassVar[str] = "SI-SNR improvement in dB"
    validation: ClassVar[str] = "gain_db"

    @property
    def sources(self) -> int:
        return self.config.get("sources", 2)

    def build(self) -> nn.Module:
        return fresh_network(self)

    def describe(self) -> dict:
        return {"prediction": "sources", "sources": self.sources, "open_levels": not self.alone}

    def rate(self, step: int) -> float:
        return trapezoid(step, self.steps, self.warmup, self.decay)

    @property
    def ready(self) -> tuple[str, ...]:
        """Folders of the sources of ready mixtures."""
        return tuple(f"s{k + 1}" for k in range(self.sources))

    def _voices(self, corpus: Corpus | Mixtures, batch: int, seconds: float,
                generator: np.random.Generator) -> Tensor:
        length = round(seconds * self.sample_rate)
        if isinstance(corpus, Mixtures):
            return corpus.crops(batch, length, generator)
        return self._mix(corpus, batch, length, generator)

    def _mix(self, corpus: Corpus, batch: int, length: int,
             generator: np.random.Generator) -> Tensor:
        return torch.from_numpy(np.stack([
            draw_voices(corpus, self.sources, length, self.level_db, generator)
            for _ in range(batch)]))

    def prepare(self, corpus: Corpus | Mixtures, device: torch.device) -> Source:
        """What `examples` are cut from: the corpus as it is."""
        return corpus

    def held_out(self, corpus: Corpus | Mixtures) -> Tensor:
        """The voices of 32 fixed mixtures of 4 s."""
        return self._voices(corpus, 32, 4.0, np.random.default_rng(1))

    def examples(self, corpus: Source, step: int) -> tuple[Tensor, ...]:
        """The voices of a step, of random polarity where they are mixed here, `[batch, K, T]`."""
        generator = np.random.default_rng([self.seed, step])
        voices = self._voices(corpus, self.batch, self.seconds, generator)
        voices[generator.random(self.batch) < self.alone, 1:] = 0
        if isinstance(corpus, Corpus):
            voices *= torch.from_numpy(generator.choice((-1, 1), (self.batch, self.sources, 1)))
        return (voices,)

    def loss(self, network: Model, *batch: Tensor) -> Tensor:
        (voices,) = batch
        estimates = network(voices.sum(1, keepdim=True)).float()
        return -(pit_snr if self.alone else pit_si_snr)(estimates, voices).mean()

    @torch.no_grad()
    def validate(self, network: Model, voices: Tensor) -> dict[str, float]:
        """SI-SNR of the voices over that of the mixture."""
        gains = []
        for sources in voices.split(4):
            mixture = sources.sum(1, keepdim=True)
            gains.append(pit_si_snr(network(mixture), sources) - si_snr(mixture, sources).mean(-1))
        return {f"{self.sources} voices": round(torch.cat(gains).mean().item(), 3)}

    def optimizers(self, network: Model) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(network.parameters(), lr=self.learning_rate)]


class MatchedLevels(nn.Module):
    """A network whose loss leaves the levels of its voices open, `pit_si_snr`, as one that tells.

    Each voice is scaled to be nearest to the mixture. That is the right level for voices that are
    uncorrelated.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, mixture: Tensor) -> Tensor:
        voices = self.network(mixture)
        energy = voices.square().sum(-1, keepdim=True).clamp_min(1e-12)
        return (voices * mixture).sum(-1, keepdim=True) / energy * voices


def load_separator(path: Path, device: str = "cpu") -> nn.Module:
    """A trained separator, `[B, 1, T]` to `[B, K, T]`; raises `hub.PriorError`, a ValueError."""
    card = hub.read_card(path)
    if card.get("prediction") != "sources":
        raise hub.PriorError(f"{path}: not a separator; train one with "
                             "recipes/diffsep/conv_tasnet.py")
    network = hub.load_network(path, card, device)
    return MatchedLevels(network) if card.get("open_levels", True) else network


def check_mixture(mixture: np.ndarray) -> np.ndarray:
    """A mono signal in float32; raises ValueError for one that is not, is empty or holds NaN."""
    mixture = np.asarray(mixture, np.float32)
    if mixture.ndim != 1:
        raise ValueError(f"a separator takes a mono signal, not {list(mixture.shape)}")
    if not (mixture.size and np.isfinite(mixture).all()):
        raise ValueError("a separator takes a signal of one sample or more without NaN or infinity")
    return mixture


@torch.no_grad()
def separate(network: nn.Module, mixture: np.ndarray, polarities: int = 1,
             speeds: Sequence[float] = (1.0,)) -> np.ndarray:
    """The voices of a mixture at the separator's sample rate, as loud as they are in it.

    `Separator` takes signals of any length.

    Args:
        polarities, speeds: as in `hearing.heard_as`.

    Shape: `[T]` to `[K, T]`, float32. Raises ValueError for another shape, no samples and NaN.
    """
    device = next(network.parameters()).device
    heard = torch.from_numpy(check_mixture(mixture))[None, None].to(device)
    return heard_as(network, polarities, speeds)(heard)[0].cpu().numpy()
