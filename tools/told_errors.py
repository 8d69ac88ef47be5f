"""How much a call of a conditional prior removes of several kinds of errors beside a voice.

    python tools/told_errors.py SPEECH NOISE [PRIOR]

SPEECH is a folder of recordings (the val/ of training), of which clips are mixed as by `voxmend
bench separate`; NOISE one of recordings of noise. In the place of the mixture less the other
voice's estimate the prior is told a voice with a rest of the other, or with noise at the same
ratio. Prints SI-SNR improvements in dB.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from voxmend.benchmarks.restoration import load_clips, mixtures
from voxmend.benchmarks.scoring import RATE
from voxmend.dsp.rms import rms
from voxmend.metrics.si_snr import si_snr
from voxmend.systems import separator
from voxmend.training.corpus import draw_noises

RATIOS_DB = (0, 5, 10, 15)


def voices(speech: Path, noise: Path) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """One voice of every mixture, and what it may have beside it."""
    examples = mixtures(load_clips(speech, None))
    noises = draw_noises(noise, [len(example.damaged) for example in examples])
    for number, (example, recorded) in enumerate(zip(examples, noises, strict=True)):
        voice, other = example.clean
        yield voice, {"the other voice": other, "recorded noise": recorded,
                      "white noise": np.random.default_rng(number).normal(size=len(voice))}


def main(speech: str, noise: str, prior: str | None = None) -> None:
    """Prints the table."""
    enhance = separator.load("enhance", weights=prior, device="cpu")
    gains: dict[tuple[int, str], list[float]] = {}
    for voice, errors in voices(Path(speech), Path(noise)):
        for ratio in RATIOS_DB:
            for kind, error in errors.items():
                wave = voice + error * rms(voice) / rms(error) * 10 ** (-ratio / 20)
                found = enhance(wave.astype(np.float32), RATE)[0]
                gains.setdefault((ratio, kind), []).append(
                    si_snr(found, voice) - si_snr(wave, voice))
    kinds = list(dict.fromkeys(kind for _, kind in gains))
    print(f"| below the voice, dB | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}")
    for ratio in RATIOS_DB:
        print(f"| {ratio} | " + " | ".join(
            f"{np.mean(gains[ratio, kind]):.1f}" for kind in kinds) + " |")


if __name__ == "__main__":
    main(*sys.argv[1:])
