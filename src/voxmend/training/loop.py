"""Training: one loop that runs on a CPU or a GPU and survives a kill at any moment.

Step k draws its crops, noise levels and noise from generators seeded by (seed, k) and nothing else,
so a run that is killed and resumed sees the same data in the same order, and on the same
hardware prints the same losses, as one that was never broken.
"""

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..models import hub
from ..models.pickled import read_checkpoint
from ..models.precision import for_training
from .corpus import Corpus, Mixtures
from .recipes import Recipe, Source

READY = ("noisy", "s1")  # folders that tell ready mixtures


class Run:
    """State of one training run in a folder: weights, EMA, optimizers, step, log."""

    def __init__(self, recipe: Recipe, folder: Path, device: torch.device):
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
        self.precision = for_training(device.type)

    @property
    def network(self) -> nn.Module:
        """What the product holds the weights of."""
        return getattr(self.denoiser, "network", self.denoiser)

    def save(self) -> None:
        """Writes the checkpoint beside its place and renames it, so a whole one always exists."""
        partial = self.checkpoint.with_suffix(".part")
        torch.save({"weights": self.denoiser.state_dict(), "ema": self.ema, "step": self.step,
                    "seconds": self.seconds_trained, "precision": self.precision,
                    "optimizers": [o.state_dict() for o in self.optimizers]}, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self.checkpoint)

    def resume(self) -> None:
        """Loads the checkpoint and drops the log's lines that are newer than it."""
        state = read_checkpoint(self.checkpoint)
        self.denoiser.load_state_dict(state["weights"])
        self.ema = {name: tensor.to(self.device) for name, tensor in state["ema"].items()}
        base = [[g["base"] for g in o.param_groups] for o in self.optimizers]
        for optimizer, saved, rates in zip(self.optimizers, state["optimizers"], base, strict=True):
            optimizer.load_state_dict(saved)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["base"] = rate  # the recipe's, should it have changed since
        self.step, self.seconds_trained = state["step"], state["seconds"]
        self.precision = state.get("precision", self.precision)
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        kept = [line for line in lines
                if line.endswith("}") and json.loads(line)["step"] <= self.step]
        partial = self.log.with_suffix(".part")
        partial.write_text("".join(line + "\n" for line in kept))
        partial.replace(self.log)

    def advance(self, source: Source) -> tuple[float, float]:
        """One optimizer step; the loss and the gradient's norm before clipping."""
        batch = (t.to(self.device) for t in self.recipe.examples(source, self.step))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
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
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.weights.items():
            parameter.copy_(values[name])

    def export(self, path: Path, hours: float, gains: dict) -> None:
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
                         "device": self.device.type, "precision": self.precision,
                         "minutes": round(self.seconds_trained / 60, 1),
                         **({"begin": Path(recipe.begin).stem} if recipe.begin else {})},
            f"validation_{recipe.validation}": gains, **recipe.card})


def open_corpus(recipe: Recipe, folder: Path, cache: Path, noise: Path | None) -> Corpus:
    """Speech of a folder, with the noise to mix it with, if any.

    Of a folder of noise that holds train/ it is that one, or the one that is called as the
    speech's; what it holds beside them, test/ for instance, is not heard.
    """
    corpus = Corpus(folder, cache, recipe.sample_rate)
    if noise is not None:
        parts = [part for part in (noise / folder.name, noise / "train") if part.is_dir()]
        corpus.noise = Corpus([*parts, noise][0], cache, recipe.sample_rate)
    return corpus


def train(recipe: Recipe, data: Path, folder: Path, minutes: float = math.inf,
          steps: int | None = None, resume: bool = False, device: str = "cpu",
          save_every: float = 60.0, validate_every: int = 500, compile: bool = False,
          noise: Path | None = None) -> Run:
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
    ValueError for a recipe that lacks noise, has no use for it or for ready mixtures;
    `hub.PriorError` for weights to begin with that are damaged or of another network.
    """
    folders = [Path(data) / part for part in ("train", "val")]
    ready = recipe.ready and (folders[0] / recipe.ready[0]).is_dir()
    other = next((part for part in READY if (folders[0] / part).is_dir()), None)
    if other and not ready:
        raise ValueError(f"{folders[0]}: holds ready mixtures ({other}/), which {recipe.name} does "
                         "not take; give a folder of clean speech")
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
    if isinstance(corpus, Corpus):
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
    source = recipe.prepare(corpus, run.device)
    gains = _loop(run, source, clean, minutes, save_every, validate_every)
    run.export(run.product, corpus.hours, gains)
    return run


def _loop(run: Run, source: Source, clean: Tensor, minutes: float, save_every: float,
          validate_every: int) -> dict[str, float]:
    board = _tensorboard(run.folder)
    start = saved = time.monotonic()
    before = run.seconds_trained
    with run.log.open("a", buffering=1) as log, tqdm(
            total=run.recipe.steps, initial=run.step, desc=run.recipe.name, unit="step") as bar:

        def report(entry: dict[str, Any]) -> None:
            log.write(json.dumps({"step": run.step, **entry}) + "\n")
            for name, value in entry.items():
                values = value if isinstance(value, dict) else {"": value}
                for suffix, number in values.items():
                    board and board.add_scalar(f"{name}/{suffix}".rstrip("/"), number, run.step)

        while run.step < run.recipe.steps and time.monotonic() - start < 60 * minutes:
            loss, norm = run.advance(source)
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


def _tensorboard(folder: Path) -> Any:
    """A TensorBoard writer where TensorBoard is installed, else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
