"""Speaker verification: the equal error rate, and how encoders of speakers are trained.

    crop ─ another speed ─ a room ─ noise ─ encoder ─ cosines with the speakers ─ margin ─ softmax
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from ..models import hub
from ..training.corpus import Corpus, draw_noise
from ..training.recipes import Source, fresh_network, trapezoid
from .encoders import SILENCE


def equal_error_rate(scores: np.ndarray, same: np.ndarray) -> float:
    """The rate of errors at the threshold where as many true pairs fail as false ones pass.

    Between two scores the rates are interpolated linearly.

    Args:
        scores: of pairs, higher for those more alike.
        same: whether a pair is a true one.

    Raises ValueError without pairs of both kinds.

    >>> equal_error_rate(np.array([0.9, 0.4, 0.5, 0.1]), np.array([True, True, False, False]))
    0.5
    """
    scores, same = np.asarray(scores), np.asarray(same, bool)
    if same.all() or not same.any():
        raise ValueError("an equal error rate needs pairs of one speaker and pairs of two")
    thresholds, place = np.unique(scores, return_inverse=True)
    failed, stopped = (np.cumsum(np.bincount(place, kind, len(thresholds))) / kind.sum()
                       for kind in (same, ~same))
    failed, passed = np.append(0, failed), 1 - np.append(0, stopped)
    after = np.argmax(failed >= passed)
    failed, gap = failed[after - 1:after + 1], (passed - failed)[after - 1:after + 1]
    return float(failed[0] + (failed[1] - failed[0]) * gap[0] / (gap[0] - gap[1]))


def verification_error(embeddings: np.ndarray, speakers: np.ndarray) -> float:
    """The equal error rate of all pairs by their cosine. Shape: `[N, dim]`, `[N]`."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    one, two = np.triu_indices(len(unit), 1)
    return equal_error_rate((unit @ unit.T)[one, two], speakers[one] == speakers[two])


def margin_logits(cosines: Tensor, labels: Tensor, margin: float, scale: float) -> Tensor:
    """Logits of a softmax that asks for an angle to the right class smaller by a margin.

    s·cos θ_k, for the label s·cos(min(θ + m, π)) (AAM-softmax: Deng et al. 2019, "ArcFace:
    Additive angular margin loss for deep face recognition", eq. 3).

    Shape: `[B, classes]`, `[B]` to `[B, classes]`.
    """
    angles = cosines.gather(1, labels[:, None]).clamp(-1 + 1e-6, 1 - 1e-6).acos()
    return scale * cosines.scatter(1, labels[:, None],
                                   (angles + margin).clamp(max=np.pi).cos().to(cosines.dtype))


def reverberate(wave: np.ndarray, seconds: float, ratio_db: float,
                generator: np.random.Generator, sample_rate: int = 16000) -> np.ndarray:
    """A signal in a room: with echoes of noise that fall by 60 dB in so many seconds.

    `ratio_db` is the energy of the direct sound over that of the echoes.

    Shape: `[T]` to `[T]`.
    """
    time = np.arange(1, round(seconds * sample_rate)) / sample_rate
    echoes = generator.normal(size=len(time)) * 10 ** (-3 * time / seconds)
    echoes *= 10 ** (-ratio_db / 20) / np.linalg.norm(echoes)
    return fftconvolve(wave, np.append(1, echoes))[:len(wave)]


class Classifier(nn.Module):
    """An encoder and what tells it how well it does: a direction for every speaker."""

    def __init__(self, network: nn.Module, classes: int):
        super().__init__()
        self.network = network
        self.directions = nn.Parameter(torch.randn(classes, cast("int", network.dim)))

    def forward(self, waves: Tensor) -> Tensor:
        """Cosines with every speaker. Shape: `[B, 1, T]` to `[B, classes]`."""
        return normalize(self.network(waves).float()) @ normalize(self.directions).T


class HeadClassifier(Classifier):
    """The same for an encoder of which the last layer alone is trained."""

    def __init__(self, network: nn.Module, classes: int):
        super().__init__(network, classes)
        network.requires_grad_(False).fc.requires_grad_(True)
        self.train()

    def train(self, mode: bool = True) -> "HeadClassifier":
        super().train(mode)
        self.network.eval()  # the statistics of its norms stay
        return self


