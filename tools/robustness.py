"""Cases with faults of everyday recordings: `python tools/robustness.py SPEECH --out PAGE`.

Writes a table with a row for every case: what was done to 4 s of clean speech (folder SPEECH), the
verb, what it said it found, SI-SDR in dB before and after, and a verdict. `RULES` has the rules.
Seeds are fixed; nothing but the command line is called. A few minutes on one core.

    --only GLOB    rows whose "CASE: input" the pattern matches, as "B5*" or "*stereo*"
    --json FILE    the figures themselves
"""

import argparse
import fnmatch
import json
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from cases import damage, files, runs, signals
from cases.bench import SAME, Bench, Check, Crashed, Refused, Wrong, si_sdr
from cases.signals import Clips, Row, Sound
from figures import replace_between
from voxmend import __version__
from voxmend.metrics.lsd import lsd

HARM, NEIGHBOUR, LEVEL, LSD = 0.2, 1.0, 6.0, 0.02  # dB, dB, dB, log10 units
RULES = f"""Rules of the verdict, in this order:

- TRACEBACK: an exception left the command.
- refused: exit code 2 and one line on stderr, where the input could have been worked on.
- wrong: what a row of files checks does not hold, or another length, or more lines than one, or a
  line that names neither a file nor an option.
- harmed: SI-SDR falls by more than {HARM} dB in any channel or voice (of lost bands, the
  log-spectral distance rises by more than {LSD}); or the speech ends {LEVEL:g} dB farther from its
  level than it began; or it comes out more than {NEIGHBOUR:g} dB worse than the same input without
  the bang, the cough or the quiet neighbour. Good material, and a channel that was intact, are
  harmed by any other sample.
- better: SI-SDR rises by more than {HARM} dB (the distance falls by more than {LSD}).
- unharmed: neither; of good material, the same samples. Of damage: it was missed, or nothing
  could be done.
- right: what a row of files checks holds. Its figures, where it has some, are SI-SDR as well.

Of several channels or voices the row has the figures of that which gains least."""


@dataclass(frozen=True)
class Result:
    """A row of the table."""

    case: str
    input: str
    verb: str
    found: str
    before: float | None
    after: float | None
    verdict: str
    seconds: float


