"""Whether one prior restores better than another: paired differences, and their standard errors.

    python tools/compare_priors.py SPEECH PRIOR OTHER [CASE ...]

Hears all 4 s stretches of SPEECH's files in which somebody speaks, not one of each file as `voxmend
bench` does, since on 16 clips of val/ what differs by chance looks like a gain. PRIOR and OTHER are
bundled names or files, CASE is declip, extend-4k, extend-2k, inpaint, denoise or mend; by default
all. A difference within two standard errors says nothing. Every stretch is damaged alike for both.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from voxmend import audio
from voxmend.benchmarks.restoration import CASES, SECONDS
from voxmend.benchmarks.scoring import RATE, Example
from voxmend.dsp.rms import rms
from voxmend.metrics import METRICS
from voxmend.restore.restorer import Restorer
from voxmend.training.corpus import audio_files

USUAL = ("declip", "extend-4k", "extend-2k", "inpaint", "denoise", "mend")
SHOWN = {"si_snr": "SI-SNR dB", "lsd": "LSD", "pesq_wb": "PESQ-WB"}
SPOKEN = 0.02  # RMS of a stretch in which somebody speaks


def stretches(speech: Path) -> Iterator[np.ndarray]:
    """Each file's stretches of 4 s, one after the other, without those that are nearly silent."""
    length = SECONDS * RATE
    for path in audio_files(speech):
        wave = audio.load(path, RATE).mean(0)
        for start in range(0, len(wave) - length + 1, length):
            if rms(part := wave[start:start + length]) > SPOKEN:
                yield part


def scores(restorer: Restorer, example: Example) -> list[float]:
    """The figures of one stretch; its SI-SNR where the case is judged, as within gaps."""
    found = restorer(example.damaged, RATE, example.damage)
    where = slice(None) if example.judged is None else example.judged
    heard = {"si_snr": (found[where], example.clean[where])}
    return [METRICS[name](*heard.get(name, (found, example.clean)), RATE) for name in SHOWN]


def main(speech: str, prior: str, other: str, *cases: str) -> None:
    """Prints the table."""
    clips = list(stretches(Path(speech)))
    print(f"{len(clips)} stretches of {SECONDS} s\n\n"
          f"| damage | figure | {prior} | {other} | difference |\n|---|---|---|---|---|")
    for case in cases or USUAL:
        examples = [CASES[case].make(clip, number) for number, clip in enumerate(clips)]
        one, two = (np.array([scores(restorer, example) for example in examples])
                    for restorer in (Restorer(CASES[case].task, name) for name in (prior, other)))
        apart = two - one
        error = apart.std(0, ddof=1) / np.sqrt(len(clips))
        rows = zip(SHOWN.values(), one.mean(0), two.mean(0), apart.mean(0), error, strict=True)
        for label, before, after, gain, unsure in rows:
            print(f"| {case} | {label} | {before:.3f} | {after:.3f} | {gain:+.3f} ± {unsure:.3f} |",
                  flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
