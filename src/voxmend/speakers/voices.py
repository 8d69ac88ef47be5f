"""Voices that nobody has: the distribution of speaker embeddings, learnt by a DDPM and drawn from.

Two methods share network, loss and schedules:

| method | the network's input | what it predicts |
|---|---|---|
| speakemb | standardised embeddings x, of unit variance in noise | ε, as in the paper |
| voxmend | their principal components z, scaled by √(λ + σ²) | what λ z/(λ + σ²) lacks |

The latter, `denoiser.EDMDenoiser` with σ_data² = λ, is one Gaussian before it is trained, which has
the mean and covariance of the data. The paper's network cannot even be that: ε of 704 dimensions
has to pass through 128.

Source: SpeakEMB, "Denoising diffusion on speaker embeddings" (Gupta 2023).
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from ..diffusion.denoiser import Denoiser, EDMDenoiser, EpsilonDenoiser
from ..diffusion.samplers import ancestral
from ..diffusion.schedules import betas_to_sigmas, build_betas, ddpm_grid
from ..models import hub
from ..training.recipes import trapezoid
from .embeddings import Embeddings
from .space import VoiceSpace

DEFAULT = "speakers704"
RANGE = {"start": 1e-5, "end": 1e-2}  # of β in the paper's schedules; cosine has its own
NETWORKS = {"voxmend": "ResidualMLP", "speakemb": "SpeakEMB"}  # of the methods
BATCH, LEARNING_RATE, WARMUP, DECAY, EMA = 128, 1e-3, 100, 0.4, 0.999
CURVE = 50  # points of the loss curve
LEFT = 0.01  # share of the signal's variance at the last step that is worth telling

Method = Literal["voxmend", "speakemb"]
Schedule = Literal["linear", "quadratic", "sigmoid", "cosine"]
Loss = Literal["l1", "l2"]


class Voices(nn.Module):
    """A distribution of embeddings: their space and a DDPM in it.

    Args:
        card: as `train` writes it.
    """

    def __init__(self, card: dict):
        super().__init__()
        self.card = card
        self.network = hub.build_network(card["network"], card["config"])
        self.space = VoiceSpace(card["parts"])
        self.betas = build_betas(card["betas"])

    @property
    def whole(self) -> bool:
        """Whether the denoiser knows the covariance, or only standardised dimensions."""
        return self.card["method"] == "voxmend"

    @property
    def denoiser(self) -> Denoiser:
        """Of principal components or, by the paper's method, of standardised embeddings.

        Shape: `[B, 1, D]`, as of a signal.
        """
        if self.whole:
            every = self.space.variances.sqrt()  # of every dimension its own
            return EDMDenoiser(self.network, sigma_data=cast("float", every))
        levels = betas_to_sigmas(self.betas).log() / 4
        return EpsilonDenoiser(self.network, self.betas, sigma_data=1.0,
                               condition=lambda step, beta: levels.to(beta)[step])

    def encode(self, vectors: np.ndarray) -> Tensor:
        """What the denoiser works on. Shape: `[N, D]` to `[N, 1, D]`."""
        known = self.space.components if self.whole else self.space.standardise
        return known(vectors)[:, None]

    @property
    def left(self) -> float:
        """Share of the signal's variance that the schedule leaves at its last step, ᾱ_T."""
        return float(torch.prod(1 - self.betas))

    @torch.no_grad()
    def draw(self, count: int, seed: int = 0, sampler: Callable = ancestral) -> np.ndarray:
        """Voices that nobody has, by every step of the schedule.

        The start is matched: it has the data's variance, which a short schedule does not drown, and
        the noise's.

        Shape: `[count, D]`, float32.
        """
        rng = torch.Generator().manual_seed(seed)
        sigmas = ddpm_grid(self.betas)
        spread = ((self.space.variances if self.whole else 1) + sigmas[0] ** 2).sqrt().float()
        start = spread * torch.randn(count, 1, self.space.dim, generator=rng)
        drawn = sampler(self.denoiser, start, sigmas,
                        lambda like: torch.randn(like.shape, generator=rng))[:, 0]
        return self.space.compose(drawn) if self.whole else self.space.restore(drawn)


