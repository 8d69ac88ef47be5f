"""DiffSep: sources drawn from their mixture by running the mixing SDE backwards.

The model is conditioned on the mixture, of zero mean and unit variance, in every call; the sources
come from `processes.predictor_corrector`, as in the paper, or from any of `samplers`:

    model = diffsep.load_model("diffsep.safetensors")
    voices = diffsep.separate(model, mixture, "heun", steps=10)

Source: Scheibler et al. 2023, "Diffusion-based generative speech source separation".
"""

from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..diffusion.processes import MixingSDE, predictor_corrector, time_grid
from ..diffusion.samplers import SAMPLERS, Callback, Noise
from ..models import hub
from ..training.corpus import Corpus, Mixtures, draw_noise
from ..training.recipes import Model, Source
from .conv_tasnet import SeparationRecipe, check_mixture, load_separator, pit_si_snr, si_snr
from .hearing import hearing, over_polarities
from .score_models import MODELS, RegenerationModel, ScoreModel

PAPER, STEPS = "predictor_corrector", 30  # the paper's sampler and its steps


def find_separator(path: Path, card: dict) -> Path:
    """The separator whose estimates weights correct: beside them, or as `hub.find_prior` has it.

    Raises `hub.PriorError`, also for another separator of that name than the card's.
    """
    return hub.find_companion(path, card["separator"], card.get("separator_sha256"),
                              "the separator")


def model_of(network: nn.Module, card: dict, path: Path, device: str = "cpu") -> ScoreModel:
    """The model that a card describes, which lies beside `path`."""
    process = MixingSDE(**card["process"])
    if card["prediction"] == "regeneration":
        separator = find_separator(path, card)
        return RegenerationModel(
            network, process, card["sample_rate"], load_separator(separator, device),
            card["error_rms"], hearing(hub.read_card(separator)))
    task = card.get("task", "enhance" if card["local_noise"] else "separate")
    return MODELS[card["prediction"]](network, process, card["sample_rate"], card["local_noise"],
                                      task)


def load_model(path: Path, device: str = "cpu", task: str | None = None) -> ScoreModel:
    """A trained or imported model; raises `hub.PriorError`, a ValueError.

    Args:
        task: refuse a model that was not made to "separate", or to "enhance".
    """
    card = hub.read_card(path)
    if card.get("prediction") == "sources":
        method = "frame-separator" if card["network"] == "FrameSeparator" else "conv-tasnet"
        raise hub.PriorError(f"{path}: no DiffSep; use it with voxmend separate --method {method}")
    if card.get("prediction") not in MODELS:
        raise hub.PriorError(f"{path}: no DiffSep; train one with recipes/diffsep/diffsep.py or "
                             "recipes/diffsep/diffsep_enhancement.py")
    with hub.fitting(path):
        model = model_of(hub.load_network(path, card, device), card, path, device).eval()
    if task not in (None, model.task):
        raise hub.PriorError(f"{path}: made to {model.task}, not to {task}; use it with voxmend "
                             f"{model.task} --method diffsep")
    return model


