"""How near autoregressive models of several orders and contexts come to what gaps took.

    python tools/gap_models.py SPEECH

SPEECH is a folder of recordings (choose on the val/ of training). Every half second of the loudest
4 s of each file has a gap. Prints the SI-SNR in the gaps, in dB, the mean over the files; rows with
several models are of the mean of what they make, the last of what goes along the pitch beside that.
"""

import sys
from pathlib import Path

import numpy as np

from voxmend.benchmarks.restoration import load_clips
from voxmend.benchmarks.scoring import RATE
from voxmend.classical import ar_interpolate, pitch_interpolate
from voxmend.metrics import METRICS

LENGTHS = (5, 10, 20, 50, 100)  # of the gaps, ms
USED = [(8, 62.5), (16, 62.5)]  # by `operators.Gap`
MODELS = ([(8, 100)], [(8, 62.5)], [(12, 62.5)], [(16, 62.5)], [(16, 150)],
          USED, [(8, 62.5), (12, 62.5), (16, 62.5)])  # order and context, ms


def gaps(length: int, ms: float) -> np.ndarray:
    """True in a gap at every half second. Shape: `[T]`."""
    lost = np.zeros(length, bool)
    for start in range(RATE // 4, length - RATE // 2, RATE // 2):
        lost[start:start + round(ms * RATE / 1000)] = True
    return lost


def filled(clip: np.ndarray, lost: np.ndarray, models: list[tuple], pitch: bool) -> np.ndarray:
    """The mean of what models make of what is left of a clip, or that along the pitch."""
    damaged = np.where(lost, 0, clip)
    guess = np.mean([ar_interpolate(damaged, lost, *(round(part * RATE / 1000) for part in model))
                     for model in models], 0)
    return pitch_interpolate(damaged, lost, RATE, guess) if pitch else guess


def main(speech: str) -> None:
    """Prints the table."""
    clips = load_clips(Path(speech), None)
    print(f"{len(clips)} clips\n\n| order, context, ms | {' ms | '.join(map(str, LENGTHS))} ms |\n"
          f"|---|{'---|' * len(LENGTHS)}")
    for models, pitch in [*((models, False) for models in MODELS), (USED, True)]:
        row = []
        for ms in LENGTHS:
            lost = [gaps(len(clip), ms) for clip in clips]
            found = [METRICS["si_snr"](filled(clip, where, models, pitch)[where], clip[where], RATE)
                     for clip, where in zip(clips, lost, strict=True)]
            row.append(f"{np.mean(found):.2f}")
        named = " and ".join(f"{order:g}, {context:g}" for order, context in models)
        print(f"| {named}{', along the pitch' if pitch else ''} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
