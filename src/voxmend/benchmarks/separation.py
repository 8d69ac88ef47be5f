"""What separation depends on: whose voices they are, how much they overlap, noise, one alone.

Every table has a row for a method, and figures in dB: means of the SI-SNR of the voices over that
of the mixture, in the order that has the best one.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ..dsp.rms import rms
from ..metrics.si_snr import si_snr
from ..metrics.swap_rate import best_order
from ..restore.damage import Damage
from ..systems.separator import HEARD_DB
from ..training.corpus import audio_files, draw_noises, sexes, speaker
from .restoration import measured_folder
from .scoring import Example, mean

OVERLAPS = (0.0, 0.25, 0.5, 0.75, 1.0)
NOISES_DB = (20, 10)
PAIRS = {"FF": "two women", "FM": "a woman and a man", "MM": "two men"}

Method = Callable[[Example], np.ndarray]  # to voices `[2, T]`


def pairs_of_sexes(data: Path, clips: int | None) -> list[str]:
    """FF, FM or MM of the benchmark's mixtures, "" where the manifest beside them is silent."""
    folder = measured_folder(data)
    known = sexes(folder)
    files = audio_files(folder)[:clips]
    names = [known.get(speaker(file.relative_to(folder)), "") for file in files]
    half = len(names) // 2
    return ["".join(sorted(pair)) if all(pair) else ""
            for pair in zip(names[:half], names[half:], strict=False)]


def by_sexes(rows: list[dict], pairs: list[str]) -> dict[str, list[dict]]:
    """A table of the improvement by who speaks, of rows of which one is the mixture's."""
    kinds = {kind: [i for i, pair in enumerate(pairs) if pair == kind] for kind in PAIRS}
    kinds = {kind: places for kind, places in kinds.items() if places}
    ratios = {row["method"]: np.array(row["si_snr_per_clip"], float) for row in rows}
    mixture = ratios.pop("mixture", None)
    if not kinds or mixture is None:
        return {}
    table = [{"method": method} | {
        f"{PAIRS[kind]} ({len(places)})": mean(scores[i] - mixture[i] for i in places)
        for kind, places in kinds.items()} for method, scores in ratios.items()]
    return {"improvement by who speaks, dB (number of mixtures)": table}


def overlapped(example: Example, share: float) -> Example:
    """The second voice begins when only this share of the first is left to say."""
    length = example.clean.shape[1]
    later = round((1 - share) * length)
    voices = np.zeros((2, length + later), np.float32)
    voices[0, :length], voices[1, later:] = example.clean
    return Example(voices, voices.sum(0), Damage(rms=rms(voices.sum(0))))


def in_noise(examples: list[Example], noise: Path) -> dict[str, list[Example]]:
    """Mixtures in recorded noise, the same one at every ratio to them."""
    noises = draw_noises(measured_folder(noise), [len(e.damaged) for e in examples])
    return {f"in noise, {snr} dB": [
        Example(e.clean, (e.damaged + rms(e.damaged) * 10 ** (-snr / 20) * n).astype(np.float32),
                e.damage) for e, n in zip(examples, noises, strict=True)] for snr in NOISES_DB}


def improvement(example: Example, voices: np.ndarray, scale: Callable) -> float:
    """Mean over the voices; `scale` brings a signal to their rate."""
    clean, mixture = scale(example.clean), scale(example.damaged)
    voices = voices[list(best_order(voices, clean))]
    return float(np.mean([si_snr(v, c) - si_snr(mixture, c)
                          for v, c in zip(voices, clean, strict=True)]))


def improvements(methods: dict[str, Method], examples: dict[str, list[Example]],
                 scale: Callable) -> list[dict]:
    """Rows of the mean `improvement` of every set of examples."""
    return [{"method": label} | {
        title: mean(improvement(e, method(e), scale) for e in some)
        for title, some in examples.items()} for label, method in methods.items()]


def one_alone(methods: dict[str, Method], clips: Iterable[np.ndarray],
              scale: Callable) -> list[dict]:
    """Rows of how clips of one voice come out: the louder voice, and how far below is the other.

    A voice is heard if it is less than `HEARD_DB` below the louder.
    """
    rows = []
    for label, method in methods.items():
        ratios, below = [], []
        for clip in clips:
            wave = (0.05 * clip / rms(clip)).astype(np.float32)
            voices = method(Example(wave, wave, Damage(rms=0.05)))
            soft, loud = sorted(voices, key=rms)
            ratios.append(si_snr(loud, scale(wave)))
            below.append(20 * np.log10(rms(loud) / max(rms(soft), 1e-9)))
        share = float(np.mean(np.array(below) > HEARD_DB))
        rows.append({"method": label, "one voice heard, %": 100 * share,
                     "the other below it, dB": float(np.median(below)),
                     "SI-SNR of the louder, dB": float(np.median(ratios))})
    return rows


def breakdown(methods: dict[str, Method], mixtures: list[Example], clips: list[np.ndarray],
              noise: Path | None, scale: Callable) -> dict[str, list[dict]]:
    """The tables of methods that take long mixtures and such of one voice.

    Args:
        mixtures: of two clips.
        noise: folder of noise, or None for no table of it.
        scale: brings a signal to the rate of the methods' voices.
    """
    shares = {f"{share:.0%}": [overlapped(e, share) for e in mixtures] for share in OVERLAPS}
    tables = {"improvement by the share of each voice that the other speaks over, dB":
              improvements(methods, shares, scale)}
    if noise:
        tables["improvement in recorded noise, dB"] = improvements(
            methods, in_noise(mixtures, noise), scale)
    tables["one voice alone (medians)"] = one_alone(methods, clips, scale)
    return tables
