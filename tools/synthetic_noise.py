"""What enhancers take of noise that is not recorded: rumble below 60 Hz, and tones.

    python tools/synthetic_noise.py SPEECH METHOD ...

METHODs are bundled names or files of conditional priors, each called once, or `deepfilternet`.
Every file of SPEECH, its loudest 4 s, stands in `noises.rumble` or `noises.tones` of `training`,
of a seed of their own. Prints means of SI-SNR in dB.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from voxmend.benchmarks.diffsep import enhanced_by, in_noise
from voxmend.benchmarks.restoration import SECONDS, load_clips
from voxmend.benchmarks.scoring import RATE, Example
from voxmend.dsp.rms import rms
from voxmend.metrics import METRICS
from voxmend.models.precision import choose
from voxmend.systems import deepfilternet, enhance
from voxmend.systems.weights import find_weights, load_listener
from voxmend.training import noises
from voxmend.training.pool import Draws

SEED = 5
SETS = [(noises.rumble, 0), (noises.rumble, 10), (noises.rumble, 20),
        (noises.tones, 0), (noises.tones, 10)]  # dB, of the speech over the noise


def mixed(clips: list[np.ndarray], noise: Callable, ratio: float) -> list[Example]:
    """Clips in noise of their own."""
    draws = Draws(len(clips), "cpu", SEED)
    waves = noise(torch.empty(len(clips), SECONDS * RATE), draws).numpy() * 10 ** (-ratio / 20)
    return [in_noise(clip, rms(clip) * wave[:len(clip)])
            for clip, wave in zip(clips, waves, strict=True)]


def method(name: str) -> Callable[[Example], np.ndarray]:
    """Recordings by another enhancer, or one call of a conditional prior."""
    if name == deepfilternet.NAME:
        other = enhance.load(name)
        return lambda example: other(example.damaged, RATE)[0]
    listener = load_listener(find_weights("enhance", "voxmend", name))
    choose(listener, "auto")
    return enhanced_by(listener, speeds=(1.0,))


def main(speech: str, *names: str) -> None:
    """Prints the table."""
    clips, score = load_clips(Path(speech), None), METRICS["si_snr"]
    sets = [mixed(clips, noise, ratio) for noise, ratio in SETS]
    print("| | " + " | ".join(f"{noise.__name__}, {ratio} dB" for noise, ratio in SETS) + " |")
    print("|---" * (len(SETS) + 1) + "|")
    methods = {"recording": lambda e: e.damaged} | {name: method(name) for name in names}
    for name, enhanced in methods.items():
        means = [np.mean([score(enhanced(e), e.clean, RATE) for e in some]) for some in sets]
        print(f"| {name} | " + " | ".join(f"{mean:.1f}" for mean in means) + " |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
