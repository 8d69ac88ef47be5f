"""What hearing mixtures at several speeds brings a separator: test-time augmentation.

    python tools/separator_speeds.py SPEECH [MIXTURES]

SPEECH is a folder of recordings (the val/ of training), of which file i is mixed with some others.
Prints the SI-SNR improvement in dB of the frame separator's mean over several sets of speeds, and
by how much it is above that over both polarities; a speed's sign is the polarity
(`conv_tasnet.over_speeds`).
"""

import sys
from functools import cache
from pathlib import Path

import numpy as np

from separator_segments import mixture
from voxmend import audio
from voxmend.benchmarks.scoring import RATE
from voxmend.benchmarks.separation import improvement
from voxmend.models import hub
from voxmend.systems import conv_tasnet, frame_separator
from voxmend.training.corpus import audio_files

SETS = [(1,), (1, -1), (1, -0.96), (1, -1.04), (1, -0.96, 1.04), (1, -0.92, 1.08),
        (1, -0.92, 1.08, -0.96, 1.04), (1, -0.92, 1.08, -0.96, 1.04, -0.88, 1.12)]
SECONDS, APART = 4, (2, 4, 8, 5)  # of a mixture; between its files, in the order of their names


def main(folder: str, count: int = 48) -> None:
    """Prints the table of a folder."""
    waves = [audio.load(file, RATE).mean(0) for file in audio_files(Path(folder))]
    pairs = [(i, (i + apart) % len(waves)) for apart in APART for i in range(len(waves))][:count]
    network = frame_separator.load_separator(hub.find_prior("frame_separator"))
    mixtures = [mixture(waves[i], waves[j], SECONDS * RATE) for i, j in pairs]

    @cache
    def heard(number: int, speeds: tuple[float, ...]) -> float:
        found = conv_tasnet.separate(network, mixtures[number].damaged, speeds)
        return improvement(mixtures[number], found, np.asarray)

    print(f"| speeds | SI-SNR improvement, dB, of {len(pairs)} | above both polarities |\n"
          "|---|---|---|")
    for speeds in SETS:
        gains = np.array([[heard(n, way) for way in (speeds, (1, -1))] for n in range(len(pairs))])
        above = gains[:, 0] - gains[:, 1]
        error = above.std(ddof=1) / len(above) ** 0.5
        print(f"| {', '.join(f'{speed:g}' for speed in speeds)} | {gains[:, 0].mean():.2f} | "
              f"{above.mean():+.2f} ± {error:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
