"""Recipes: how a prior is trained, and what the recipes of other systems share.

A recipe says what a step sees and what its loss is; `loop.train` runs it.
"""

import inspect
import json
import math
import runpy
import textwrap
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..diffusion.denoiser import Denoiser, EDMDenoiser, EpsilonDenoiser, broadcast
from ..diffusion.schedules import build_betas
from ..models import hub
from .corpus import Corpus
from .partial import train_only

Model = Any  # what a recipe's `build` gives
Source = Any  # what its `prepare` gives
VALIDATION_SIGMAS = (0.01, 0.03, 0.1, 0.3, 1.0)


def trapezoid(step: int, steps: int, warmup: int, decay: float) -> float:
    """Rises to 1 over `warmup` steps, stays, and falls to 0 over the last `decay` of `steps`."""
    rise = (step + 1) / max(1, warmup)
    fall = (steps - step) / max(1.0, decay * steps)
    return min(1.0, rise, fall)


class Recipe(Protocol):
    """What `loop.train` needs of a recipe: `PriorRecipe`, and those of `systems` and `speakers`.

    `build` gives the model, `prepare` what `examples` cuts a step's batch from, on which `loss` is
    taken; `held_out` gives what `validate` hears. So that processes can share a batch, `examples`
    gives tensors `[batch, …]` that depend on (seed, step) alone, in a thread of its own, and `loss`
    is a mean over examples.
    """

    name: str
    network: str
    config: dict
    card: dict
    steps: int
    batch: int
    seconds: float
    seed: int
    ema: float
    clip_norm: float
    balance: float

    @property
    def begin(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def speed_range(self) -> tuple[float, float]: ...
    @property
    def product(self) -> str: ...
    @property
    def use(self) -> str: ...
    @property
    def ready(self) -> tuple[str, ...]: ...
    @property
    def needs_noise(self) -> bool: ...
    @property
    def measure(self) -> str: ...
    @property
    def validation(self) -> str: ...
    def build(self) -> nn.Module: ...
    def describe(self) -> dict: ...
    def rate(self, step: int) -> float: ...
    def prepare(self, corpus: Any, device: torch.device) -> Source: ...
    def held_out(self, corpus: Any) -> Tensor: ...
    def examples(self, corpus: Source, step: int) -> tuple[Tensor, ...]: ...
    def loss(self, model: Model, /, *batch: Tensor) -> Tensor: ...
    def validate(self, model: Model, clean: Tensor, /) -> dict[str, float]: ...
    def optimizers(self, model: Any, /) -> list[torch.optim.Optimizer]: ...


def fresh_network(recipe: "Recipe") -> nn.Module:
    """The network that a recipe names, `package.module:Class` included, drawn from its seed."""
    torch.manual_seed(recipe.seed)
    return hub.build_network(recipe.network, recipe.config, imports=True)


def muon_and_adamw(network: nn.Module, muon: float, adamw: float,
                   weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices within a network's blocks, AdamW for all else.

    In the first thirty hours heard it brings what AdamW alone needs twice as many for.
    (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks")

    Args:
        muon: its rate, on AdamW's scale; at 0 AdamW has all.
        adamw: rate of the others.
    """
    inner = [name for name, p in network.named_parameters() if muon and p.ndim == 2
             and f".{name}".split(".")[-2] in ("expand", "contract", "project", "join")]
    weights = dict(network.named_parameters())
    matrices = [weights.pop(name) for name in inner]
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(weights.values(), lr=adamw, betas=(0.9, 0.99), weight_decay=weight_decay)]
    if matrices:
        found.append(torch.optim.Muon(matrices, lr=muon, weight_decay=weight_decay,
                                      adjust_lr_fn="match_rms_adamw"))
    return found


@dataclass
class PriorRecipe:
    """How to train a prior: a denoiser of clean speech in white noise.

    Loss, with σ log-uniform: E ‖F(c_in·x_σ, ln σ/4) − (x − c_skip·x_σ)/c_out‖², which is the
    denoising error under EDM's weight (σ² + σ_d²)/(σσ_d)². Source: Karras et al. 2022, eq. 8.

    The learning rate rises over `warmup` steps, stays, and falls linearly to zero over the last
    `decay` of `steps`; a run may be stopped earlier at any time, since the EMA is what ships.

    Args:
        balance, speed_range: how `train` has crops drawn, as in `Corpus.vary`.
        begin: weights that a run begins with, as in `hub.begin_with`.
        only: weights that are trained, as `partial.train_only` has them; the others stay as they
            are. By default all are.
    """

    name: str
    network: str
    config: dict
    steps: int
    batch: int = 16
    seconds: float = 1.0
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 300
    decay: float = 0.4
    ema: float = 0.999
    clip_norm: float = 1.0
    gain_db: float = 3.0
    balance: float = 1.0
    speed_range: tuple[float, float] = (1.0, 1.0)
    sample_rate: int = 16000
    sigma_min: float = 0.002
    sigma_max: float = 2.0
    sigma_data: float = 0.1
    seed: int = 0
    begin: str = ""
    only: tuple[str, ...] = ()
    card: dict = field(default_factory=dict)

    product: ClassVar[str] = "prior"
    use: ClassVar[str] = "--prior"
    ready: ClassVar[tuple[str, ...]] = ()
    needs_noise: ClassVar[bool] = False
    measure: ClassVar[str] = "denoising gain in dB at σ"
    validation: ClassVar[str] = "gain_db"
    sigmas: ClassVar[tuple[float, ...]] = VALIDATION_SIGMAS

    def fresh_network(self) -> nn.Module:
        """The network, of which `only` some weights are trained.

        Raises ValueError as `partial.train_only`, and for parts of matrices that would decay.
        """
        network = fresh_network(self)
        if self.only:
            if self.weight_decay and any("[" in told for told in self.only):
                raise ValueError(f"{self.name}: what of a matrix has no gradient would decay as "
                                 "well; give weight_decay=0")
            try:
                train_only(network, self.only)
            except ValueError as error:
                raise ValueError(f"{self.name}: {error}") from None
        return network

    def build(self) -> Denoiser:
        return EDMDenoiser(self.fresh_network(), self.sample_rate, self.sigma_min, self.sigma_max,
                           self.sigma_data)

    def describe(self) -> dict:
        """What a card says of the use of the weights."""
        return {"sigma_min": self.sigma_min, "sigma_max": self.sigma_max,
                "sigma_data": self.sigma_data}

    def rate(self, step: int) -> float:
        """Factor on the learning rates at a step."""
        return trapezoid(step, self.steps, self.warmup, self.decay)

    def prepare(self, corpus: Corpus, device: torch.device) -> Source:
        """What `examples` are cut from: the corpus as it is."""
        return corpus

    def held_out(self, corpus: Corpus) -> Tensor:
        """The signals that `validate` sees: 32 fixed crops of 2 s."""
        return corpus.crops(32, 2 * self.sample_rate, self.sigma_data, 0.0,
                            np.random.default_rng(1))

    def _draws(self, corpus: Corpus, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Clean crops, a number of 0…1 for each (stratified over the batch) and noise of a step."""
        numpy_rng = np.random.default_rng([self.seed, step])
        torch_rng = torch.Generator().manual_seed(self.seed + (step << 20))
        clean = corpus.crops(self.batch, round(self.seconds * self.sample_rate), self.sigma_data,
                             self.gain_db, numpy_rng)
        position = torch.arange(self.batch) + torch.rand(self.batch, generator=torch_rng)
        return clean, position / self.batch, torch.randn(clean.shape, generator=torch_rng)

    def examples(self, corpus: Source, step: int) -> tuple[Tensor, ...]:
        """Clean crops, noise levels and noise of a step."""
        clean, position, noise = self._draws(corpus, step)
        span = math.log(self.sigma_max / self.sigma_min)
        sigma = self.sigma_min * torch.exp(position * span)
        return clean, sigma.view(-1, 1, 1), noise

    def loss(self, denoiser: Model, *batch: Tensor) -> Tensor:
        clean, sigma, noise = batch
        noisy = clean + sigma * noise
        c_skip, c_out, c_in = denoiser.coefficients(sigma)
        predicted = denoiser.network(c_in * noisy, sigma.flatten().log() / 4)
        return (predicted - (clean - c_skip * noisy) / c_out).square().mean()

    @torch.no_grad()
    def validate(self, denoiser: Model, clean: Tensor) -> dict[str, float]:
        """Denoising gain 10 log10(σ²/MSE) in dB at each of `sigmas`."""
        rng = torch.Generator().manual_seed(1)
        noise = torch.randn(clean.shape, generator=rng).to(clean.device)
        gains = {}
        for sigma in self.sigmas:
            pairs = zip(clean.split(16), noise.split(16), strict=True)
            error = sum((denoiser(x + sigma * z, sigma) - x).square().sum() for x, z in pairs)
            gains[f"{sigma:g}"] = round(10 * math.log10(sigma**2 * clean.numel() / error.item()), 3)
        return gains

    def optimizers(self, denoiser: nn.Module) -> list[torch.optim.Optimizer]:
        return [torch.optim.AdamW(denoiser.parameters(), lr=self.learning_rate, betas=(0.9, 0.99),
                                  weight_decay=self.weight_decay)]


@dataclass
class EpsilonRecipe(PriorRecipe):
    """How to train the ε-network of a DDPM.

    Loss: E ‖ε − ε_θ(√ᾱ_t x + √(1 − ᾱ_t) ε, β_t)‖² with t uniform, by Adam. Schedule, batch, length
    and learning rate are UnDiff's; its course, the averaging and the clipping are `PriorRecipe`'s.
    Source: Ho et al. 2020, eq. 14; UnDiff, eq. 3 with λ = 1 and section 4.3.

    `betas` names the schedule: a key of `schedules.BETAS` and its arguments.
    """

    batch: int = 8
    seconds: float = 2.048
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    betas: dict = field(default_factory=lambda: {"schedule": "linear", "steps": 200,
                                                 "start": 1e-4, "end": 0.02})

    def build(self) -> EpsilonDenoiser:
        return EpsilonDenoiser(self.fresh_network(), build_betas(self.betas), self.sample_rate,
                               self.sigma_data)

    def describe(self) -> dict:
        return {"prediction": "epsilon", "betas": self.betas, "sigma_data": self.sigma_data}

    def examples(self, corpus: Source, step: int) -> tuple[Tensor, ...]:
        """Clean crops, steps of the schedule (from 0) and noise of a step."""
        clean, position, noise = self._draws(corpus, step)
        t = (position * self.betas["steps"]).long().clamp(max=self.betas["steps"] - 1)
        return clean, t, noise

    def loss(self, denoiser: Model, *batch: Tensor) -> Tensor:
        clean, t, noise = batch
        sigma = broadcast(denoiser.log_sigmas[t].exp(), clean)
        x_t = (clean + sigma * noise) / (1 + sigma.square()).sqrt()
        condition = denoiser.condition(t, denoiser.betas[t])
        return (denoiser.network(x_t, condition) - noise).square().mean()

    def optimizers(self, denoiser: nn.Module) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(denoiser.parameters(), lr=self.learning_rate,
                                 weight_decay=self.weight_decay)]


LEAST = {"steps": 1, "batch": 1, "seed": 0, "sample_rate": 1}  # all but steps are whole numbers
POSITIVE = ("seconds", "sigma_min", "sigma_max", "sigma_data")


def check(recipe: "Recipe") -> None:
    """Raises ValueError for impossible numbers, and for what no card can be written of."""
    told = {name: one.type for name, one in getattr(recipe, "__dataclass_fields__", {}).items()}
    for name, kind in (told | inspect.get_annotations(Recipe)).items():
        value, whole = getattr(recipe, name, 0), name in LEAST and name != "steps"
        if kind in (int, float) and not isinstance(value, Integral if whole else Real):
            raise ValueError(f"{recipe.name}: {name}={value!r}: give a {'whole ' * whole}number")
    for name, least in LEAST.items():
        if not (value := getattr(recipe, name)) >= least:
            raise ValueError(f"{recipe.name}: {name}={value}: give at least {least}")
    for name in POSITIVE:
        if not 0 < (value := getattr(recipe, name, 1)) < math.inf:
            raise ValueError(f"{recipe.name}: {name}={value}: give more than 0")
    try:
        json.dumps([recipe.config, recipe.card])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{recipe.name}: config and card are written as JSON: {error}") from None


def load_recipe(path: Path) -> "Recipe":
    """The object named `recipe` of a Python file.

    Raises ValueError if the file fails, has none, or one that lacks what `Recipe` has;
    FileNotFoundError.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such recipe file")
    try:
        found = runpy.run_path(str(path)).get("recipe")
    except Exception as error:  # whatever a user's file may raise
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    if found is None:
        raise ValueError(f"{path}: defines no `recipe`")
    needed = {**inspect.get_annotations(Recipe), **vars(Recipe)}
    missing = [name for name in needed if not (name.startswith("_") or hasattr(found, name))]
    if missing:
        raise ValueError(f"{path}: `recipe` is no recipe, it lacks "
                         f"{textwrap.shorten(', '.join(missing), 60, placeholder=' …')}; give a "
                         "PriorRecipe, for instance")
    return found
