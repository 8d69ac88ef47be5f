"""How reliably damage is detected: `python tools/detection.py SPEECH [--clips 44] [--out PAGE]`.

Loudest 4 s of each recording of a folder of clean speech, peak 0.9, damaged in ways that people's
recordings are; `voxmend mend --dry-run` says what it finds. Prints the share of clips in which the
damage is named, and the share of sound clips in which anything is: clean, limited and gated
speech, and tones, which are no speech.
"""

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from cases import command, damage
from cases.damage import RATE, added, lost, noise, places, resampled
from figures import replace_between
from robustness import clean_clips

NAMES = {"clipping": "clip", "gaps": "gap|missing at the", "band": "(nothing|fades) (above|below)",
         "noise": "noise|hum", "clicks": "click", "room": "reverb|room"}
Change = Callable[[np.ndarray], np.ndarray]


def clipped(x: np.ndarray, level: float = 0.3) -> np.ndarray:
    """Hard clipping."""
    return np.clip(x, -level, level)


def noisy(make: Callable[[int], np.ndarray], snr_db: float, x: np.ndarray) -> np.ndarray:
    """Speech and something so many dB below."""
    return added(x, make(len(x)), snr_db)


def holed(ms: float, count: int, x: np.ndarray, fill: float | np.ndarray = 0.0) -> np.ndarray:
    """Speech with losses."""
    return lost(x, places(x, count, ms), fill)


