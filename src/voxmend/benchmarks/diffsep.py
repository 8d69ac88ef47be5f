"""DiffSep's tables: voices out of mixtures and speech out of noise, by so many network calls.

Every DiffSep has a row with its paper's sampler, which makes 60 calls, one with the posterior mean
as a single call says it, averaged over both polarities, and rows with 2 to 30 calls of ancestral
sampling, one a step: two of them end near the posterior mean, and with more the noise that it adds
mends the errors of the steps before, which solvers of the ODE carry on. Beside them stand the
prior's own task and what does without diffusion.

    comparison = Comparison("separate", ["diffsep.safetensors"], ["frame_separator.safetensors"])
    print(benchmark.markdown(comparison.separation("speech/")))

Source: Scheibler et al. 2023, "Diffusion-based generative speech source separation", section 4.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from .. import audio
from ..diffusion.guidance import ToldMixture
from ..diffusion.told import Listener
from ..dsp.rms import rms
from ..models import hub
from ..models.precision import choose
from ..restore.damage import Damage
from ..restore.restorer import Restorer
from ..restore.tasks import TASKS
from ..systems import conv_tasnet, diffsep
from ..systems.hearing import hearing
from ..systems.separator import Separator, by_listener
from ..systems.weights import count_sources, load_listener
from ..training.corpus import audio_files, draw_noises
from . import rivals, scoring, separation
from .judges import Panel
from .restoration import heading, load_clips, measured_folder, methods, mixtures, one_speaker
from .scoring import RATE, Example, Judges, fill, has_row, labels, measure

BOTH = "both polarities"
HEARD: dict[str, dict[str, Any]] = {  # how separators hear a mixture
    "": {}, f", {BOTH}": {"polarities": 2}, ", three speeds": {"speeds": [1.0, 0.97, 1.03]}}
SAMPLINGS: dict[str, dict[str, Any]] = {
    "predictor-corrector, 60 calls": {"sampler": diffsep.PAPER, "steps": 30},
    f"{BOTH}, 2 calls": {"sampler": "ancestral", "steps": 1, "polarities": 2},
    **{f"ancestral, {calls} calls": {"sampler": "ancestral", "steps": calls}
       for calls in (2, 5, 10, 20, 30)}}
TITLES = {"FrameSeparator": "frame separator", "ConvTasNet": "Conv-TasNet"}  # networks in tables
SNRS = (0, 5, 10)


def resample(wave: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """`audio.resample` of `[T]` or `[K, T]`."""
    return audio.resample(np.atleast_2d(wave), from_rate, to_rate).reshape(*wave.shape[:-1], -1)


def in_noise(clean: np.ndarray, noise: np.ndarray) -> Example:
    """Speech in a noise, whose level is told."""
    damaged = (clean + noise).astype(np.float32)
    return Example(clean, damaged, Damage(noise=rms(noise), rms=rms(damaged)))


def mixed_with_noise(data: Path, noise: Path, count: int | None) -> dict[str, list[Example]]:
    """The benchmark's clips at every signal-to-noise ratio, each in a part of its own of `noise`.

    The noise is drawn as for training, in proportion to its files' lengths, and is the same at
    every ratio and whatever the seed.
    """
    clips = load_clips(data, count)
    noises = draw_noises(measured_folder(noise), [len(clip) for clip in clips], RATE)
    return {f"noise at {snr} dB": [in_noise(clip, rms(clip) * 10 ** (-snr / 20) * noise)
                                   for clip, noise in zip(clips, noises, strict=True)]
            for snr in SNRS}


def pair(clean: Path, noisy: Path, said: str = "") -> Example:
    """Two files as an example; raises AudioError where they differ in length."""
    one, other = (audio.load(file, RATE).mean(0) for file in (clean, noisy))
    if one.shape != other.shape:
        raise audio.AudioError(f"{noisy}: {len(other)} samples at {RATE} Hz, but {clean} has "
                               f"{len(one)}: a pair must be aligned")
    return replace(in_noise(one, other - one), said=said)


def real_pairs(folder: Path, count: int | None) -> list[Example]:
    """Whole recordings of `folder/noisy` with what they hold of speech, those of `folder/clean`.

    Raises AudioError for a file that is missing in `noisy` or has another length there.
    """
    return [pair(file, folder / "noisy" / file.relative_to(folder / "clean"))
            for file in audio_files(folder / "clean")[:count]]


def enhanced_by(listener: Listener, **heard: Any) -> Callable[[Example], np.ndarray]:
    """A method: recordings at `RATE` as `voxmend enhance` has them, `heard` as `heard_as` does."""
    separator = Separator(by_listener(listener, **heard), 2, RATE, enhances=True, follows=True)
    return lambda example: separator(example.damaged, RATE)[0]


def listening(listener: Listener, card: dict) -> dict[str, Callable[[Example], np.ndarray]]:
    """Methods by their labels: a conditional prior in one call, and in those of its card."""
    heard = hearing(card)
    calls = heard["polarities"] * len(heard["speeds"])
    usual = {f"voxmend, {calls} calls": enhanced_by(listener, **heard)} if calls > 1 else {}
    return {"voxmend, 1 call": enhanced_by(listener)} | usual


def told_the_mixture(listener: Listener, separate: Callable | None = None,
                     **options: Any) -> Callable[[Example], np.ndarray]:
    """A method: both voices by a prior that is told the mixture less the other's estimate.

    Args:
        separate: from a signal at `RATE` to two voices, of which the prior is told, once. By
            default it begins from noise, as UnDiff's task does, and is told its own estimates.
        options: of the `Restorer` then.
    """
    if separate is None:
        task = replace(TASKS["separate"], guidance=ToldMixture())
        restorer = Restorer(task, listener.prior, **options)
        return lambda example: restorer(example.damaged, RATE, example.damage)
    told = Separator(by_listener(listener), 2, RATE, enhances=True, follows=True)
    return lambda example: np.stack([
        told(example.damaged - other, RATE)[0] for other in separate(example.damaged)[::-1]])


def titled(labels: Iterable[str], files: list[Path],
           cards: list[dict]) -> list[tuple[str, Path, dict]]:
    """Weights by the titles of their networks, with a label where there are several of one."""
    titles = [TITLES.get(card["network"], file.stem)
              for file, card in zip(files, cards, strict=True)]
    return [(title if titles.count(title) == 1 else f"{title} ({label})", file, card)
            for title, label, file, card in zip(titles, labels, files, cards, strict=True)]


def is_quick(label: str) -> bool:
    """Whether a row samples no prior, and DiffSep at most twice."""
    return not label.startswith(("ours", "told, ")) and not re.search(r"(?<! 2) calls$", label)


class Comparison:
    """DiffSep and what it is compared with, all scored at one rate.

    That is the lowest rate of the models, at most 16 kHz. Every method hears a recording at a rate
    of its own; its estimates and the references are then brought to the common one.

    Args:
        task: what the DiffSeps were made to do, "separate" or "enhance".
        weights: names or paths of DiffSeps, each a row for every one of `SAMPLINGS`.
        separators: names or paths of supervised separators' weights.
        prior: of the prior's own task; by default that task's.
        enhancer: name or path of a conditional prior of the task "enhance", which to separate is
            given the mixture less a voice; or None.
        precision: of all networks, as in `models.precision.resolve`.
        judges: whether a `Panel` judges, too.
        compared: whether what `rivals` there are have a row, of the task "enhance".
        only: as in `scoring.has_row`.

    Raises `hub.PriorError` for weights that cannot be used, ImportError for a metric that lacks its
    package.
    """

    def __init__(self, task: str, weights: Sequence[str] = (), separators: Sequence[str] = (),
                 prior: str | None = None, seed: int = 0, device: str = "cpu",
                 progress: bool = True, enhancer: str | None = None, precision: str = "auto",
                 judges: bool = False, compared: bool = False, only: tuple[str, ...] = ()):
        scoring.check_metrics()
        self.prior_name = prior or TASKS["denoise" if task == "enhance" else task].prior
        self.prior = hub.load_prior(self.prior_name, device)
        paths = [hub.find_prior(str(name)) for name in weights]
        supervised = [hub.find_prior(str(name)) for name in separators]
        listener = hub.find_prior(str(enhancer)) if enhancer else None
        files = [*paths, *supervised, *([listener] if listener else [])]
        cards = [hub.read_card(file) for file in files]
        for file, card in zip(files, cards, strict=True):
            if (count := count_sources(card)) != 2:
                raise hub.PriorError(f"{file}: for {count} sources, but the tables are of two")
        rates = [card.get("sample_rate", RATE) for card in cards]
        self.rate = min([RATE, *rates])
        self.hashes = dict(zip(labels(files), map(hub.file_hash, files), strict=True))
        self.models = {label: diffsep.load_model(path, device, task)
                       for label, path in zip(self.hashes, paths, strict=False)}
        trained = list(titled(self.hashes, files, cards))[len(paths):len(paths) + len(supervised)]
        self.separators = {
            title: (conv_tasnet.load_separator(file, device), card.get("sample_rate", RATE))
            for title, file, card in trained}
        self.usual = {title + heard for title, _, card in trained for heard, ways in HEARD.items()
                      if hearing({"sampling": ways}) == hearing(card)}
        self.usual |= {f"{name}, {BOTH}, 2 calls" for name in self.models}
        self.enhancer = load_listener(listener, device) if listener else None
        self.told_by = hub.read_card(listener) if listener else {}
        self.precision = choose(self.prior, precision)
        networks = [*self.models.values(), *(network for network, _ in self.separators.values())]
        for model in filter(None, [*networks, self.enhancer]):
            choose(model, precision)
        self.judges = Judges("dnsmos")
        self.panel = Panel(device=device) if judges else None
        self.rivals, self.missing = rivals.installed(task, RATE) if compared else ({}, [])
        self.seed, self.device, self.progress, self.only = seed, device, progress, only

    def separation(self, data: Path, clips: int | None = None,
                   steps: tuple[int, ...] = (8, 16, 32),
                   save: Callable[[dict], None] = lambda result: None,
                   noise: Path | None = None, quick: bool = False) -> dict:
        """Voices out of the benchmark's mixtures; the result can be written as JSON.

        Args:
            data, clips: as in `restoration.run`.
            steps: of the prior's own task, beside its default.
            save: as in `restoration.run`.
            noise: folder of recordings of noise for one more table; its test/ is used if there.
            quick: only with rows that are (`is_quick`).
        """
        data = Path(data)
        waves = load_clips(data, clips)
        if len(waves) < 2:
            raise ValueError(f"{data}: too few clips; mixtures need two")
        notes = one_speaker(data, audio_files(measured_folder(data))[:clips])
        mixed = mixtures(waves)
        result = self._run("separate", {"separate": mixed}, len(waves), steps, notes, save,
                           quick)
        result["breakdown"] = separation.by_sexes(result["cases"]["separate"],
                                                  separation.pairs_of_sexes(data, clips))
        usual = {label: method for label, method, _ in self._methods("separate", ())
                 if label in self.usual and has_row(label, self.only)}
        if usual:
            result["breakdown"] |= separation.breakdown(usual, mixed, waves, noise, self._scaled)
        save(result)
        return result

    def enhancement(self, data: Path, noise: Path, voicebank: Path | None = None,
                    clips: int | None = None,
                    save: Callable[[dict], None] = lambda result: None,
                    quick: bool = False) -> dict:
        """Speech out of noise that is mixed in, and out of real recordings with `voicebank`.

        Args:
            noise: folder of recordings of noise; its test/ is used where there is one.
            voicebank: folder that holds clean/ and noisy/, with files of the same names.
            data, clips, save, quick: as in `separation`.
        """
        examples = mixed_with_noise(Path(data), Path(noise), clips)
        count = len(next(iter(examples.values())))
        notes = ["Wiener and ours are given the noise's RMS and assume white noise; ours (blind) "
                 "detects stationary noise, and changes nothing where it finds none."]
        if voicebank:
            examples["real pairs"] = real_pairs(Path(voicebank), clips)
            notes.append(f"The real pairs are {len(examples['real pairs'])} whole recordings.")
        return self._run("denoise", examples, count, (), notes, save, quick)

    def _run(self, case: str, examples: dict[str, list[Example]], clips: int,
             steps: tuple[int, ...], notes: list[str], save: Callable[[dict], None],
             quick: bool) -> dict:
        if self.rate < RATE:
            notes.append(f"Scored at {self.rate} Hz, the lowest rate of the models: every method "
                         "hears the recording at a rate of its own, and what it makes of it is "
                         "brought to that one. PESQ is narrow-band; DNSMOS, made for 16 kHz, "
                         "misses the upper band.")
        result = {**heading(self.prior_name, self.seed, clips, self.device, self.precision),
                  "models": self.hashes, "sample_rate": self.rate,
                  "notes": notes + self.judges.notes + self.missing}
        if self.panel:
            result["spread"], result["notes"] = True, result["notes"] + self.panel.notes
        fill(result["cases"], {name: self._rows(case, some, steps, quick)
                               for name, some in examples.items()}, lambda: save(result))
        return result

    def _rows(self, case: str, examples: list[Example], steps: tuple[int, ...],
              quick: bool) -> Iterator[dict]:
        for label, method, network in self._methods(case, steps):
            if has_row(label, self.only) and (is_quick(label) or not quick):
                yield measure(examples, method, label, network, self.progress, self._score)

    def _methods(self, case: str,
                 steps: tuple[int, ...]) -> Iterator[tuple[str, Callable, nn.Module | None]]:
        """As `restoration.methods`, but estimates are at the common rate."""
        for label, method, network in methods(case, self.prior, self.seed, steps, self.device):
            yield "noisy" if label == "input" else label, self._brought(method), network
        for label, method in self.rivals.items():
            yield label, self._brought(method), None
        if case == "denoise":
            blind = Restorer(case, self.prior, seed=self.seed, device=self.device)
            yield ("ours (blind), 1 step", self._brought(lambda e: blind(e.damaged, RATE)),
                   self.prior)
        for title, (network, rate) in self.separators.items():
            for heard, ways in HEARD.items():
                separate = partial(conv_tasnet.separate, network, **ways)
                yield title + heard, self._heard(separate, rate), network
        if self.enhancer and case == "denoise":
            for label, method in listening(self.enhancer, self.told_by).items():
                yield label, self._brought(method), self.enhancer
        elif self.enhancer:
            yield from self._told(self.enhancer)
        wanted = 0 if case == "denoise" else slice(None)  # of [speech, noise], or both voices
        for name, model in self.models.items():
            for label, sampling in SAMPLINGS.items():
                separate = partial(diffsep.separate, model, seed=self.seed, **sampling)
                yield (f"{name}, {label}", self._heard(separate, model.sample_rate, wanted),
                       model.network)

    def _told(self, listener: Listener) -> Iterator[tuple[str, Callable, nn.Module]]:
        """Rows of voices by a conditional prior, from noise and after every separator."""
        yield (f"told, {TASKS['separate'].steps} steps", self._brought(
            told_the_mixture(listener, seed=self.seed, device=self.device)), listener.prior)
        for title, (network, rate) in self.separators.items():
            if rate == RATE:
                separate = partial(conv_tasnet.separate, network)
                yield (f"told after {title}", self._brought(told_the_mixture(listener, separate)),
                       listener)

    def _scaled(self, wave: np.ndarray) -> np.ndarray:
        return resample(wave, RATE, self.rate)

    def _brought(self, method: Callable) -> Callable:
        return lambda example: self._scaled(method(example))

    def _heard(self, separate: Callable, rate: int, wanted: int | slice = slice(None)) -> Callable:
        """A method from `separate`, which takes and gives signals at `rate`."""
        return lambda example: resample(separate(resample(example.damaged, RATE, rate))[wanted],
                                        rate, self.rate)

    def _score(self, example: Example, estimate: np.ndarray) -> dict[str, float]:
        clean = self._scaled(example.clean)
        example = Example(clean, example.damaged, example.damage, said=example.said)
        scores = {**scoring.score(example, estimate, self.rate), **self.judges(estimate, self.rate)}
        return scores | (self.panel(example, estimate, self.rate) if self.panel else {})