def clean_clips(folder: Path, count: int = 8) -> Clips:
    """The loudest 4 s of so many recordings, spread over a folder, of peak 0.9."""
    found = sorted(folder.rglob("*.flac")) + sorted(folder.rglob("*.wav"))
    step, clips = max(1, len(found) // count), list[np.ndarray]()
    for path in sorted(found, key=lambda path: found.index(path) % step):
        wave, rate = soundfile.read(path, always_2d=True)
        wave, size = damage.resampled(wave[:, 0], rate, damage.RATE), 4 * damage.RATE
        if len(wave) >= size and len(clips) < count:
            piece = damage.loudest(wave, size)
            clips.append(0.9 * piece / np.abs(piece).max())
    if len(clips) < 8:
        sys.exit(f"{folder}: fewer than 8 recordings of 4 s (flac, wav)")
    return clips


def written(path: Path, wave: np.ndarray, rate: int) -> np.ndarray:
    """A wav of 16 bits, or of float where that does not fit; the samples that it holds."""
    fits = 1e-2 < np.abs(wave).max() <= 1
    soundfile.write(path, wave.T, rate, "PCM_16" if fits else "FLOAT")
    return soundfile.read(path, always_2d=True)[0].T


def heard(bench: Bench, verb: str, source: Path, sound: Sound) -> np.ndarray:
    """What a verb makes of a file, at its rate: `[K, C, T]`. Raises what `Bench` raises."""
    out = source.with_suffix(".out" if verb == "separate" else ".out.wav")
    name, *options = verb.split()
    bench.works(name, source, out, *options)
    found = []
    for path in sorted(out.glob("*.wav")) if verb == "separate" else [out]:
        wave, rate = soundfile.read(path, always_2d=True)
        found.append(damage.resampled(wave, rate, sound.rate).T)
        if found[-1].shape != sound.damaged.shape:
            raise Wrong(f"{found[-1].shape} samples of {sound.damaged.shape}")
    return np.stack(found)


def distance(estimate: np.ndarray, reference: np.ndarray, sound: Sound) -> float:
    """What a row's figures are of one channel: SI-SDR in dB, or log-spectral distance."""
    if sound.band:
        return lsd(estimate, reference, sound.rate)
    part = slice(None) if sound.judged is None else sound.judged
    return si_sdr(estimate[part], reference[part])


def off(estimate: np.ndarray, reference: np.ndarray) -> float:
    """By how many dB speech is away from its level, either way."""
    gain = abs(estimate @ reference) / max(reference @ reference, 1e-20)
    return abs(20 * float(np.log10(max(gain, 1e-10))))


def in_order(voices: np.ndarray, clean: np.ndarray, sound: Sound) -> np.ndarray:
    """Two voices in the order of the clean ones. Shape: `[2, C, T]`."""
    def fit(order: np.ndarray) -> float:
        return sum(distance(a, b, sound) for a, b in zip(order[:, 0], clean[:, 0], strict=True))

    return voices[::-1] if len(voices) == 2 and fit(voices[::-1]) > fit(voices) else voices


def verdict(sound: Sound, given: np.ndarray, made: np.ndarray,
            undisturbed: np.ndarray | None) -> tuple[float | None, float | None, str]:
    """Figures before and after, and the verdict by `RULES`.

    Shape: given `[C, T]`, made and undisturbed `[K, C, T]`.
    """
    if sound.clean is None:
        worst = min(si_sdr(a, b) for a, b in zip(made[0], given, strict=True))
        same = np.array_equal(made[0], given)
        return None, worst, "unharmed" if same else "harmed: no longer the same"
    clean = sound.clean if sound.clean.ndim == 3 else sound.clean[None]
    clean = np.where(np.broadcast_to(sound.damaged, clean.shape) == clean, given, clean)
    made = in_order(made, clean, sound)
    sign = -1 if sound.band else 1
    rows = []
    for k, channel in np.ndindex(clean.shape[:2]):
        s, x, y = clean[k, channel], given[channel], made[k, channel]
        if not s.any():
            continue
        before, after = distance(x, s, sound), distance(y, s, sound)
        text = ""
        part = slice(None) if sound.judged is None else sound.judged
        if len(clean) == 1 and off(y[part], s[part]) > off(x[part], s[part]) + LEVEL:
            text = f"harmed: level {off(y[part], s[part]):.1f} dB away"
        if np.array_equal(x, s) and not np.array_equal(y, s):
            text = "harmed: an intact channel changed"
        if undisturbed is not None:
            calm = distance(in_order(undisturbed, clean, sound)[k, channel], s, sound)
            if after < calm - NEIGHBOUR:
                text = f"harmed: {calm - after:.1f} dB below the undisturbed"
        rows.append((sign * (after - before), before, after, text))
    gain, before, after, text = min(rows)
    text = next((row[3] for row in rows if row[3]), "")
    limit = LSD if sound.band else HARM
    if gain < -limit:
        text = "harmed"
    return before, after, text or ("better" if gain > limit else "unharmed")


def run_row(row: Row, bench: Bench) -> tuple[float | None, float | None, str]:
    """A row of signals: figures and verdict."""
    sound = row.make(bench.clips)
    source = bench.folder / "in.wav"
    given = written(source, sound.damaged, sound.rate)
    made = heard(bench, row.verb, source, sound)
    said, undisturbed = list(bench.said), None
    if sound.undisturbed is not None:
        other = bench.folder / "calm.wav"
        written(other, sound.undisturbed, sound.rate)
        undisturbed = heard(bench, row.verb, other, sound)
    bench.said[:] = said
    return verdict(sound, given, made, undisturbed)


def found(said: list[str]) -> str:
    """What the command said, in short: what it found, else its error."""
    finds = [line.partition(": ")[2] for line in said if line.startswith("in")
             and not re.search(r": [\d.]+ s in [\d.]+ s$", line)]
    errors = [line.removeprefix("voxmend: ") for line in said if line.startswith("voxmend: ")]
    text = "; ".join(finds[:1] + errors[:1]) or "–"
    text = re.sub("nothing to mend found(, it is passed on unchanged)?", "nothing", text)
    return (text if len(text) < 110 else text[:107] + "...").replace("|", "/")


def run(case: Row | Check, clips: Clips) -> Result:
    """Runs a row in a folder of its own."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench, before, after = Bench(Path(folder), clips), None, None
        try:
            if isinstance(case, Row):
                before, after, text = run_row(case, bench)
            else:
                case.act(bench)
                text, before, after = "right", bench.before, bench.after
        except Crashed as crash:
            text = f"TRACEBACK: {crash}"
        except Refused:
            text = "refused"
        except Wrong as wrong:
            text, before, after = f"wrong: {wrong}", bench.before, bench.after
        except Exception as error:  # a check that broke on what it found is wrong as well
            text = f"wrong: {type(error).__name__}: {' '.join(str(error).split())[:100]}"
        return Result(case.case, case.text, case.verb, found(bench.said), before, after,
                      text.replace("|", "/").replace(folder, ""), time.monotonic() - begun)


def number(value: float | None, band: bool = False) -> str:
    """A figure of the table."""
    if value is None:
        return "–"
    return f"≥ {SAME}" if value >= SAME else f"{value:.2f}" if band else f"{value:.1f}"


def summary(results: list[Result]) -> str:
    """How many rows ended how."""
    count = Counter(result.verdict.partition(":")[0] for result in results)
    names = ("better", "unharmed", "right", "refused", "harmed", "wrong", "TRACEBACK")
    return f"{len(results)} rows: " + ", ".join(f"{count[name]} {name}" for name in names)


def markdown(results: list[Result]) -> list[str]:
    """Rules, summary and table, a line each."""
    lines = [*RULES.splitlines(), "", f"{summary(results)} (voxmend {__version__}).", "",
             "| case | input | verb | found | before | after | verdict |",
             "|---|---|---|---|---|---|---|"]
    for r in results:
        band = r.case == "B7"
        unit = " LSD" if band and r.before is not None else ""
        lines.append(f"| {r.case} | {r.input} | {r.verb} | {r.found} | "
                     f"{number(r.before, band)}{unit} | {number(r.after, band)}{unit} | "
                     f"{r.verdict} |")
    return lines


def main() -> None:
    """Runs the rows and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("--out", type=Path, help="a page with a section <!-- robustness -->")
    parser.add_argument("--only", default="*")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = [row for kind in signals.KINDS for row in kind()] + [*files.checks(), *runs.checks()]
    rows.sort(key=lambda row: (row.case[0], int(row.case[1:])))
    rows = [row for row in rows if fnmatch.fnmatch(f"{row.case}: {row.text}", args.only)]
    clips = clean_clips(args.speech)
    results = [run(row, clips) for row in tqdm(rows, unit="row")]
    lines = markdown(results)
    if args.out:
        replace_between(args.out, "robustness", lines)
    else:
        print("\n".join(lines))
    if args.json:
        args.json.write_text(json.dumps([asdict(r) for r in results], indent=1,
                                        ensure_ascii=False) + "\n", encoding="utf-8")
    print(summary(results))


if __name__ == "__main__":
    main()
