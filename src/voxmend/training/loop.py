"""Training: one loop on a CPU, a GPU or many, that survives a kill at any moment.

Step k draws its crops, noise levels and noise from generators seeded by (seed, k) and nothing else,
so a run that is killed and resumed sees the same data in the same order, and on the same
hardware prints the same losses, as one that was never broken; so does one whose number of
processes changes, but for the order of sums.
"""

import copy
import math
import signal
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from tqdm import tqdm

from ..models import hub
from ..models.pickled import CheckpointError, read_checkpoint
from ..models.precision import for_training
from .ahead import Ahead
from .corpus import Corpus, Mixtures
from .log import Log, drop_after, replacing
from .manifest import find_part
from .ranks import Piece, Ranks, alone, joined, share_norms
from .recipes import Model, Recipe, Source, check

READY = ("noisy", "s1")  # folders that tell ready mixtures
LOG_SECONDS = 2.0  # between writes of the log


class Objective(nn.Module):
    """A recipe's loss as the output of a module, which several processes can share."""

    def __init__(self, recipe: Recipe, model: Model):
        super().__init__()
        self.recipe, self.model = recipe, model

    def forward(self, *batch: Tensor) -> Tensor:
        return self.recipe.loss(self.model, *batch)


class Run:
    """State of one training run in a folder: weights, EMA, optimizers, step, log.

    Args:
        ranks: the processes that train it; the first one writes.
        accumulate: pieces in which each of them takes its share of a batch.

    Raises ValueError as `recipes.check`, and for a batch of fewer examples than pieces.
    """

    def __init__(self, recipe: Recipe, folder: Path, device: torch.device,
                 ranks: Ranks | None = None, accumulate: int = 1):
        check(recipe)
        self.recipe, self.folder, self.device = recipe, Path(folder), device
        self.ranks, self.accumulate = ranks or Ranks(), accumulate
        if recipe.batch < self.ranks.count * accumulate:
            raise ValueError(f"{recipe.name}: a batch of {recipe.batch} makes no "
                             f"{self.ranks.count * accumulate} pieces; give fewer processes or a "
                             "smaller --accumulate")
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
        self.precision = self.ranks.told(for_training(device.type))
        if self.ranks.count > 1:
            share_norms(self.denoiser)
        self.objective = self.ranks.together(Objective(recipe, self.denoiser))

    @property
    def network(self) -> nn.Module:
        """What the product holds the weights of."""
        return getattr(self.denoiser, "network", self.denoiser)

    def save(self) -> None:
        """Writes the checkpoint beside its place and renames it, so a whole one always exists."""
        if not self.ranks.first:
            return
        with replacing(self.checkpoint) as file:
            torch.save({"weights": self.denoiser.state_dict(), "ema": self.ema, "step": self.step,
                        "seconds": self.seconds_trained, "precision": self.precision,
                        "optimizers": [o.state_dict() for o in self.optimizers]}, file)

    def resume(self) -> None:
        """Loads the checkpoint and drops the log's lines that are newer than it.

        Raises CheckpointError for one that is damaged or of another recipe.
        """
        state = read_checkpoint(self.checkpoint)
        try:
            self._take(state)
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            reason = textwrap.shorten(str(error), 160)
            raise CheckpointError(f"{self.checkpoint}: does not fit {self.recipe.name} ({reason}); "
                                  "resume it with its own recipe, or use another --out"
                                  ) from None
        if self.ranks.first:
            drop_after(self.log, self.step)

    def _take(self, state: dict[str, Any]) -> None:
        self.denoiser.load_state_dict(state["weights"])
        self.ema = {name: state["ema"][name].to(self.device) for name in self.ema}
        base = [[g["base"] for g in o.param_groups] for o in self.optimizers]
        for optimizer, saved, rates in zip(self.optimizers, state["optimizers"], base, strict=True):
            optimizer.load_state_dict(saved)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["base"] = rate  # the recipe's, should it have changed since
        self.step, self.seconds_trained = int(state["step"]), float(state["seconds"])
        self.precision = state.get("precision", self.precision)

    def batch(self, source: Source, step: int | None = None) -> list[Piece]:
        """This process's share of the batch of a step, by default the next one, on the device."""
        examples = self.recipe.examples(source, self.step if step is None else step)
        return [(weight, tuple(t.to(self.device) for t in piece))
                for weight, piece in self.ranks.share(examples, self.accumulate)]

    def advance(self, batch: list[Piece]) -> tuple[Tensor, Tensor]:
        """One optimizer step; the loss and the gradient's norm before clipping, on the device.

        The loss is that of this process's share, the norm that of all.
        """
        total = torch.zeros((), device=self.device)
        for weight, piece in batch[:-1]:
            with alone(self.objective):
                total += self._backward(weight, piece)
        total += self._backward(*batch[-1])
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
        return total, norm

    def _backward(self, weight: float, piece: tuple[Tensor, ...]) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            loss = weight * self.objective(*piece)
        loss.backward()
        return loss.detach()

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
                         **({"processes": count} if (count := self.ranks.count) > 1 else {}),
                         **({"begin": Path(recipe.begin).stem} if recipe.begin else {})},
            f"validation_{recipe.validation}": gains, **recipe.card})


