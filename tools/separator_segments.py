"""What the length of a separator's segments brings to mixtures longer than it was trained on.

    python tools/separator_segments.py METHOD SPEECH

METHOD is one of `voxmend separate`, of trained networks without a sampler; SPEECH a folder of
recordings (the val/ of training), of which file i is mixed with some others, the shorter repeated.
Prints the SI-SNR improvement in dB and the swap rate of the voices as `voxmend separate` writes
them, once by the recording in one polarity, for segments of several lengths.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from voxmend import audio
from voxmend.benchmarks.scoring import RATE, Example
from voxmend.benchmarks.separation import improvement
from voxmend.dsp.rms import rms
from voxmend.metrics.swap_rate import swap_rate
from voxmend.restore.damage import Damage
from voxmend.systems import separator, weights
from voxmend.training.corpus import audio_files

LENGTHS = {8: (4, 10), 15: (4, 6, 8, 10, 15), 30: (4, 6, 10, 20)}  # seconds: of segments
APART = (1, 3, 5)  # files of a mixture, in the order of their names


def mixture(one: np.ndarray, two: np.ndarray, length: int) -> Example:
    """Two recordings at equal RMS, repeated until they are long enough. Shape: `[T]`, `[T]`."""
    voices = np.stack([np.resize(wave, length) for wave in (one, two)])
    voices = (0.05 * voices / [[rms(voice)] for voice in voices]).astype(np.float32)
    return Example(voices, voices.sum(0), Damage(rms=rms(voices.sum(0))))


def main(method: str, folder: str) -> None:
    """Prints the table of a method on a folder."""
    waves = [audio.load(file, RATE).mean(0) for file in audio_files(Path(folder))]
    pairs = [(i, (i + apart) % len(waves)) for apart in APART for i in range(len(waves))][::4]
    path = weights.find_weights("separate", method)
    network = weights.DIRECT[method](path)
    separate = replace(separator.load("separate", method, device="cpu"),
                       apart=separator.by_network(network))
    print(f"| mixtures of, s | segments of, s | SI-SNR improvement, dB, of {len(pairs)} | least | "
          "swap rate |\n|---|---|---|---|---|")
    for seconds, lengths in LENGTHS.items():
        mixed = [mixture(waves[i], waves[j], seconds * RATE) for i, j in pairs]
        for length in lengths:
            run = replace(separate, segment=length)
            found = [run(example.damaged, RATE) for example in mixed]
            both = list(zip(mixed, found, strict=True))
            gains = [improvement(e, f, lambda wave: wave) for e, f in both]
            swaps = [swap_rate(f, e.clean, RATE) for e, f in both]
            print(f"| {seconds} | {length} | {np.mean(gains):.2f} | {min(gains):.1f} | "
                  f"{np.nanmean(swaps):.3f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
