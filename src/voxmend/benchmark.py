"""The benchmark: every task on the same clips in one run, beside classical baselines.

Each clip is the loudest 4 s of a file. Rows are the damaged input, baselines, and ours at several
numbers of steps; columns are means over the clips.
"""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import __version__, audio, baselines, degrade, hub
from .damage import Damage, analyse
from .data import audio_files
from .denoiser import Wrapper
from .metrics import METRICS, SEPARATION
from .metrics.swap_rate import best_order
from .restorer import TASKS, Restorer

RATE, SECONDS = 16000, 4


def loudest(wave: np.ndarray, length: int, hop: int = 160) -> np.ndarray:
    """The part of `length` samples with the most energy, on a grid of `hop` samples."""
    energy = np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])
    starts = np.arange(0, max(1, len(wave) - length + 1), hop)
    ends = np.minimum(starts + length, len(wave))
    start = starts[np.argmax(energy[ends] - energy[starts])]
    return wave[start:start + length]


def load_clips(data: Path, count: int | None) -> list[np.ndarray]:
    """The loudest 4 s of every file of `data/test`, or of `data`, in the order of their paths."""
    folder = data / "test" if (data / "test").is_dir() else data
    files = audio_files(folder)[:count]
    return [loudest(audio.load(f, RATE).mean(0), SECONDS * RATE) for f in files]