def open_corpus(recipe: Recipe, source: Path, cache: Path, noise: Path | None) -> Corpus:
    """Speech of a folder or a manifest, with the noise to mix it with, if any.

    Of a folder of noise that holds train/ it is that one, or the one that is called as the
    speech's; what it holds beside them, test/ for instance, is not heard. Either may be a manifest.
    """
    corpus = Corpus(source, cache, recipe.sample_rate)
    if noise is not None:
        parts = (find_part(noise, name) for name in (source.name.partition(".")[0], "train"))
        corpus.noise = Corpus(next(filter(None, parts), noise), cache, recipe.sample_rate)
    return corpus


def open_data(recipe: Recipe, data: Path, cache: Path, noise: Path | None
              ) -> tuple[Corpus | Mixtures, Corpus | Mixtures]:
    """What a recipe is trained on and what validation hears, of the folder that holds both.

    Each is a folder or a manifest.

    Raises ValueError for a recipe that lacks noise, has no use for it or for ready mixtures, and
    AudioError.
    """
    folders = [find_part(data, part) or data / part for part in ("train", "val")]
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
    if ready:
        corpus, held_out = (Mixtures(part, recipe.ready, cache, recipe.sample_rate)
                            for part in folders)
        return corpus, held_out
    speech, other_speech = (open_corpus(recipe, part, cache, noise) for part in folders)
    speech.vary(recipe.balance, recipe.speed_range)
    if mixes:
        speech.noise.vary(speed_range=recipe.speed_range)
    return speech, other_speech


@contextmanager
def _sole_trainer(folder: Path, ranks: Ranks) -> Iterator[None]:
    """Where one run at a time is; the system opens the lock of one that dies."""
    lock, free = FileLock(folder / "training.lock"), True
    if ranks.first:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            free = False
    if not ranks.told(free):
        raise FileExistsError(f"{folder}: another process trains there; use another --out")
    try:
        yield
    finally:
        lock.release()