DAMAGE: dict[str, tuple[str, Change]] = {
    "clipped at a third": ("clipping", clipped),
    "clipped on one side": ("clipping", lambda x: np.minimum(x, 0.3)),
    "clipped, mp3 of 64 kbit/s": ("clipping", lambda x: damage.coded(
        clipped(x), "libmp3lame", 64000)),
    "clipped, Opus of 32 kbit/s": ("clipping", lambda x: damage.coded(
        clipped(x), "libopus", 32000)),
    "clipped at 44.1 kHz, read at 16": ("clipping", lambda x: resampled(
        clipped(resampled(x, RATE, 44100)), 44100, RATE)),
    "clipped, noise at -50 dBFS": ("clipping", lambda x: clipped(x) + 10**-2.5 * noise(len(x))),
    "softly clipped, tanh of 4 x": ("clipping", partial(damage.soft_clipped, drive=4)),
    "8 gaps of 20 ms, zeros": ("gaps", partial(holed, 20, 8)),
    "8 gaps of 20 ms, A-law silence": ("gaps", lambda x: holed(
        20, 8, damage.a_law(x), 8 / 32768)),
    "8 gaps of 20 ms, offset 0.02": ("gaps", lambda x: holed(20, 8, x) + 0.02),
    "8 gaps of 40 ms, noise at -60 dBFS": ("gaps", lambda x: holed(
        40, 8, x, 1e-3 * noise(len(x)))),
    "8 gaps of 20 ms, mp3 of 64 kbit/s": ("gaps", lambda x: damage.coded(
        holed(20, 8, x), "libmp3lame", 64000)),
    "8 gaps of 20 ms, Opus of 32 kbit/s": ("gaps", lambda x: damage.coded(
        holed(20, 8, x), "libopus", 32000)),
    "8 gaps of 40 ms, Opus of 24 kbit/s": ("gaps", lambda x: damage.coded(
        holed(40, 8, x), "libopus", 24000)),
    "30 losses of 3 ms": ("gaps", partial(holed, 3, 30)),
    "8 repeated packets of 20 ms": ("gaps", lambda x: damage.repeated(x, places(x, 8, 20))),
    "a gap of 1.3 s": ("gaps", lambda x: lost(x, [slice(RATE, RATE + 20800)])),
    "Butterworth of order 4, 3.4 kHz": ("band", partial(damage.lowpass, order=4)),
    "Butterworth of order 10, 3.4 kHz": ("band", partial(damage.lowpass, order=10)),
    "8 kHz, samples repeated": ("band", partial(damage.held, factor=2)),
    "8 kHz, on straight lines": ("band", partial(damage.held, factor=2, linear=True)),
    "telephone band, order 4": ("band", partial(damage.telephone, order=4)),
    "white noise, 15 dB below": ("noise", partial(noisy, noise, 15)),
    "50 Hz hum, 15 dB below": ("noise", partial(noisy, lambda n: damage.hum(n, 50), 15)),
    "brown noise, 10 dB below": ("noise", partial(noisy, damage.brown, 10)),
    "rumble below 80 Hz, 10 dB below": ("noise", partial(noisy, damage.rumble, 10)),
    "white noise from half-way, 15 dB below": ("noise", partial(
        noisy, lambda n: noise(n) * (np.arange(n) > n // 2), 15)),
    "60 clicks": ("clicks", lambda x: x + damage.clicks(len(x), 60)),
    "a room, T60 0.6 s": ("room", partial(damage.reverberant, t60=0.6)),
}
SOUND: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "clean speech": lambda x, k: x,
    "a second of it": lambda x, k: x[RATE:2 * RATE],
    "limited, driven by 6 dB": lambda x, k: damage.limited(x, 6),
    "limited, driven by 15 dB": lambda x, k: damage.limited(x, 15),
    "gated, fades of 5 ms": lambda x, k: damage.gated(x, 5),
    "gated, fades of 40 ms": lambda x, k: damage.gated(x, 40),
    "sine": lambda x, k: damage.tone("sine", 80 * 1.08**k),
    "square wave": lambda x, k: damage.tone("square", 80 * 1.08**k),
    "saw": lambda x, k: damage.tone("saw", 80 * 1.08**k),
    "plucked chords": lambda x, k: damage.music(k),
}


def finds(wave: np.ndarray, folder: Path) -> set[str]:
    """What `mend --dry-run` names, as keys of `NAMES`."""
    source = folder / "in.wav"
    fits = np.abs(wave).max() <= 1
    soundfile.write(source, wave, RATE, "PCM_16" if fits else "FLOAT")
    done = command.run("mend", source, folder / "out.wav", "--dry-run")
    if done.code:
        sys.exit("\n".join((*done.errors, done.traceback)))
    text = re.sub(r"\(.*?\)", "", done.text.replace(str(source), ""))  # advice names no damage
    return {name for name, pattern in NAMES.items() if re.search(pattern, text)}


def tables(clips: list[np.ndarray]) -> list[str]:
    """The two tables, a line each."""
    lines = ["| damage | clips | found | named besides |", "|---|---|---|---|"]
    bar = tqdm(total=(len(DAMAGE) + len(SOUND)) * len(clips), unit="clip")
    with tempfile.TemporaryDirectory() as name:
        def count(change: Callable[[np.ndarray, int], np.ndarray]) -> list[set[str]]:
            out = []
            for number, clip in enumerate(clips):
                out.append(finds(change(clip, number), Path(name)))
                bar.update()
            return out

        for text, (kind, change) in DAMAGE.items():
            found = count(lambda x, k, change=change: change(x))
            others = Counter(other for each in found for other in each - {kind})
            lines.append(f"| {text} | {len(clips)} | {np.mean([kind in f for f in found]):.0%} | "
                         f"{shares(others, len(clips))} |")
        lines += ["", "| sound | clips | anything found | namely |", "|---|---|---|---|"]
        for text, change in SOUND.items():
            found = count(change)
            lines.append(f"| {text} | {len(clips)} | {np.mean([bool(f) for f in found]):.0%} | "
                         f"{shares(Counter(kind for f in found for kind in f), len(clips))} |")
    bar.close()
    return lines


def shares(counts: Counter[str], clips: int) -> str:
    """Kinds with the share of the clips that they were named in."""
    return ", ".join(f"{kind} {n / clips:.0%}" for kind, n in counts.most_common()) or "–"


def main() -> None:
    """Prints the tables, and writes them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("--clips", type=int, default=44)
    parser.add_argument("--out", type=Path, help="a page with a section <!-- detection -->")
    args = parser.parse_args()
    lines = tables(clean_clips(args.speech, args.clips))
    print("\n".join(lines))
    if args.out:
        replace_between(args.out, "detection", lines)


if __name__ == "__main__":
    main()