def train(embeddings: Embeddings, method: Method = "voxmend", schedule: Schedule = "cosine",
          steps: int = 500, loss: Loss = "l1", iterations: int | None = None, seed: int = 0,
          progress: bool = True) -> Voices:
    """Learns the distribution of embeddings; where their speakers are known, all count the same.

    Loss: E |ε − ε_θ(x + σε; σ)|, or its square, with ε_θ = (x_σ − D(x_σ; σ))/σ and the step
    uniform. Source: Ho et al. 2020, eq. 14.

    Args:
        schedule, steps: of β; all but cosine rise from 1e-5 to 1e-2.
        iterations: of Adam, with 128 embeddings each; the weights are averaged. More of them bring
            voices nearer to the originals, until they are copies. By default 1500 √(D/704), which
            on 169 speakers leaves them as far as other people are.
    """
    begun = time.monotonic()
    iterations = iterations or round(1500 * math.sqrt(embeddings.dim / 704))
    betas = {"schedule": schedule, "steps": steps, **({} if schedule == "cosine" else RANGE)}
    torch.manual_seed(seed)
    model = Voices({"network": NETWORKS[method], "config": {"dim": embeddings.dim},
                    "prediction": "voices", "method": method, "betas": betas, "loss": loss,
                    "encoder": embeddings.encoder, "parts": list(embeddings.parts)})
    model.space = VoiceSpace.of(embeddings)
    curve = _descend(model, model.encode(embeddings.vectors), embeddings.weights, iterations, seed,
                     progress)
    model.card |= {
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "training": {"embeddings": len(embeddings), "speakers": len(set(embeddings.speakers)),
                     "iterations": iterations, "seed": seed,
                     "seconds": round(time.monotonic() - begun, 1)},
        "loss_curve": curve}
    return model.requires_grad_(False).eval()


def _descend(model: Voices, data: Tensor, weights: np.ndarray, iterations: int, seed: int,
             progress: bool) -> list[float]:
    """Trains on rows drawn by their weights; returns the course of the loss, in means."""
    rows_rng, rng = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    sigmas, denoiser = betas_to_sigmas(model.betas).float(), model.denoiser
    measure = torch.abs if model.card["loss"] == "l1" else torch.square
    parameters = list(model.network.parameters())
    averages = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.Adam(parameters, LEARNING_RATE, betas=(0.9, 0.99))
    losses = []
    for i in tqdm(range(iterations), desc="train", unit="step", disable=not progress):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * trapezoid(i, iterations, WARMUP, DECAY)
        clean = data[rows_rng.choice(len(data), BATCH, p=weights)]
        position = (torch.arange(BATCH) + torch.rand(BATCH, generator=rng)) / BATCH
        sigma = sigmas[(position * len(sigmas)).long().clamp(max=len(sigmas) - 1)].view(-1, 1, 1)
        noise = torch.randn(clean.shape, generator=rng)
        noisy = clean + sigma * noise
        predicted = (noisy - denoiser(noisy, sigma[:, :, 0])) / sigma
        loss = measure(predicted - noise).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.item())
        torch._foreach_lerp_(averages, [p.detach() for p in parameters],
                             1 - min(EMA, (1 + i) / (10 + i)))
    for parameter, average in zip(parameters, averages, strict=True):
        parameter.data.copy_(average)
    return [round(float(part.mean()), 5)
            for part in np.array_split(losses, min(CURVE, len(losses)))]


def generate(model: Voices, count: int, seed: int = 0) -> Embeddings:
    """Drawn voices, called voice0001 and so on."""
    digits = max(4, len(str(count)))
    return Embeddings(model.draw(count, seed), tuple(f"voice{i + 1:0{digits}d}"
                                                     for i in range(count)),
                      model.card["encoder"], model.space.parts)


def save(model: Voices, path: Path) -> None:
    """Writes a model and its card; network and axes in half precision."""
    half = {"space.axes", *(f"network.{name}" for name, _ in model.network.named_parameters())}
    hub.save_prior(path, {name: tensor.half() if name in half else tensor
                          for name, tensor in model.state_dict().items()}, model.card)


def load(name_or_path: str | Path = DEFAULT) -> Voices:
    """A model by a bundled name or path; raises `hub.PriorError`."""
    path = hub.find_prior(str(name_or_path), ("voices",), "model of voices")
    card = hub.read_card(path)
    if card.get("prediction") != "voices":
        raise hub.PriorError(f"{path}: no model of voices; voxmend speakers train makes one")
    with hub.fitting(path):
        model = Voices(card)
        model.load_state_dict({n: t.float() for n, t in load_file(str(path)).items()})
    return model.requires_grad_(False).eval()