def train(recipe: Recipe, data: Path, folder: Path, minutes: float = math.inf,
          steps: int | None = None, resume: bool = False, device: str = "cpu",
          save_every: float = 60.0, validate_every: int = 500, compile: bool = False,
          noise: Path | None = None, accumulate: int = 1, cache: Path | None = None,
          clock: Callable[[], float] = time.monotonic) -> Run:
    """Trains until the recipe's steps are done or the minutes are over, and exports the EMA.

    Processes that torchrun has started train one network together (`ranks`).

    Args:
        data: a folder that holds `train/` and `val/`, of speech or of ready mixtures, or of speech
            `train.jsonl` and `val.jsonl` (`manifest`).
        folder: where checkpoint, log and product (as `prior.safetensors`) go, which all processes
            see.
        minutes: limit of this call, by the clock.
        steps: the recipe's number of steps, replaced.
        save_every: seconds between checkpoints.
        noise: a folder of noise, for a recipe that mixes speech with it. Without a train/ and a
            val/ in it, validation hears other crops of the same recordings.
        accumulate: pieces in which each process takes its share of a batch, one after the other, so
            that a large one fits its memory; the gradient is that of the batch. Batch norms know
            their piece alone, of all processes.
        cache: where decoded audio goes, which runs may share; by default `cache/` in `folder`.
        clock: seconds, by default those on the wall.

    A run that is asked to stop (Ctrl-C, SIGTERM) leaves a checkpoint of its last step.

    Raises: AudioError without data; FileExistsError when a run is there and resume is off, or
    another process is at it;
    ValueError as `open_data`, `Run` and `Run.resume`; `hub.PriorError` for weights to begin with
    that are damaged or of another network.
    """
    if steps is not None:
        recipe = copy.copy(recipe)
        recipe.steps = steps
    with joined(device) as (ranks, place), ExitStack() as stack:
        run = Run(recipe, folder, place, ranks, accumulate)
        stack.enter_context(_sole_trainer(run.folder, ranks))
        if run.checkpoint.exists() and not resume:
            raise FileExistsError(f"{run.checkpoint}: a run is there; --resume it or use another "
                                  "--out")
        corpus, held_out = open_data(recipe, Path(data), cache or Path(folder) / "cache", noise)
        clean = recipe.held_out(held_out).to(run.device)
        if run.checkpoint.exists():
            run.resume()
        elif ranks.first:
            run.log.unlink(missing_ok=True)  # of a run that ended before its first checkpoint
        if ranks.told(run.step) != run.step:
            raise ValueError(f"{run.checkpoint}: not that of the first process; give --out a "
                             "folder that all processes see")
        if compile:
            run.network.compile()
        source = recipe.prepare(corpus, run.device)
        gains = _loop(run, source, clean, minutes, save_every, validate_every, clock)
        if ranks.first:
            run.export(run.product, corpus.hours, gains)
    return run


@contextmanager
def _heeded() -> Iterator[list[int]]:
    """Signals that asked to stop, SIGINT or SIGTERM: a step in work is finished first.

    A second one does not wait for it. Signals reach the main thread alone.
    """
    asked = list[int]()

    def ask(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _loop(run: Run, source: Source, clean: Tensor, minutes: float, save_every: float,
          validate_every: int, clock: Callable[[], float]) -> dict[str, float]:
    """Trains; the last validation of the first rank. Raises KeyboardInterrupt if asked to stop."""
    recipe, first = run.recipe, run.ranks.first
    start = saved = logged = now = clock()
    before, over = run.seconds_trained, minutes <= 0
    if first and run.step >= recipe.steps:
        tqdm.write(f"{run.checkpoint}: {run.step} steps are done and {recipe.steps} asked for: "
                   "nothing is left to train; give more steps, or another folder")
    with (_heeded() as asked, Log(run.log, run.ranks) as log,
          Ahead(lambda step: run.batch(source, step), recipe.steps) as batches,
          tqdm(total=recipe.steps, initial=run.step, desc=recipe.name, unit="step",
               disable=not first) as bar):

        def validate() -> dict[str, float]:
            log.flush()
            found = run.validate(clean) if first else {}
            log.write(run.step, {recipe.validation: found})
            return found

        while run.step < recipe.steps and not over:
            loss, norm = run.advance(batches(run.step))
            log.keep(run.step, loss, norm)
            bar.update()
            now = clock()
            run.seconds_trained = before + now - start
            over, save, write = run.ranks.told((bool(asked) or now - start >= 60 * minutes,
                                                now - saved > save_every,
                                                now - logged > LOG_SECONDS))
            if run.step % validate_every == 0:
                gains = ", ".join(f"{s}: {g:.2f}" for s, g in validate().items())
                if first:
                    tqdm.write(f"step {run.step}: {recipe.measure} = {gains}")
            if save or write:
                log.flush()
                logged = now
            if save:
                run.save()
                saved = now
        log.flush()
        run.save()
        if run.ranks.told(bool(asked)):
            raise KeyboardInterrupt
        return validate()