def normalise(mixture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A mixture at zero mean and unit variance, and its mean and standard deviation before.

    Shape: `[B, 1, T]` to the same and twice `[B, 1, 1]`.
    """
    mean = mixture.mean(-1, keepdim=True)
    deviation = mixture.std(-1, keepdim=True).clamp_min(1e-5)
    return (mixture - mean) / deviation, mean, deviation


def draw(model: ScoreModel, mixture: Tensor, sampler: str = PAPER, steps: int = STEPS,
         noise: Noise = torch.randn_like, callback: Callback | None = None,
         polarities: int = 1) -> Tensor:
    """Sources that a mixture may have, from a posterior draw.

    Args:
        mixture: of zero mean and unit variance.
        sampler: `PAPER`, with two network calls a step, or a name in `samplers.SAMPLERS`.
        noise, callback: as in `samplers`.
        polarities: 2 gives the mean of two draws, as `over_polarities` says.

    Shape: `[B, 1, T]` to `[B, voices, T]`, all K sources but those that the model's `voices` leaves
    out. Raises ValueError for an unknown sampler.
    """
    if sampler not in (PAPER, *SAMPLERS):
        raise ValueError(f"unknown sampler {sampler!r}; known: {', '.join((PAPER, *SAMPLERS))}")
    times = time_grid(steps)

    def drawn(mixture: Tensor) -> Tensor:
        process = model.process_of(mixture)
        if sampler == PAPER:
            score = model.score(process, mixture)
            found = predictor_corrector(process, score, mixture, times, noise=noise,
                                        callback=callback)
            return found[:, :model.voices]
        v = process.components(process.start(mixture, noise), 1.0)
        v = SAMPLERS[sampler](model.denoise(process, mixture), v, process.levels(times), noise,
                              callback)
        return process.stack(v, 0.0)[:, :model.voices]

    return over_polarities(drawn, mixture, polarities, ordered=model.task == "enhance")


@torch.no_grad()
def separate(model: ScoreModel, mixture: np.ndarray, sampler: str = PAPER, steps: int = STEPS,
             seed: int = 0, polarities: int = 1) -> np.ndarray:
    """The sources of a mixture at the model's sample rate; for enhancement [speech, noise].

    A constant, silence for instance, is shared equally. `Separator` takes signals of any length.

    Shape: `[T]` to `[voices, T]`, float32. Raises ValueError for another shape, no samples and NaN.
    """
    mixture = check_mixture(mixture)
    if np.ptp(mixture) == 0:
        return np.tile(mixture / model.voices, (model.voices, 1))
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator).to(like)

    normal, mean, deviation = normalise(torch.from_numpy(mixture)[None, None].to(device))
    found = draw(model, normal, sampler, steps, noise, polarities=polarities)
    return (deviation * found + mean / found.shape[1])[0].cpu().numpy()


@dataclass
class DiffSepRecipe(SeparationRecipe):
    """How to train DiffSep to separate voices.

    Loss: E w(t) ‖L_t q + z‖² for the score q at x_t, t uniform in t_min…1, w the model's `weight`.
    With the probability `mismatch` it is the one for where sampling starts, t = 1 and x̄_T:
    min over orders π of the sources ‖L_T q + z + L_T⁻¹(s̄ − μ_T(π))‖², of one network call.
    With `log_loss` an example of error ε, w(t) included, counts as ln(ε + 0.001), so that easy and
    hard ones weigh the same: learnt weights of ε e^{−u} + u (Karras et al. 2024, "Analyzing and
    improving the training dynamics of diffusion models") are best at u = ln ε, here for every
    example by itself. Where examples that look alike differ in ε, that leans from the mean of the
    posterior to the likelier part of it.

    Args:
        prediction: what the network says, a key of `MODELS`.
        process: arguments of `MixingSDE`.
        mismatch: p_T.
        log_loss: ln(ε + 0.001) in place of ε.
        local_noise: as in `ScoreModel`.

    Source: DiffSep, section 3.2.
    """

    network: str = "NCSNpp"
    prediction: str = "score"
    process: dict = field(default_factory=lambda: {
        "sources": 2, "gamma": 2.0, "sigma_min": 0.05, "sigma_max": 0.5})
    mismatch: float = 0.1
    t_min: float = 0.03
    log_loss: bool = False
    local_noise: bool = False

    task: ClassVar[str] = "separate"
    use: ClassVar[str] = "voxmend separate --method diffsep --weights"

    @property
    def sources(self) -> int:
        return self.process["sources"]

    @property
    def heard(self) -> str:
        """What validation hears."""
        return f"{self.sources} voices"

    def build(self) -> Model:
        return MODELS[self.prediction](super().build(), MixingSDE(**self.process),
                                       self.sample_rate, self.local_noise, self.task)

    def describe(self) -> dict:
        return {"prediction": self.prediction, "task": self.task, "process": self.process,
                "local_noise": self.local_noise}

    def held_out(self, corpus: Corpus | Mixtures, count: int = 16) -> Tensor:
        """The voices of fixed mixtures of 4 s."""
        return self._normal(self._voices(corpus, count, 4.0, np.random.default_rng(1)))

    @staticmethod
    def _normal(voices: Tensor) -> Tensor:
        """Voices whose sum has unit variance."""
        return voices / normalise(voices.sum(1, keepdim=True))[2]

    def examples(self, corpus: Source, step: int) -> tuple[Tensor, ...]:
        """Voices, times (stratified over the batch), which of them start, and noise of a step."""
        generator = torch.Generator().manual_seed(self.seed + (step << 20))
        (voices,) = super().examples(corpus, step)
        starts = torch.rand(self.batch, generator=generator) < self.mismatch
        position = torch.arange(self.batch) + torch.rand(self.batch, generator=generator)
        t = self.t_min + (1 - self.t_min) * position / self.batch
        t = torch.where(starts, 1.0, t)
        return self._normal(voices), t, starts, torch.randn(voices.shape, generator=generator)

    def orders(self) -> list[tuple[int, ...]]:
        """The orders that the sources may come in, the given one first."""
        return list(permutations(range(self.sources)))

    def loss(self, model: Model, *batch: Tensor) -> Tensor:
        voices, t, starts, z = batch
        mixture = voices.sum(1, keepdim=True)
        process = model.process_of(mixture)
        mean = torch.where(starts[:, None, None], mixture / self.sources, process.mean(voices, t))
        score = model.score(process, mixture)(mean + process.spread(z, t), t)
        residual = process.spread(score, t) + z
        errors = torch.stack([
            (residual + process.whiten(mean - process.mean(voices[:, order], t), t))
            .square().mean((1, 2)) for order in self.orders()])
        errors = model.weight(t) * torch.where(starts, errors.amin(0), errors[0])
        return ((errors + 1e-3).log() if self.log_loss else errors).mean()

    def gain(self, estimates: Tensor, voices: Tensor) -> Tensor:
        """SI-SNR of the estimates over that of the mixture. Shape: `[B, K, T]` twice to `[B]`."""
        mixture = voices.sum(1, keepdim=True)
        return pit_si_snr(estimates, voices) - si_snr(mixture, voices).mean(-1)

    @torch.no_grad()
    def gains(self, model: ScoreModel, voices: Tensor, sampler: str = "ancestral", steps: int = 2,
              polarities: int = 1) -> Tensor:
        """`gain` of what `draw` makes of the mixtures.

        Shape: `[B, K, T]` to `[B]`, in dB.
        """
        rng, gains = torch.Generator().manual_seed(1), []
        for sources in voices.split(4):
            estimates = draw(model, sources.sum(1, keepdim=True), sampler, steps,
                             lambda like: torch.randn(like.shape, generator=rng).to(like),
                             polarities=polarities)
            gains.append(self.gain(estimates, sources))
        return torch.cat(gains)

    def validate(self, model: Model, voices: Tensor) -> dict[str, float]:
        """Mean of `gains` as the card has the weights sampled."""
        gains = self.gains(model, voices, **self.card.get("sampling", {}))
        return {self.heard: round(gains.mean().item(), 3)}


@dataclass
class EnhancementRecipe(DiffSepRecipe):
    """How to train DiffSep to part speech from noise: two sources whose order is known.

    Args:
        snr_db: range of the signal-to-noise ratio, dB; the speech's level is that of its file.
    """

    mismatch: float = 0.3
    local_noise: bool = True
    snr_db: tuple[float, float] = (-2.5, 17.5)

    task: ClassVar[str] = "enhance"
    product: ClassVar[str] = "enhancer"
    use: ClassVar[str] = "voxmend enhance --method diffsep --weights"
    needs_noise: ClassVar[bool] = True
    heard: ClassVar[str] = "speech"

    @property
    def ready(self) -> tuple[str, str]:
        return "clean", "noisy"

    def _mix(self, corpus: Corpus, batch: int, length: int,
             generator: np.random.Generator) -> Tensor:
        speech = corpus.crops(batch, length, 0.1, 0.0, generator)
        snr = generator.uniform(*self.snr_db, batch)
        noise = np.stack([draw_noise(corpus.noise, length, generator) for _ in range(batch)])
        noise = 0.1 * 10 ** (-snr[:, None] / 20) * noise
        return torch.cat([speech, torch.from_numpy(noise[:, None].astype(np.float32))], dim=1)

    def orders(self) -> list[tuple[int, ...]]:
        return [(0, 1)]

    def gain(self, estimates: Tensor, voices: Tensor) -> Tensor:
        """SI-SNR of the speech over that of the noisy speech."""
        return si_snr(estimates[:, 0], voices[:, 0]) - si_snr(voices.sum(1), voices[:, 0])

