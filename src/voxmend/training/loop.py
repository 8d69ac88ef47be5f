"""Training: one loop that runs on a CPU or a GPU and survives a kill at any moment.

Step k draws its crops, noise levels and noise from generators seeded by (seed, k) and nothing else,
so a run that is killed and resumed sees the same data in the same order, and on the same
hardware prints the same losses, as one that was never broken.
"""

import json
import math
import os
import runpy
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..diffusion.denoiser import EDMDenoiser, EpsilonDenoiser, broadcast
from ..diffusion.schedules import build_betas
from ..models import hub
from ..models.checkpoints import read_checkpoint
from .corpus import Corpus, Mixtures

VALIDATION_SIGMAS = (0.01, 0.03, 0.1, 0.3, 1.0)


def trapezoid(step: int, steps: int, warmup: int, decay: float) -> float:
    """Rises to 1 over `warmup` steps, stays, and falls to 0 over the last `decay` of `steps`."""
    rise = (step + 1) / warmup
    fall = (steps - step) / max(1.0, decay * steps)
    return min(1.0, rise, fall)


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
    card: dict = field(default_factory=dict)

    product: ClassVar[str] = "prior"
    use: ClassVar[str] = "--prior"
    ready: ClassVar[tuple[str, ...]] = ()
    needs_noise: ClassVar[bool] = False
    measure: ClassVar[str] = "denoising gain in dB at σ"
    validation: ClassVar[str] = "gain_db"
    sigmas: ClassVar[tuple[float, ...]] = VALIDATION_SIGMAS

    def build(self) -> EDMDenoiser:
        torch.manual_seed(self.seed)
        return EDMDenoiser(hub.build_network(self.network, self.config), self.sample_rate,
                           self.sigma_min, self.sigma_max, self.sigma_data)

    def describe(self) -> dict:
        """What a card says of the use of the weights."""
        return {"sigma_min": self.sigma_min, "sigma_max": self.sigma_max,
                "sigma_data": self.sigma_data}

    def rate(self, step: int) -> float:
        """Factor on the learning rates at a step."""
        return trapezoid(step, self.steps, self.warmup, self.decay)

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

    def examples(self, corpus: Corpus, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Clean crops, noise levels and noise of a step."""
        clean, position, noise = self._draws(corpus, step)
        span = math.log(self.sigma_max / self.sigma_min)
        sigma = self.sigma_min * torch.exp(position * span)
        return clean, sigma.view(-1, 1, 1), noise

    def loss(self, denoiser: EDMDenoiser, clean: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
        noisy = clean + sigma * noise
        c_skip, c_out, c_in = denoiser.coefficients(sigma)
        predicted = denoiser.network(c_in * noisy, sigma.flatten().log() / 4)
        return (predicted - (clean - c_skip * noisy) / c_out).square().mean()

    @torch.no_grad()
    def validate(self, denoiser: EDMDenoiser, clean: Tensor) -> dict[str, float]:
        """Denoising gain 10 log10(σ²/MSE) in dB at each of `sigmas`."""
        rng = torch.Generator().manual_seed(1)
        noise = torch.randn(clean.shape, generator=rng).to(clean.device)
        gains = {}
        for sigma in self.sigmas:
            pairs = zip(clean.split(16), noise.split(16))
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
        torch.manual_seed(self.seed)
        network = hub.build_network(self.network, self.config)
        return EpsilonDenoiser(network, build_betas(self.betas), self.sample_rate, self.sigma_data)

    def describe(self) -> dict:
        return {"prediction": "epsilon", "betas": self.betas, "sigma_data": self.sigma_data}

    def examples(self, corpus: Corpus, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Clean crops, steps of the schedule (from 0) and noise of a step."""
        clean, position, noise = self._draws(corpus, step)
        t = (position * self.betas["steps"]).long().clamp(max=self.betas["steps"] - 1)
        return clean, t, noise

    def loss(self, denoiser: EpsilonDenoiser, clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        sigma = broadcast(denoiser.log_sigmas[t].exp(), clean)
        x_t = (clean + sigma * noise) / (1 + sigma.square()).sqrt()
        condition = denoiser.condition(t, denoiser.betas[t])
        return (denoiser.network(x_t, condition) - noise).square().mean()

    def optimizers(self, denoiser: nn.Module) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(denoiser.parameters(), lr=self.learning_rate,
                                 weight_decay=self.weight_decay)]


def load_recipe(path: Path):
    """The object named `recipe` of a Python file; raises ValueError if it has none or fails."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such recipe file")
    try:
        found = runpy.run_path(str(path)).get("recipe")
    except Exception as error:  # whatever a user's file may raise
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    if found is None:
        raise ValueError(f"{path}: defines no `recipe`")
    return found


def multiplies_bf16(device: torch.device) -> bool:
    """Whether bf16 matrix products are faster than fp32's there: a GPU, a CPU with such units."""
    return device.type == "cuda" or (device.type == "cpu"
                                     and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Run:
    """State of one training run in a folder: weights, EMA, optimizers, step, log."""

    def __init__(self, recipe, folder: Path, device: torch.device):
        self.recipe, self.folder, self.device = recipe, Path(folder), device
        self.folder.mkdir(parents=True, exist_ok=True)
        self.denoiser = recipe.build().to(device)
        self.checkpoint, self.log = self.folder / "checkpoint.pt", self.folder / "log.jsonl"
        self.product = self.folder / f"{recipe.product}.safetensors"
        if recipe.begin and not self.checkpoint.exists():
            hub.begin_with(self.network, recipe.begin)
        self.optimizers = recipe.optimizers(self.denoiser)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["base"] = group["lr"]
        self.weights = dict(self.denoiser.named_parameters())
        self.ema = {n: p.detach().clone() for n, p in self.weights.items()}
        self.step, self.seconds_trained = 0, 0.0

    @property
    def network(self) -> nn.Module:
        """What the product holds the weights of."""
        return getattr(self.denoiser, "network", self.denoiser)

    def save(self):
        """Writes the checkpoint beside its place and renames it, so a whole one always exists."""
        partial = self.checkpoint.with_suffix(".part")
        torch.save({"weights": self.denoiser.state_dict(), "ema": self.ema, "step": self.step,
                    "seconds": self.seconds_trained,
                    "optimizers": [o.state_dict() for o in self.optimizers]}, partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, self.checkpoint)

    def resume(self):
        """Loads the checkpoint and drops the log's lines that are newer than it."""
        state = read_checkpoint(self.checkpoint)
        self.denoiser.load_state_dict(state["weights"])
        self.ema = {name: tensor.to(self.device) for name, tensor in state["ema"].items()}
        base = [[g["base"] for g in o.param_groups] for o in self.optimizers]
        for optimizer, saved, rates in zip(self.optimizers, state["optimizers"], base):
            optimizer.load_state_dict(saved)
            for group, rate in zip(optimizer.param_groups, rates):
                group["base"] = rate  # the recipe's, should it have changed since
        self.step, self.seconds_trained = state["step"], state["seconds"]
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        kept = [line for line in lines
                if line.endswith("}") and json.loads(line)["step"] <= self.step]
        partial = self.log.with_suffix(".part")
        partial.write_text("".join(line + "\n" for line in kept))
        os.replace(partial, self.log)

    def advance(self, corpus: Corpus) -> tuple[float, float]:
        """One optimizer step; the loss and the gradient's norm before clipping."""
        batch = (t.to(self.device) for t in self.recipe.examples(corpus, self.step))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=multiplies_bf16(self.device)):
            loss = self.recipe.loss(self.denoiser, *batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.denoiser.parameters(), self.recipe.clip_norm)
        factor = self.recipe.rate(self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.ema.values()),
                             [self.weights[n].detach() for n in self.ema], 1 - decay)
        return loss.item(), norm.item()

    def validate(self, clean: Tensor) -> dict[str, float]:
        """The recipe's validation with the averaged weights."""
        trained = {n: p.detach().clone() for n, p in self.weights.items()}
        self._put(self.ema)
        self.denoiser.eval()
        try:
            with torch.compiler.set_stance("force_eager"):  # compiling for its shapes does not pay
                return self.recipe.validate(self.denoiser, clean)
        finally:
            self.denoiser.train()
            self._put(trained)

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]):
        for name, parameter in self.weights.items():
            parameter.copy_(values[name])

    def export(self, path: Path, hours: float, gains: dict):
        """Writes the network's averaged weights in fp16, and its buffers, with their card."""
        recipe, network = self.recipe, self.network
        averages = {id(p): self.ema[n].half() for n, p in self.weights.items()}
        state = {n: averages.get(id(t), t) for n, t in network.state_dict(keep_vars=True).items()}
        seen = self.step * recipe.batch * recipe.seconds / 3600
        hub.save_prior(path, state, {
            "network": recipe.network, "config": recipe.config, "sample_rate": recipe.sample_rate,
            **recipe.describe(),
            "parameters": sum(p.numel() for p in network.parameters()),
            "training": {"recipe": recipe.name, "steps": self.step,
                         "hours_of_speech": round(hours, 2), "hours_seen": round(seen, 2),
                         "device": self.device.type,
                         "minutes": round(self.seconds_trained / 60, 1),
                         **({"begin": Path(recipe.begin).stem} if recipe.begin else {})},
            f"validation_{recipe.validation}": gains, **recipe.card})


