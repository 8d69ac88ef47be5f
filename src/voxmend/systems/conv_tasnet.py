"""Supervised separation, the counterpart of separation with a prior: loss, recipe, use.

Mixtures are made on the fly from the same folders of clean speech that train a prior, or ready.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from .. import audio
from ..models import hub
from ..training.corpus import Corpus, Mixtures
from ..training.recipes import Model, Source, fresh_network, trapezoid


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


def _best_order(pairs: Tensor) -> tuple[Tensor, Tensor]:
    """The best mean of a figure of pairs over all orders π of the first, of (π(k), k), and that π.

    Shape: `[B, K, K]` to `[B]` and `[B, K]`.
    """
    voices = range(pairs.shape[1])
    orders = torch.tensor(list(permutations(voices)), device=pairs.device)
    means = pairs[:, orders, torch.tensor(voices, device=pairs.device)].mean(-1)
    best, place = means.max(-1)
    return best, orders[place]


def pit_si_snr(estimates: Tensor, sources: Tensor) -> Tensor:
    """Mean SI-SNR of the voices in the order that has the best one (permutation invariant).

    (Kolbæk et al. 2017, "Multitalker speech separation with utterance-level permutation invariant
    training of deep recurrent neural networks")

    Shape: `[B, K, T]`, `[B, K, T]` to `[B]`, in dB.
    """
    return _best_order(si_snr(estimates.unsqueeze(2), sources.unsqueeze(1)))[0]


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
    return _best_order(10 * torch.log10(energy / (error + floor * mixture)))[0]


def in_order_of(voices: Tensor, others: Tensor) -> Tensor:
    """Voices in the order π that is nearest to that of others, max_π Σ_k ⟨other_k, voice_π(k)⟩.

    Shape: `[B, K, T]`, `[B, K, T]` to the first's shape.
    """
    order = _best_order(torch.einsum("bjt,bkt->bjk", voices, others))[1]
    return voices.gather(1, order.unsqueeze(-1).expand_as(voices))


def over_polarities(separate: Callable[[Tensor], Tensor], mixture: Tensor, polarities: int,
                    ordered: bool = False) -> Tensor:
    """The sources of a mixture, of two polarities the mean of them and of minus those of minus it.

    The polarity of a recording cannot be heard and says nothing of its sources, but a network errs
    differently in either: its errors become smaller in the mean, as in that of an ensemble.

    Args:
        polarities: 1 or 2.
        ordered: the sources have an order of their own, as speech and noise; else those of minus
            the mixture are taken in the order nearest to the others'.

    Shape: `[B, 1, T]` to `[B, K, T]`. Raises ValueError for another number of polarities.
    """
    if polarities not in (1, 2):
        raise ValueError(f"a recording has two polarities, not {polarities!r}")
    sources = separate(mixture)
    if polarities == 1:
        return sources
    turned = -separate(-mixture)
    return (sources + (turned if ordered else in_order_of(turned, sources))) / 2


def over_speeds(separate: Callable[[Tensor], Tensor], mixture: Tensor, speeds: Sequence[float],
                ordered: bool = False) -> Tensor:
    """The sources of a mixture, the mean over those of it at several speeds, brought back.

    Whoever speaks 3 % faster, and as much higher, says the same, but a network errs differently.
    What resampling takes away, as near half the sample rate, is that of the first speed's sources.

    Args:
        speeds: times as fast, to a thousandth; at 1 the mixture is heard as it is.
        ordered: as in `over_polarities`; else in the order nearest to the others' at the first.

    Shape: `[B, 1, T]` to `[B, K, T]`.
    """
    found: list[Tensor] = []
    for speed in speeds:
        sources = _at_speed(separate, mixture, speed)
        if found:
            sources = sources if ordered else in_order_of(sources, found[0])
            sources = sources + found[0] - _at_speed(nn.Identity(), found[0], speed)
        found.append(sources)
    return torch.stack(found).mean(0)


def _at_speed(separate: Callable[[Tensor], Tensor], mixture: Tensor, speed: float) -> Tensor:
    """The sources of a mixture that is played so many times as fast, brought back."""
    fast, length = round(1000 * speed), mixture.shape[-1]
    sources = _resample(separate(_resample(mixture, fast, 1000)), 1000, fast)[..., :length]
    return nn.functional.pad(sources, (0, length - sources.shape[-1]))


def hearing(card: dict) -> dict:
    """How weights suit to hear a mixture, as their card says: options of `heard_as`."""
    suited = card.get("sampling", {})
    return {"polarities": suited.get("polarities", 1), "speeds": suited.get("speeds", [1.0])}


def heard_as(separate: Callable[[Tensor], Tensor], polarities: int = 1,
             speeds: Sequence[float] = (1.0,),
             ordered: bool = False) -> Callable[[Tensor], Tensor]:
    """The mean over all polarities and speeds (test-time augmentation).

    As in `over_polarities` and `over_speeds`.
    """
    return lambda mixture: over_speeds(
        lambda heard: over_polarities(separate, heard, polarities, ordered),
        mixture, speeds, ordered)


def _resample(waves: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """`audio.resample` of `[B, K, T]`."""
    if from_rate == to_rate:
        return waves
    rows = audio.resample(waves.flatten(0, 1).float().cpu().numpy(), from_rate, to_rate)
    return torch.from_numpy(rows).to(waves.device).unflatten(0, waves.shape[:2])


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
        energy = voices.square().sum(-1, keepdim=True) + 1e-12
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
        polarities, speeds: as in `over_polarities` and `over_speeds`.

    Shape: `[T]` to `[K, T]`, float32. Raises ValueError for another shape, no samples and NaN.
    """
    device = next(network.parameters()).device
    heard = torch.from_numpy(check_mixture(mixture))[None, None].to(device)
    return heard_as(network, polarities, speeds)(heard)[0].cpu().numpy()