def rms(wave: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


class CallCounter(Wrapper):
    """A denoiser that counts its network calls."""

    calls = 0

    def forward(self, x, sigma):
        self.calls += 1
        return self.denoiser(x, sigma)


@dataclass(frozen=True)
class Example:
    """A clean clip (`[T]`, or `[K, T]` voices), what became of it, and what was done to it."""

    clean: np.ndarray
    damaged: np.ndarray
    damage: Damage
    judged: np.ndarray | None = None  # mask of the samples that SI-SNR looks at


def clipped(clean: np.ndarray, number: int) -> Example:
    level = degrade.clip_level_for_sdr(clean, 3.0)
    damaged = degrade.clip(clean, level)
    return Example(clean, damaged, Damage(clip_level=level, rms=rms(damaged)))


def lowpassed(cutoff: float) -> Callable:
    def make(clean, number):
        damaged = degrade.lowpass(clean, cutoff, RATE)
        return Example(clean, damaged, Damage(cutoff=cutoff, rms=rms(damaged)))
    return make


def gapped(clean: np.ndarray, number: int) -> Example:
    damaged, present = degrade.gaps(clean, RATE, 50, 500)
    edges = np.flatnonzero(np.diff(np.pad(~present, 1).astype(int))).reshape(-1, 2) / RATE
    damage = Damage(gaps=tuple(map(tuple, edges.tolist())), rms=rms(damaged))
    return Example(clean, damaged, damage, ~present)


def noisy(clean: np.ndarray, number: int) -> Example:
    damaged = degrade.white_noise(clean, 10.0, seed=number)
    return Example(clean, damaged, Damage(noise=rms(damaged - clean), rms=rms(damaged)))


def unharmed(clean: np.ndarray, number: int) -> Example:
    return Example(clean, clean, Damage(rms=rms(clean)))


def composed(clean: np.ndarray, number: int) -> Example:
    dull = degrade.lowpass(clean, 4000, RATE)
    damaged, _ = degrade.gaps(degrade.clip(dull, degrade.clip_level_for_sdr(dull, 3.0)), RATE)
    return Example(clean, damaged, analyse([damaged[None]], RATE))


def muffled_gaps(clean: np.ndarray, number: int) -> Example:
    damaged = degrade.lowpass(degrade.gaps(clean, RATE)[0], 4000, RATE)
    return Example(clean, damaged, Damage(rms=rms(damaged)))


def muffled_in_noise(clean: np.ndarray, number: int) -> Example:
    damaged = degrade.white_noise(degrade.lowpass(clean, 4000, RATE), 20.0, seed=number)
    return Example(clean, damaged, Damage(rms=rms(damaged)))


def mixtures(clips: list[np.ndarray]) -> list[Example]:
    """Clip i with clip i + n/2 at equal RMS."""
    half, out = len(clips) // 2, []
    for one, two in zip(clips[:half], clips[half:]):
        length = min(len(one), len(two))
        voices = np.stack([one[:length] / rms(one[:length]), two[:length] / rms(two[:length])])
        voices = (0.05 * voices).astype(np.float32)
        out.append(Example(voices, voices.sum(0), Damage(rms=rms(voices.sum(0)))))
    return out


def mel_of(wave: np.ndarray) -> np.ndarray:
    """Mel-spectrogram of a clip. Shape: `[T]` to `[80, T // 256]`."""
    from .operators import Mel

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
    make: Callable
    baselines: dict[str, Callable]


CASES = {
    "declip": Case("declip", clipped, {
        "cubic": lambda e: baselines.cubic_declip(e.damaged, 0.995 * e.damage.clip_level),
        "AR": lambda e: baselines.ar_declip(e.damaged, 0.995 * e.damage.clip_level),
        "A-SPADE": lambda e: baselines.a_spade(e.damaged, 0.995 * e.damage.clip_level),
        "S-SPADE": lambda e: baselines.s_spade(e.damaged, 0.995 * e.damage.clip_level)}),
    "extend-4k": Case("extend", lowpassed(4000.0), {
        "mirroring": lambda e: baselines.spectral_mirror(e.damaged, 4000, RATE)}),
    "extend-2k": Case("extend", lowpassed(2000.0), {
        "mirroring": lambda e: baselines.spectral_mirror(e.damaged, 2000, RATE)}),
    "inpaint": Case("inpaint", gapped, {
        "AR": lambda e: baselines.ar_interpolate(e.damaged, e.judged),
        "cubic": lambda e: baselines.cubic_interpolate(e.damaged, e.judged)}),
    "denoise": Case("denoise", noisy, {
        "Wiener": lambda e: baselines.wiener_denoise(e.damaged, e.damage.noise, RATE)}),
    "vocode": Case("vocode", unharmed, {
        "Griffin-Lim": lambda e: baselines.mel_griffin_lim(mel_of(e.clean), 100, fixed=101),
        "Griffin-Lim, bi-level": lambda e: baselines.mel_griffin_lim(mel_of(e.clean), 100)}),
    "separate": Case("separate", unharmed, {}),
    "mend": Case("mend", composed, {}),
}


def score(example: Example, estimate: np.ndarray) -> dict[str, float]:
    """Every metric of one estimate; voices in the order that has the best SI-SNR."""
    if example.clean.ndim == 2:
        estimate = estimate[list(best_order(estimate, example.clean))]
        voices = [score(replace(example, clean=c), e) for c, e in zip(example.clean, estimate)]
        return {**{name: float(np.mean([v[name] for v in voices])) for name in METRICS},
                **{name: SEPARATION[name](estimate, example.clean, RATE) for name in SEPARATION}}
    length = min(len(estimate), len(example.clean))
    estimate, clean = np.asarray(estimate[:length], np.float64), example.clean[:length]
    where = slice(None) if example.judged is None else example.judged[:length]
    return {"si_snr": METRICS["si_snr"](estimate[where], clean[where]),
            **{name: float(METRICS[name](estimate, clean, RATE)) for name in METRICS
               if name != "si_snr"}}


def mean(values) -> float | None:
    """Mean of those that have a meaning, as the SI-SNR of an empty gap has none; or None."""
    values = [v for v in values if np.isfinite(v)]
    return round(float(np.mean(values)), 4) if values else None


def check_metrics() -> None:
    """Raises ImportError at once, before minutes of work, if a metric lacks its package."""
    wave = np.random.default_rng(0).normal(0, 0.1, RATE)
    for metric in METRICS.values():
        metric(wave, wave, RATE)


def measure(examples: list[Example], method: Callable, name: str, counter: CallCounter,
            progress: bool, score: Callable = score) -> dict:
    """One row: means over the examples, network calls per clip, real-time factor."""
    scores, seconds, before = [], 0.0, counter.calls
    for example in tqdm(examples, desc=name, unit="clip", leave=False, disable=not progress):
        begun = time.perf_counter()
        estimate = method(example)
        seconds += time.perf_counter() - begun
        scores.append(score(example, estimate))
    duration = sum(e.damaged.shape[-1] for e in examples) / RATE
    return {"method": name, **{metric: mean(s[metric] for s in scores) for metric in scores[0]},
            "calls": (counter.calls - before) / len(examples),
            "real_time_factor": round(seconds / duration, 3),
            "si_snr_per_clip": [round(s["si_snr"], 3) if np.isfinite(s["si_snr"]) else None
                                for s in scores]}


def run_case(name: str, clips: list[np.ndarray], counter: CallCounter, seed: int,
             steps: tuple[int, ...], device: str, progress: bool) -> list[dict]:
    """The rows of one case."""
    case = CASES[name]
    examples = (mixtures(clips) if name == "separate"
                else [case.make(clip, i) for i, clip in enumerate(clips)])

    def restorer(task, count=None):
        return Restorer(task, counter, count, seed, device=device)

    def row(label, method):
        return measure(examples, method, label, counter, progress)

    def ours(count):
        mender = restorer(case.task, count)
        return lambda e: mender(e.damaged, RATE, e.damage)

    rows = []
    if name == "separate":
        rows.append(row("mixture", lambda e: np.stack([e.damaged] * 2)))
    elif name != "vocode":
        rows.append(row("input", lambda e: e.damaged))
    rows += [row(label, method) for label, method in case.baselines.items()]
    if name == "mend":
        rows.append(row("one after another", lambda e: one_after_another(e, restorer)))
    for count in sorted({*steps, TASKS[case.task].steps}):
        mark = " (default)" if count == TASKS[case.task].steps else ""
        plural = "s" if count > 1 else ""
        rows.append(row(f"ours, {count} step{plural}{mark}", ours(count)))
    return rows


def detection(clips: list[np.ndarray]) -> dict:
    """Shares of the clips on which each field of `Damage` is found, per kind of damage."""
    makers = {"clean": unharmed, "clip 3 dB": clipped, "low-pass 4 kHz": lowpassed(4000.0),
              "low-pass 2 kHz": lowpassed(2000.0), "gaps": gapped, "noise 10 dB": noisy,
              "low-pass, clipped, gaps": composed, "gaps, low-pass": muffled_gaps,
              "low-pass, noise 20 dB": muffled_in_noise}
    fields = ("clip_level", "cutoff", "gaps", "noise")
    found = {}
    for kind, make in makers.items():
        damages = [analyse([make(c, i).damaged[None]], RATE) for i, c in enumerate(clips)]
        found[kind] = {f: round(float(np.mean([bool(getattr(d, f)) for d in damages])), 4)
                       for f in fields}
    return found


def machine() -> str:
    """What the figures were taken on."""
    return (f"{os.cpu_count()} CPU cores ({platform.machine()}), "
            f"{torch.get_num_threads()} threads, torch {torch.__version__}")


def run(task: str, data: Path, clips: int | None = None, prior: str = hub.DEFAULT, seed: int = 0,
        steps: tuple[int, ...] = (8, 16, 32), device: str = "cpu", progress: bool = True) -> dict:
    """Runs the cases of a task, or all; the result can be written as JSON."""
    waves = load_clips(Path(data), clips)
    names = [n for n in CASES if task in ("all", CASES[n].task)]
    if len(waves) < (2 if "separate" in names else 1):
        raise ValueError(f"{data}: too few clips for {', '.join(names)}; mixtures need two")
    check_metrics()
    counter = CallCounter(hub.load_prior(prior, device))
    path = hub.find_prior(prior)
    result = {"version": __version__, "prior": path.stem, "sha256": hub.file_hash(path),
              "seed": seed, "clips": len(waves), "seconds": SECONDS, "device": device,
              "machine": machine(),
              "cases": {n: run_case(n, waves, counter, seed, steps, device, progress)
                        for n in names}}
    if "mend" in names:
        result["detection"] = detection(waves)
    return result


COLUMNS = {"si_snr": ("SI-SNR dB", 2), "lsd": ("LSD", 3), "estoi": ("ESTOI", 3),
           "pesq_wb": ("PESQ-WB", 2), "swap_rate": ("swap rate", 2), "calls": ("calls", 0),
           "real_time_factor": ("real-time factor", 2)}


def table(rows: list[dict], columns: dict[str, tuple[str, int]] = COLUMNS) -> list[str]:
    """Lines of a Markdown table of those columns that any row has; None becomes a dash."""
    def cell(value, digits):
        return "–" if value is None else f"{value:.{digits}f}"

    used = {key: column for key, column in columns.items() if any(key in row for row in rows)}
    lines = ["| method | " + " | ".join(title for title, _ in used.values()) + " |",
             "|---" * (len(used) + 1) + "|"]
    return lines + [f"| {row['method']} | " + " | ".join(
        cell(row.get(key), digits) for key, (_, digits) in used.items()) + " |" for row in rows]


def markdown(result: dict) -> str:
    """The tables of a result."""
    lines = [f"{result['clips']} clips of {result['seconds']} s, prior {result['prior']} "
             f"({result['sha256']}), seed {result['seed']}, {result['device']}: "
             f"{result['machine']}"]
    for name, rows in result["cases"].items():
        lines += ["", f"**{name}**", "", *table(rows)]
    if "detection" in result:
        fields = ("clip_level", "cutoff", "gaps", "noise")
        lines += ["", "**damage found, share of the clips**", "",
                  "| damage | clipping | cut-off | gaps | noise |", "|---|---|---|---|---|"]
        lines += [f"| {kind} | " + " | ".join(f"{found[f]:.0%}" for f in fields) + " |"
                  for kind, found in result["detection"].items()]
    return "\n".join(lines)