def open_corpus(recipe, folder: Path, cache: Path, noise: Path | None) -> Corpus:
    """Speech of a folder, with the noise to mix it with, if any.

    Of a folder of noise that holds train/ it is that one, or the one that is called as the
    speech's; what it holds beside them, test/ for instance, is not heard.
    """
    corpus = Corpus(folder, cache, recipe.sample_rate)
    if noise is not None:
        parts = [part for part in (noise / folder.name, noise / "train") if part.is_dir()]
        corpus.noise = Corpus([*parts, noise][0], cache, recipe.sample_rate)
    return corpus


def train(recipe, data: Path, folder: Path, minutes: float = math.inf, steps: int | None = None,
          resume: bool = False, device: str = "cpu", save_every: float = 60.0,
          validate_every: int = 500, compile: bool = False, noise: Path | None = None) -> Run:
    """Trains until the recipe's steps are done or the minutes are over, and exports the EMA.

    Args:
        data: a folder that holds `train/` and `val/`, of speech or of ready mixtures.
        folder: where checkpoint, log and product (as `prior.safetensors`) go; its `cache/` holds
            decoded audio.
        minutes: wall-clock limit of this call.
        steps: the recipe's number of steps, replaced.
        save_every: seconds between checkpoints.
        noise: a folder of noise, for a recipe that mixes speech with it. Without a train/ and a
            val/ in it, validation hears other crops of the same recordings.

    Raises: FileNotFoundError without data; FileExistsError when a run is there and resume is off;
    ValueError for a recipe that lacks noise or has no use for it; `hub.PriorError` for weights to
    begin with that are damaged or of another network.
    """
    folders = [Path(data) / part for part in ("train", "val")]
    ready = recipe.ready and (folders[0] / recipe.ready[0]).is_dir()
    mixes = recipe.needs_noise and not ready
    if mixes and noise is None:
        raise ValueError(f"{recipe.name}: mixes speech with noise; give a folder with --noise")
    if noise is not None and not mixes:
        raise ValueError(f"{recipe.name}: has no use for --noise {noise}")
    if steps is not None:
        recipe.steps = steps
    run = Run(recipe, folder, torch.device(device))
    if run.checkpoint.exists() and not resume:
        raise FileExistsError(f"{run.checkpoint}: a run is there; --resume it or use another --out")
    cache = Path(folder) / "cache"
    corpus, held_out = (Mixtures(part, recipe.ready, cache, recipe.sample_rate) if ready
                        else open_corpus(recipe, part, cache, noise) for part in folders)
    if not ready:
        corpus.vary(recipe.balance, recipe.speed_range)
        if mixes:
            corpus.noise.vary(speed_range=recipe.speed_range)
    clean = recipe.held_out(held_out).to(run.device)
    if run.checkpoint.exists():
        run.resume()
    else:
        run.log.unlink(missing_ok=True)  # of a run that ended before its first checkpoint
    if compile:
        run.network.compile()
    gains = _loop(run, corpus, clean, minutes, save_every, validate_every)
    run.export(run.product, corpus.hours, gains)
    return run


