"""UnDiff's tables 1 to 5 and figure 1 on any clean speech, with the paper's own figures below.

Every clip is a random crop of one second, as in the paper. Each prior stands twice: sampled by all
steps of its training schedule, or UnDiff's 200 where it has none, as the paper states the task
(`undiff.PAPER`), and by voxmend's own task in a few network calls.
Source: Iashchenko et al. 2023, "UnDiff", tables 1 to 5.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from torch import nn
from tqdm import tqdm

from .. import __version__, audio, metrics
from ..diffusion.denoiser import Denoiser
from ..dsp.rms import rms
from ..metrics import DISTRIBUTION
from ..metrics.swap_rate import best_order
from ..models import hub
from ..models.precision import choose
from ..restore.restorer import Restorer
from ..systems import undiff
from ..systems.conv_tasnet import load_separator, separate
from ..training.corpus import audio_files
from . import scoring
from .restoration import CASES, measured_folder, mixtures, one_speaker
from .scoring import (
    RATE,
    Example,
    Judges,
    counted_calls,
    fill,
    labels,
    mean,
    measure,
    missing,
)

# title, columns and rows of the paper's tables, most of them on VCTK
PAPER: dict[str, tuple[str, tuple[str, ...], dict[str, tuple[float | None, ...]]]] = {
    "generate": ("Table 1: unconditional generation", ("wvmos", "fdsd"), {
        "ground truth": (4.57, 0.9), "FFC-AE": (4.06, 15.3), "DiffWave": (3.84, 7.0),
        "CQT-UNet": (2.29, 12.37), "AudioLDM": (1.81, 22.5), "DiffWave, original": (3.12, 7.0),
        "Gaussian noise": (1.27, 153.5)}),
    "extend-2k": ("Table 2: bandwidth extension, 2 kHz to 8 kHz", ("wvmos", "lsd"), {
        "ground truth": (4.17, 0.0), "input": (2.52, 1.06), "HiFi++": (4.05, 1.09),
        "Voicefixer": (3.67, 1.08), "TFiLM": (2.83, 1.01), "DiffWave": (3.48, 0.96),
        "FFC-AE": (3.59, 1.13)}),
    "extend-4k": ("Table 2: bandwidth extension, 4 kHz to 8 kHz", ("wvmos", "lsd"), {
        "ground truth": (4.17, 0.0), "input": (3.34, 0.85), "HiFi++": (4.22, 1.07),
        "Voicefixer": (3.95, 0.98), "TFiLM": (3.46, 0.83), "DiffWave": (4.00, 0.76),
        "FFC-AE": (3.88, 0.96)}),
    "declip": ("Table 3: declipping, input SDR 3 dB", ("wvmos", "si_snr"), {
        "ground truth": (3.91, None), "input": (2.30, 3.82), "A-SPADE": (2.63, 8.48),
        "S-SPADE": (2.69, 8.50), "Voicefixer": (2.79, -22.58), "DiffWave": (3.62, 10.57),
        "FFC-AE": (3.01, 7.35)}),
    "vocode": ("Table 4: neural vocoding (the paper's on LJ Speech)", ("wvmos",), {
        "ground truth": (4.32,), "Griffin-Lim": (3.30,), "HiFi-GAN V1": (4.36,),
        "DiffWave, supervised": (4.19,), "DiffWave": (3.99,), "FFC-AE": (4.08,)}),
    "separate": ("Table 5: source separation", ("si_snr", "estoi"), {
        "mixture": (-0.04, 0.69), "DiffWave": (5.73, 0.79), "FFC-AE": (3.39, 0.76),
        "Conv-TasNet": (15.94, 0.95)}),
}


def spread_files(data: Path, count: int) -> list[Path]:
    """So many files of `data/test`, or of `data`, spread evenly over all.

    Neighbours are often of one speaker.
    """
    files = audio_files(measured_folder(data))
    count = min(count, len(files))
    return [files[number * len(files) // count] for number in range(count)]


def random_crops(data: Path, count: int, seed: int, seconds: float = 1.0) -> list[np.ndarray]:
    """A random crop of each of `spread_files`, in mono.

    A crop whose RMS is more than 12 dB under its file's is drawn again: it is a pause.

    Raises AudioError for a file that is shorter than a crop or silent.
    """
    length, crops = round(seconds * RATE), []
    for number, file in enumerate(spread_files(data, count)):
        wave = audio.load(file, RATE).mean(0)
        if len(wave) < length:
            raise audio.AudioError(f"{file}: shorter than {seconds:g} s; leave it out")
        generator = np.random.default_rng([seed, number])
        for _ in range(100):
            start = generator.integers(0, len(wave) - length + 1)
            crop = wave[start:start + length]
            if rms(crop) > rms(wave) / 4:
                break
        else:
            raise audio.AudioError(f"{file}: hardly anything but silence; leave it out")
        crops.append(crop)
    return crops


class Tables:
    """What all tables share: clips, priors, judges and settings.

    Args:
        priors: names or paths, each a row or two.
        separator: name or path of a supervised separator's weights, or None.
        steps: of voxmend's own tasks.
        exact: whether priors are also sampled by all steps.
    """

    def __init__(self, data: Path, priors: tuple[str, ...], separator: str | None, clips: int,
                 steps: int, exact: bool, seed: int, device: str, progress: bool,
                 precision: str = "auto"):
        if not priors:
            raise ValueError("name at least one prior")
        scoring.check_metrics()
        self.clips = random_crops(data, clips, seed)
        self.others = random_crops(data, clips, seed + 1)
        if len(self.clips) < 2:
            raise ValueError(f"{data}: too few clips; mixtures need two")
        paths = [hub.find_prior(prior) for prior in priors]
        supervised = hub.find_prior(str(separator)) if separator else None
        for path in [*paths, *([supervised] if supervised else [])]:
            if (rate := hub.read_card(path).get("sample_rate", RATE)) != RATE:
                raise hub.PriorError(f"{path}: works at {rate} Hz, but the tables are at {RATE} Hz")
        self.hashes = dict(zip(labels(paths), map(hub.file_hash, paths), strict=True))
        self.priors = {label: hub.load_prior(str(path), device)
                       for label, path in zip(self.hashes, paths, strict=False)}
        self.separator = load_separator(supervised, device) if supervised else None
        models = [*self.priors.values(), *filter(None, [self.separator])]
        self.precision = ", ".join(sorted({choose(model, precision) for model in models}))
        self.steps, self.exact, self.seed = steps, exact, seed
        self.device, self.progress = device, progress
        whisper = 0.01 * np.random.default_rng(0).normal(size=RATE)
        self.opinions = Judges("dnsmos", "wvmos")
        self.distances, no_distance = scoring.available(
            DISTRIBUTION, DISTRIBUTION, lambda m: m([whisper] * 2, [whisper] * 2, RATE))
        self.notes = self.opinions.notes + no_distance

    def restorers(self, task: str) -> Iterator[tuple[str, Denoiser, Restorer]]:
        """Label, prior and Restorer of every prior in every mode."""
        for label, prior in self.priors.items():
            if self.exact:
                yield (f"{label}, all steps", prior, Restorer(
                    undiff.PAPER[task], prior, seed=self.seed, device=self.device))
            few = f"{label}, {self.steps} step{'s' * (self.steps > 1)}"
            yield few, prior, Restorer(task, prior, self.steps, self.seed, device=self.device)

    def row(self, examples: list[Example], label: str, method: Callable,
            network: nn.Module | None = None) -> dict:
        def score(example: Example, estimate: np.ndarray) -> dict[str, float]:
            return {**scoring.score(example, estimate), **self.opinions(estimate)}

        return measure(examples, method, label, network, self.progress, score)

    def restoration(self, name: str) -> Iterator[dict]:
        """Rows of a case of `restoration.CASES`."""
        case, apart = CASES[name], name == "separate"
        examples = (mixtures(self.clips) if apart
                    else [case.make(clip, i) for i, clip in enumerate(self.clips)])
        methods: dict[str, Callable] = {"ground truth": lambda e: e.clean}
        if apart:
            methods["mixture"] = lambda e: np.stack([e.damaged] * 2)
        elif name != "vocode":
            methods["input"] = lambda e: e.damaged
        methods |= case.baselines
        for label, method in methods.items():
            yield self.row(examples, label, method)
        if apart and (network := self.separator):
            yield self.row(examples, "Conv-TasNet", lambda e: separate(network, e.damaged), network)
        for label, prior, mender in self.restorers(case.task):
            yield self.row(examples, label,
                           lambda e, mender=mender: mender(e.damaged, RATE, e.damage), prior)

    def generation(self) -> Iterator[dict]:
        """Rows of table 1: as many clips as there are crops.

        They are judged against other crops of the same files.
        """
        seconds, noise = len(self.clips[0]) / RATE, np.random.default_rng(self.seed)

        def row(label: str, draw: Callable[[int], np.ndarray],
                network: nn.Module | None = None) -> dict:
            with counted_calls(network) as calls:
                waves = [draw(i) for i in tqdm(range(len(self.clips)), desc=label, unit="clip",
                                               leave=False, disable=not self.progress)]
            scores = [self.opinions(wave) for wave in waves]
            return {"method": label, **{name: mean(s[name] for s in scores) for name in scores[0]},
                    **{name: round(distance(waves, self.others, RATE), 4)
                       for name, distance in self.distances.items()},
                    "calls": len(calls) / len(waves)}

        yield row("ground truth", lambda i: self.clips[i])
        yield row("Gaussian noise", lambda i: 0.1 * noise.normal(size=len(self.clips[0])))
        for label, prior, restorer in self.restorers("generate"):
            def draw(number: int, restorer: Restorer = restorer) -> np.ndarray:
                return restorer.generate(seconds, number)[0]

            yield row(label, draw, prior)

    def figure(self, path: Path) -> None:
        """Figure 1: the first mixture, its voices, and what the first prior makes of it."""
        from .plots import spectrograms

        example = mixtures(self.clips)[0]
        _, _, mender = next(self.restorers("separate"))
        apart = mender(example.damaged, RATE, example.damage)
        apart = apart[list(best_order(apart, example.clean))]
        spectrograms({"reference 1": example.clean[0], "reference 2": example.clean[1],
                      "mixture": example.damaged, "separated 1": apart[0],
                      "separated 2": apart[1]}, RATE, path)


def run(data: Path, priors: tuple[str, ...] = (hub.DEFAULT,), separator: str | None = None,
        tables: tuple[str, ...] = tuple(PAPER), clips: int = 48, steps: int = 20,
        exact: bool = True, seed: int = 0, device: str = "cpu", plot: Path | None = None,
        progress: bool = True, save: Callable[[dict], None] = lambda result: None,
        precision: str = "auto") -> dict:
    """Measures the tables; the result can be written as JSON.

    Args:
        save: is called with the result so far whenever there is more of it.
    """
    data = Path(data)
    shared = Tables(data, priors, separator, clips, steps, exact, seed, device, progress,
                    precision)
    notes = one_speaker(data, spread_files(data, clips)) if "separate" in tables else []
    if "generate" in tables:
        notes += ["Fréchet distances of few clips are too high: compare them with the ground "
                  "truth's."]
    result: dict = {
        "version": __version__, "seed": seed, "clips": len(shared.clips), "device": device,
        "precision": shared.precision, "machine": scoring.machine(), "notes": notes + shared.notes,
        "priors": shared.hashes, "tables": {}}
    fill(result["tables"],
         {name: shared.generation() if name == "generate" else shared.restoration(name)
          for name in PAPER if name in tables}, lambda: save(result))
    if plot:
        shared.figure(plot)
    return result


def markdown(result: dict) -> str:
    """The tables of a result, each with the paper's rows in italics at its end."""
    priors = ", ".join(f"{name} ({digest})" for name, digest in result["priors"].items())
    lines = [f"{result['clips']} random crops of 1 s, seed {result['seed']}, {priors}, "
             f"{result['device']}, {result['precision']}: {result['machine']}"]
    for name, rows in result["tables"].items():
        title, keys, figures = PAPER[name]
        paper = [{"method": f"*paper, other data: {method}*",
                  **dict(zip(keys, values, strict=True))}
                 for method, values in figures.items()]
        lines += ["", f"**{title}**", "", *metrics.table(rows + paper)]
        lines += missing(rows)
    for note in result.get("notes", []):
        lines += ["", note]
    return "\n".join(lines)