@dataclass
class SpeakerRecipe:
    """How to train an encoder of speakers, `[B, 1, T]` → `[B, dim]`, by telling speakers apart.

    Loss: cross-entropy of `margin_logits`. A speaker at each of `speeds` counts as another one.
    AdamW; the learning rate's course is `trapezoid`'s.

    Args:
        speakers: as many as the training folder has, or more.
        balance: how `train` has crops drawn, as in `Corpus.vary`.
        seconds: mean length of the crops, which vary from two to four thirds of it.
        start: a trained encoder (bundled name or .safetensors), of which all but the last layer is
            taken over as it is.
        noisy, reverberant: shares of the crops that stand in noise, and in a room.
        snr_db: range of the signal-to-noise ratio, dB.
    """

    name: str
    network: str
    config: dict
    steps: int
    speakers: int
    batch: int = 32
    seconds: float = 1.5
    start: str | None = None
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warmup: int = 100
    decay: float = 0.7
    ema: float = 0.99
    clip_norm: float = 5.0
    margin: float = 0.2
    scale: float = 30.0
    balance: float = 0.5
    speeds: tuple[float, ...] = (1.0, 0.9, 1.1)
    noisy: float = 0.6
    reverberant: float = 0.3
    snr_db: tuple[float, float] = (3.0, 25.0)
    seed: int = 0
    card: dict = field(default_factory=dict)

    sample_rate: ClassVar[int] = 16000
    speed_range: ClassVar[tuple[float, float]] = (1.0, 1.0)
    begin: ClassVar[str] = ""
    product: ClassVar[str] = "encoder"
    use: ClassVar[str] = "voxmend speakers extract --encoder"
    ready: ClassVar[tuple[str, ...]] = ()
    needs_noise: ClassVar[bool] = True
    measure: ClassVar[str] = "equal error rate in %"
    validation: ClassVar[str] = "equal_error_rate_percent"

    def build(self) -> Classifier:
        network, classes = fresh_network(self), self.speakers * len(self.speeds)
        if self.start is None:
            return Classifier(network, classes)
        path = hub.find_prior(self.start)
        trained = hub.load_network(path, hub.read_card(path)).state_dict()
        network.load_state_dict({name: t if name.startswith("fc.") else trained[name]
                                 for name, t in network.state_dict().items()})
        return HeadClassifier(network, classes)

    def describe(self) -> dict:
        return {"prediction": "embedding",
                "dim": hub.build_network(self.network, self.config, imports=True).dim}

    def rate(self, step: int) -> float:
        return trapezoid(step, self.steps, self.warmup, self.decay)

    def prepare(self, corpus: Corpus, device: torch.device) -> Source:
        """What `examples` are cut from: the corpus as it is."""
        return corpus

    def held_out(self, corpus: Corpus) -> Tensor:
        """Five pieces of 2 s of every speaker who has as many, evenly spread.

        Shape: `[speakers, 5, 1, T]`. Raises ValueError for fewer than two such speakers.
        """
        pieces: dict[str, list] = {}
        for i, name in enumerate(corpus.speakers):
            pieces.setdefault(name, []).extend(cut(corpus[i], 2 * self.sample_rate))
        crops = [np.stack(spread(p, 5)) for p in pieces.values() if len(p) >= 5]
        if len(crops) < 2:
            raise ValueError(f"{corpus.folder}: validation needs two speakers with 10 s each, in "
                             "folders of their own or with names like SPEAKER-CHAPTER-UTTERANCE")
        return torch.from_numpy(np.stack(crops)).unsqueeze(2)

    def examples(self, corpus: Corpus, step: int) -> tuple[Tensor, Tensor]:
        """Crops `[batch, 1, T]` and speakers `[batch]` of a step.

        Raises ValueError for a corpus of more speakers than the recipe has.
        """
        generator = np.random.default_rng([self.seed, step])
        length = round(generator.uniform(2, 4) / 3 * self.seconds * self.sample_rate)
        names, owner = np.unique(corpus.speakers, return_inverse=True)
        if len(names) > self.speakers:
            raise ValueError(f"{corpus.folder}: has {len(names)} speakers and {self.name} "
                             f"{self.speakers}: set speakers={len(names)} in the recipe")
        files = [corpus.pick(generator) for _ in range(self.batch)]
        speed = generator.integers(0, len(self.speeds), self.batch)
        waves = np.empty((self.batch, 1, length), np.float32)
        for wave, file, pace in zip(waves, files, speed, strict=True):
            wave[0] = self._heard(corpus, file, self.speeds[pace], length, generator)
        return torch.from_numpy(waves), torch.from_numpy(owner[files] + speed * self.speakers)

    def _heard(self, corpus: Corpus, file: int, speed: float, length: int,
               generator: np.random.Generator) -> np.ndarray:
        """A crop at a speed, in some room and noise; a shorter file is repeated."""
        crop = np.resize(corpus.cut(file, length, generator, speed), length)
        if generator.random() < self.reverberant:
            crop = reverberate(crop, generator.uniform(0.1, 0.6), generator.uniform(0, 15),
                               generator, self.sample_rate)
        if generator.random() < self.noisy:
            level = np.sqrt(np.mean(crop**2)) * 10 ** (-generator.uniform(*self.snr_db) / 20)
            crop = crop + level * draw_noise(corpus.noise, length, generator)
        return crop

    def loss(self, model: Classifier, *batch: Tensor) -> Tensor:
        waves, labels = batch
        return cross_entropy(margin_logits(model(waves), labels, self.margin, self.scale), labels)

    @torch.no_grad()
    def validate(self, model: Classifier, crops: Tensor) -> dict[str, float]:
        """The equal error rate in %, where pieces of one speaker are the true pairs."""
        embeddings = torch.cat([model.network(waves) for waves in crops]).cpu().numpy()
        speakers = np.arange(len(crops)).repeat(crops.shape[1])
        return {"2 s": round(100 * verification_error(embeddings, speakers), 2)}

    def optimizers(self, model: Classifier) -> list[torch.optim.Optimizer]:
        trained = [p for p in model.parameters() if p.requires_grad]
        return [torch.optim.AdamW(trained, lr=self.learning_rate, weight_decay=self.weight_decay)]


def cut(wave: np.ndarray, length: int) -> np.ndarray:
    """Pieces of a signal one after another, without the rest and silent ones.

    Shape: `[T]` to `[n, length]`.
    """
    pieces = wave[:len(wave) // length * length].reshape(-1, length)
    return pieces[np.sqrt(np.mean(pieces**2, axis=1)) > SILENCE]


def spread(items: Sequence, most: int) -> list:
    """At most so many of the items, evenly spread."""
    places = np.linspace(0, len(items) - 1, min(most, len(items)))
    return [items[place] for place in places.round().astype(int)]