def _loop(run: Run, corpus, clean, minutes, save_every, validate_every) -> dict[str, float]:
    board = _tensorboard(run.folder)
    start = saved = time.monotonic()
    before = run.seconds_trained
    with open(run.log, "a", buffering=1) as log, tqdm(
            total=run.recipe.steps, initial=run.step, desc=run.recipe.name, unit="step") as bar:

        def report(entry):
            log.write(json.dumps({"step": run.step, **entry}) + "\n")
            for name, value in entry.items():
                values = value if isinstance(value, dict) else {"": value}
                for suffix, number in values.items():
                    board and board.add_scalar(f"{name}/{suffix}".rstrip("/"), number, run.step)

        while run.step < run.recipe.steps and time.monotonic() - start < 60 * minutes:
            loss, norm = run.advance(corpus)
            run.seconds_trained = before + time.monotonic() - start
            bar.update()
            report({"loss": loss, "gradient_norm": norm})
            if run.step % validate_every == 0:
                gains = run.validate(clean)
                report({run.recipe.validation: gains})
                tqdm.write(f"step {run.step}: {run.recipe.measure} = "
                           + ", ".join(f"{s}: {g:.2f}" for s, g in gains.items()))
            if time.monotonic() - saved > save_every:
                run.save()
                saved = time.monotonic()
        run.save()
        gains = run.validate(clean)
        report({run.recipe.validation: gains})
    return gains


def _tensorboard(folder: Path):
    """A TensorBoard writer where TensorBoard is installed, else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
