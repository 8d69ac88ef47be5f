"""The benchmark: every task on the same clips in one run, beside classical baselines.

Each clip is the loudest 4 s of a file. Rows are the damaged input, baselines, ours at several
numbers of steps, and UnDiff as `--method undiff` runs it; columns are means over the clips.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .. import __version__, audio, classical
from ..diffusion.denoiser import Denoiser
from ..dsp import degrade
from ..dsp.rms import rms
from ..dsp.runs import runs
from ..metrics import table
from ..models import hub
from ..models.precision import choose
from ..restore.analysis import analyse
from ..restore.damage import Clipping, Damage
from ..restore.restorer import Restorer
from ..restore.tasks import TASKS, Task
from ..systems import undiff
from ..training.corpus import audio_files, speaker
from .judges import Panel
from .scoring import (
    RATE,
    Example,
    check_metrics,
    fill,
    has_row,
    machine,
    measure,
    missing,
    score,
)

SECONDS = 4

Make = Callable[[np.ndarray, int], Example]  # damages clean speech, a clip of some number


def loudest(wave: np.ndarray, length: int, hop: int = 160) -> np.ndarray:
    """The part of `length` samples with the most energy, on a grid of `hop` samples."""
    energy = np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])
    starts = np.arange(0, max(1, len(wave) - length + 1), hop)
    ends = np.minimum(starts + length, len(wave))
    start = starts[np.argmax(energy[ends] - energy[starts])]
    return wave[start:start + length]


def measured_folder(data: Path) -> Path:
    """The folder `data/test` where there is one, else `data`."""
    return data / "test" if (data / "test").is_dir() else data


def load_clips(data: Path, count: int | None) -> list[np.ndarray]:
    """The loudest 4 s of every file of `data/test`, or of `data`, in the order of their paths."""
    files = audio_files(measured_folder(data))[:count]
    return [loudest(audio.load(f, RATE).mean(0), SECONDS * RATE) for f in files]


def clipped(clean: np.ndarray, number: int) -> Example:
    """Clipped to an SDR of 3 dB."""
    level = degrade.clip_level_for_sdr(clean, 3.0)
    damaged = degrade.clip(clean, level)
    return Example(clean, damaged, Damage((Clipping(level),), rms=rms(damaged)))


def lowpassed(cutoff: float) -> Make:
    """Low-passed at a cutoff in Hz."""
    def make(clean: np.ndarray, number: int) -> Example:
        damaged = degrade.lowpass(clean, cutoff, RATE)
        return Example(clean, damaged, Damage(cutoff=cutoff, rms=rms(damaged)))
    return make


def gapped(clean: np.ndarray, number: int) -> Example:
    """With a gap of 50 ms every 500 ms, which alone is judged."""
    damaged, present = degrade.gaps(clean, RATE, 50, 500)
    damage = Damage(gaps=tuple(map(tuple, (runs(~present) / RATE).tolist())), rms=rms(damaged))
    return Example(clean, damaged, damage, ~present)


def noisy(clean: np.ndarray, number: int) -> Example:
    """In white noise at 10 dB."""
    damaged = degrade.white_noise(clean, 10.0, seed=number)
    return Example(clean, damaged, Damage(noise=rms(damaged - clean), rms=rms(damaged)))


def unharmed(clean: np.ndarray, number: int) -> Example:
    """As it is."""
    return Example(clean, clean, Damage(rms=rms(clean)))


def composed(clean: np.ndarray, number: int) -> Example:
    """Low-passed at 4 kHz, clipped and with gaps, of which only what is found is told."""
    dull = degrade.lowpass(clean, 4000, RATE)
    damaged, _ = degrade.gaps(degrade.clip(dull, degrade.clip_level_for_sdr(dull, 3.0)), RATE)
    return Example(clean, damaged, analyse([damaged[None]], RATE)[0])


def muffled_gaps(clean: np.ndarray, number: int) -> Example:
    """With gaps, then low-passed at 4 kHz, of which nothing is told."""
    damaged = degrade.lowpass(degrade.gaps(clean, RATE)[0], 4000, RATE)
    return Example(clean, damaged, Damage(rms=rms(damaged)))


def muffled_in_noise(clean: np.ndarray, number: int) -> Example:
    """Low-passed at 4 kHz, then in white noise at 20 dB, of which nothing is told."""
    damaged = degrade.white_noise(degrade.lowpass(clean, 4000, RATE), 20.0, seed=number)
    return Example(clean, damaged, Damage(rms=rms(damaged)))


def mixtures(clips: list[np.ndarray]) -> list[Example]:
    """Clip i with clip i + n/2 at equal RMS."""
    half, out = len(clips) // 2, []
    for one, two in zip(clips[:half], clips[half:], strict=False):
        length = min(len(one), len(two))
        voices = np.stack([one[:length] / rms(one[:length]), two[:length] / rms(two[:length])])
        voices = (0.05 * voices).astype(np.float32)
        out.append(Example(voices, voices.sum(0), Damage(rms=rms(voices.sum(0)))))
    return out


def one_speaker(data: Path, files: Iterable[Path]) -> list[str]:
    """A note on how many `mixtures` of these files are known to be of one speaker."""
    names = [speaker(file.relative_to(measured_folder(data))) for file in files]
    half = len(names) // 2
    alike = sum(one == two for one, two in zip(names[:half], names[half:], strict=False))
    return [f"Going by the names of files and folders, {alike} of {half} mixtures are of one "
            "speaker twice: they say little of how two are separated."] if alike else []


def mel_of(wave: np.ndarray) -> np.ndarray:
    """Mel-spectrogram of a clip. Shape: `[T]` to `[80, T // 256]`."""
    from ..operators import Mel

    return Mel()(torch.from_numpy(wave.astype(np.float32))[None, None])[0, 0].numpy()


def one_after_another(example: Example, make: Callable) -> np.ndarray:
    """Gaps, then clipping, then bandwidth, each mended by itself; all were found beforehand."""
    wave = example.damaged
    for task in ("inpaint", "declip", "extend"):
        wave = make(task)(wave, RATE, replace(example.damage, rms=rms(wave)))
    return wave


@dataclass(frozen=True)
class Case:
    """One table: a task, how its examples are made, and its baselines `(example) -> estimate`."""

    task: str
    make: Make
    baselines: dict[str, Callable]


CASES = {
    "declip": Case("declip", clipped, {
        "cubic": lambda e: classical.cubic_declip(e.damaged, e.damage.clipping[0].floor),
        "AR": lambda e: classical.ar_declip(e.damaged, e.damage.clipping[0].floor),
        "A-SPADE": lambda e: classical.a_spade(e.damaged, e.damage.clipping[0].floor),
        "S-SPADE": lambda e: classical.s_spade(e.damaged, e.damage.clipping[0].floor)}),
    "extend-4k": Case("extend", lowpassed(4000.0), {
        "mirroring": lambda e: classical.spectral_mirror(e.damaged, 4000, RATE)}),
    "extend-2k": Case("extend", lowpassed(2000.0), {
        "mirroring": lambda e: classical.spectral_mirror(e.damaged, 2000, RATE)}),
    "inpaint": Case("inpaint", gapped, {
        "AR": lambda e: classical.ar_interpolate(e.damaged, e.judged),
        "AR along the pitch": lambda e: classical.pitch_interpolate(e.damaged, e.judged, RATE),
        "cubic": lambda e: classical.cubic_interpolate(e.damaged, e.judged)}),
    "denoise": Case("denoise", noisy, {
        "Wiener": lambda e: classical.wiener_denoise(e.damaged, e.damage.noise, RATE)}),
    "vocode": Case("vocode", unharmed, {
        "Griffin-Lim": lambda e: classical.mel_griffin_lim(mel_of(e.clean), fixed=201),
        "Griffin-Lim, bi-level": lambda e: classical.mel_griffin_lim(mel_of(e.clean))}),
    "separate": Case("separate", unharmed, {}),
    "mend": Case("mend", composed, {}),
}


def methods(name: str, prior: Denoiser, seed: int, steps: tuple[int, ...],
            device: str) -> Iterator[tuple[str, Callable, nn.Module | None]]:
    """What a case compares: a label, `(example) -> estimate`, and the network that is called."""
    case = CASES[name]

    def restorer(task: str | Task, count: int | None = None) -> Restorer:
        return Restorer(task, prior, count, seed, device=device)

    def ours(count: int) -> Callable[[Example], np.ndarray]:
        mender = restorer(case.task, count)
        return lambda e: mender(e.damaged, RATE, e.damage)

    if name == "separate":
        yield "mixture", lambda e: np.stack([e.damaged] * 2), None
    elif name != "vocode":
        yield "input", lambda e: e.damaged, None
    for label, method in case.baselines.items():
        yield label, method, None
    if name == "mend":
        yield "one after another", lambda e: one_after_another(e, restorer), prior
    usual = TASKS[case.task].for_prior(prior).steps
    for count in sorted({*steps, usual}):
        mark = " (default)" if count == usual else ""
        plural = "s" if count > 1 else ""
        yield f"ours, {count} step{plural}{mark}", ours(count), prior
    if task := undiff.PAPER.get(case.task):
        exact = restorer(task)
        calls = len(task.levels(task, prior)) - 1
        yield f"UnDiff, {calls} calls", lambda e: exact(e.damaged, RATE, e.damage), prior


def run_case(name: str, clips: list[np.ndarray], prior: Denoiser, seed: int,
             steps: tuple[int, ...], device: str, progress: bool,
             scored: Callable = score, only: tuple[str, ...] = ()) -> Iterator[dict]:
    """The rows of one case."""
    examples = (mixtures(clips) if name == "separate"
                else [CASES[name].make(clip, i) for i, clip in enumerate(clips)])
    for label, method, network in methods(name, prior, seed, steps, device):
        if has_row(label, only):
            yield measure(examples, method, label, network, progress, scored)


def detection(clips: list[np.ndarray]) -> dict:
    """Shares of the clips on which each field of `Damage` is found, per kind of damage."""
    makers = {"clean": unharmed, "clip 3 dB": clipped, "low-pass 4 kHz": lowpassed(4000.0),
              "low-pass 2 kHz": lowpassed(2000.0), "gaps": gapped, "noise 10 dB": noisy,
              "low-pass, clipped, gaps": composed, "gaps, low-pass": muffled_gaps,
              "low-pass, noise 20 dB": muffled_in_noise}
    fields = ("clipping", "cutoff", "gaps", "noise")
    found = {}
    for kind, make in makers.items():
        damages = [analyse([make(c, i).damaged[None]], RATE)[0] for i, c in enumerate(clips)]
        found[kind] = {f: round(float(np.mean([bool(getattr(d, f)) for d in damages])), 4)
                       for f in fields}
    return found


def heading(prior: str, seed: int, clips: int, device: str, precision: str = "fp32") -> dict:
    """A result without its tables."""
    path = hub.find_prior(prior)
    return {"version": __version__, "prior": hub.title(path), "sha256": hub.file_hash(path),
            "seed": seed, "clips": clips, "seconds": SECONDS, "device": device,
            "precision": precision, "machine": machine(), "notes": [], "cases": {}}


def run(task: str, data: Path, clips: int | None = None, prior: str | None = None, seed: int = 0,
        steps: tuple[int, ...] = (8, 16, 32), device: str = "cpu", progress: bool = True,
        save: Callable[[dict], None] = lambda result: None, precision: str = "auto",
        judges: bool = False, only: tuple[str, ...] = ()) -> dict:
    """Runs the cases of a task, or all; the result can be written as JSON.

    Args:
        prior: of all cases; by default each has its task's.
        precision: of the priors, as in `models.precision.resolve`.
        save: is called with the result so far whenever there is more of it.
        judges: whether a `Panel` judges, too.
        only: as in `scoring.has_row`.
    """
    data = Path(data)
    waves = load_clips(data, clips)
    names = [n for n in CASES if task in ("all", CASES[n].task)]
    if len(waves) < (2 if "separate" in names else 1):
        raise ValueError(f"{data}: too few clips for {', '.join(names)}; mixtures need two")
    check_metrics()
    priors = {name: prior or TASKS[CASES[name].task].prior for name in names}
    networks = {name: hub.load_prior(name, device) for name in dict.fromkeys(priors.values())}
    numbers = [choose(network, precision) for network in networks.values()]
    first, *others = networks
    result = heading(first, seed, len(waves), device, numbers[0])
    if others:
        result["models"] = {f"prior {name}": hub.file_hash(hub.find_prior(name))
                            for name in others}
    if "separate" in names:
        result["notes"] += one_speaker(data, audio_files(measured_folder(data))[:clips])
    scored: Callable = score
    if judges:
        panel = Panel("dnsmos", "plcmos", device=device)
        scored, result["spread"] = panel.beside(score), True
        result["notes"] += panel.notes
    fill(result["cases"], {
        name: run_case(name, waves, networks[priors[name]], seed, steps, device, progress, scored,
                       only)
        for name in names}, lambda: save(result))
    if "mend" in names:
        result["detection"] = detection(waves)
        save(result)
    return result


def markdown(result: dict) -> str:
    """The tables of a result."""
    models = {f"prior {result['prior']}": result["sha256"], **result.get("models", {})}
    named = ", ".join(f"{name} ({digest})" for name, digest in models.items())
    whole = f"clips of {result['seconds']} s" if result["seconds"] else "whole recordings"
    lines = [f"{result['clips']} {whole}, {named}, seed {result['seed']}, "
             f"{result['device']}, {result.get('precision', 'fp32')}: {result['machine']}"]
    for name, rows in result["cases"].items():
        lines += ["", f"**{name}**", "", *table(rows, spread=result.get("spread", False))]
        lines += missing(rows)
    if "detection" in result:
        fields = ("clipping", "cutoff", "gaps", "noise")
        lines += ["", "**damage found, share of the clips**", "",
                  "| damage | clipping | cut-off | gaps | noise |", "|---|---|---|---|---|"]
        lines += [f"| {kind} | " + " | ".join(f"{found[f]:.0%}" for f in fields) + " |"
                  for kind, found in result["detection"].items()]
    for title, rows in result.get("breakdown", {}).items():
        columns = {key: (key, 1) for key in rows[0] if key != "method"}
        lines += ["", f"**{title}**", "", *table(rows, columns)]
    for note in result.get("notes", []):
        lines += ["", note]
    return "\n".join(lines)
