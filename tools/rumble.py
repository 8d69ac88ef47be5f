"""What enhancers take of rumble, noise below 60 Hz, beside speech that is clean otherwise.

    python tools/rumble.py SPEECH WEIGHTS ...

WEIGHTS are bundled names or files of conditional priors, each called once. Every file of SPEECH,
its loudest 4 s, stands in rumble (`training.noises.rumble`) at several ratios. Prints means of
SI-SNR in dB.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from voxmend.benchmarks.diffsep import enhanced_by
from voxmend.benchmarks.restoration import SECONDS, load_clips
from voxmend.benchmarks.scoring import RATE, Example
from voxmend.metrics import METRICS
from voxmend.models.precision import choose
from voxmend.restore.damage import Damage
from voxmend.systems.weights import find_weights, load_listener
from voxmend.training.noises import rumble
from voxmend.training.pool import Draws

RATIOS = (0, 5, 10, 20, 30)  # dB, of the speech over the rumble


def in_rumble(clips: list[np.ndarray], ratio: float) -> list[Example]:
    """Clips in rumble of their own, at a ratio in dB."""
    noise = rumble(torch.empty(len(clips), SECONDS * RATE), Draws(len(clips), "cpu", 5)).numpy()
    noise = noise * 10 ** (-ratio / 20)
    return [Example(clip, (clip + noise[k, :len(clip)] * np.sqrt(np.mean(clip**2)))
                    .astype(np.float32), Damage()) for k, clip in enumerate(clips)]


def method(weights: str) -> Callable[[Example], np.ndarray]:
    """Recordings by one call of a conditional prior."""
    listener = load_listener(find_weights("enhance", "voxmend", weights))
    choose(listener, "auto")
    return enhanced_by(listener, speeds=(1.0,))


def main(speech: str, *weights: str) -> None:
    """Prints the table."""
    clips, score = load_clips(Path(speech), None), METRICS["si_snr"]
    sets = [in_rumble(clips, ratio) for ratio in RATIOS]
    print("| | " + " | ".join(f"{ratio} dB" for ratio in RATIOS) + " |")
    print("|---" * (len(RATIOS) + 1) + "|")
    methods = {"the recording": lambda example: example.damaged}
    methods |= {name: method(name) for name in weights}
    for name, enhanced in methods.items():
        means = [np.mean([score(enhanced(e), e.clean, RATE) for e in some]) for some in sets]
        print(f"| {name} | " + " | ".join(f"{mean:.1f}" for mean in means) + " |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
