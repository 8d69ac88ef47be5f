"""Recordings mended file by file: what the commands share.

Each output gets a JSON sidecar, `OUT.json`, that says how it was made; it is written last, so a
file with a sidecar is finished.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import __version__, audio, hub
from .damage import Damage, analyse
from .data import audio_files
from .restorer import Restorer


def sidecar(target: Path) -> Path:
    """Where the JSON of an output stands: its name with `.json` added."""
    return target.with_name(target.name + ".json")


def check_free(target: Path, overwrite: bool) -> None:
    """Raises AudioError at once, before minutes of work, when an output is there already."""
    if target.exists() and not overwrite:
        raise audio.AudioError(f"{target}: exists already; add --overwrite or use another name")


def pairs(source: Path, target: Path, overwrite: bool) -> Iterator[tuple[Path, Path]]:
    """Inputs with their outputs: one pair, or every file of a folder that is not finished yet.

    Outputs of a folder get their own folders.
    """
    if not source.is_dir():
        check_free(target, overwrite)
        yield source, target
        return
    if target.is_file():
        raise audio.AudioError(f"{target}: a file, but {source} is a folder; name a folder")
    found = audio_files(source)
    todo = [(f, target / f.relative_to(source)) for f in found]
    todo = [(f, t) for f, t in todo if overwrite or not sidecar(t).exists()]
    if len(todo) < len(found):
        print(f"{len(found) - len(todo)} of {len(found)} files are finished already")
    for file, out in todo:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield file, out


def each(source: Path, items: Iterable[tuple], work: Callable) -> int:
    """Runs `work(*item)` on all items; if `source` is a folder, a bad one does not stop the rest.

    Returns the exit code: 0, or 2 when some file of a folder failed.
    """
    failed = 0
    for item in items:
        try:
            work(*item)
        except (audio.AudioError, OSError) as error:
            if not source.is_dir():
                raise
            failed += 1
            print(f"voxmend: {error}", file=sys.stderr)
    return 2 if failed else 0


def find(reader, restorer_finds: tuple[str, ...], told: dict) -> Damage:
    """The damage of a recording: what was told, and what was found of the rest."""
    damage = analyse(reader.blocks(), reader.sample_rate)
    damage = replace(damage, **told)
    if damage.cutoff and not 150 <= damage.cutoff <= reader.sample_rate / 2:
        raise audio.AudioError(f"{getattr(reader, 'path', 'input')}: a cut-off of "
                               f"{damage.cutoff:g} Hz does not fit a rate of "
                               f"{reader.sample_rate} Hz; give one from 150 Hz to half the rate")
    for name in ("clip_level", "cutoff", "gaps", "noise"):
        if name not in restorer_finds:
            damage = replace(damage, **{name: () if name == "gaps" else None})
    return damage


def report(name, damage: Damage, rate: int) -> None:
    """Prints what was found, one line per damage."""
    lines = damage.describe()
    if damage.rms == 0:
        lines = ["silence"]
    if rate < 16000:
        lines.append(f"sampled at {rate} Hz: nothing above {rate / 2000:g} kHz")
    print(f"{name}: " + ("; ".join(lines) or "nothing to mend found, it is passed on unchanged"))


def examine(source: Path, finds: tuple[str, ...]) -> int:
    """Reports the damage of a recording, or of all in a folder; returns an exit code as `each`."""
    def work(file):
        reader = audio.Reader(file)
        report(file, find(reader, finds, {}), reader.sample_rate)

    found = audio_files(source) if source.is_dir() else [source]
    return each(source, [(file,) for file in found], work)


def choose_subtype(reader, target: Path, damage: Damage) -> str | None:
    """The input's sample encoding, but float for a mended clip in a wav, whose peaks may pass 1."""
    if damage.clip_level and target.suffix.lower() == ".wav":
        return "FLOAT"
    return getattr(reader, "subtype", None)


def mend_file(source: Path, target: Path, restorer: Restorer, told: dict, overwrite: bool,
              plot_file: Path | None = None) -> None:
    """Mends one file; writes the output, its uncertainty when there are draws, and the sidecar."""
    begun = time.monotonic()
    reader = audio.Reader(source)
    damage = find(reader, restorer.task.finds, told)
    if restorer.task.finds:
        report(source, damage, reader.sample_rate)
    channels, rate = restorer.outputs(reader), restorer.output_rate(reader)
    subtype = choose_subtype(reader, target, damage)
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=round(reader.frames / reader.sample_rate), unit="s",
                                       desc=restorer.task.name, disable=not sys.stderr.isatty()))
        writers = [stack.enter_context(audio.Writer(target, rate, channels, subtype, overwrite))]
        if restorer.draws > 1:
            name = target.with_name(f"{target.stem}.uncertainty{target.suffix}")
            writers.append(stack.enter_context(
                audio.Writer(name, rate, channels, subtype, overwrite)))

        def progress(samples):
            bar.update(round(samples / reader.sample_rate) - bar.n)

        for block in restorer.stream(reader, damage, progress):
            for writer, part in zip(writers, np.split(block, len(writers))):
                writer.write(part)
    finish(target, restorer, damage, time.monotonic() - begun, reader.frames / reader.sample_rate,
           source)
    if writers[0].clamped:
        print(f"voxmend: {target}: {writers[0].clamped} samples went beyond full scale and were "
              "limited; write a .wav to keep them", file=sys.stderr)
    if plot_file:
        draw(source, target, plot_file)


def draw(source: Path, target: Path, plot_file: Path) -> None:
    """The before-and-after picture of two files' first minute."""
    from . import plot

    waves = []
    for path in (source, target):
        reader = audio.Reader(path)
        wave = np.concatenate([b for _, b in zip(range(60), reader.blocks(reader.sample_rate))], 1)
        waves.append((wave, reader.sample_rate))
    (before, rate_before), (after, rate_after) = waves
    plot.before_after(before, after, rate_before, rate_after, plot_file, source.name)


def finish(target: Path, restorer: Restorer, damage: Damage, seconds: float, duration: float,
           source: Path | None = None) -> None:
    """Writes the sidecar of an output and says that it is done."""
    task = restorer.task
    weights = hub.find_prior(str(restorer.prior_name)) if restorer.prior_name else None
    entry = {"task": task.name, "input": source and source.name, "damage": asdict(damage),
             "steps": task.steps, "seed": restorer.seed, "draws": restorer.draws,
             "sampler": task.sampler.__name__, "guidance": repr(task.guidance),
             "prior": weights and weights.stem,
             "weights_sha256": weights and hub.file_hash(weights),
             "device": str(restorer.device), "version": __version__,
             "seconds": round(seconds, 2), "real_time_factor": round(seconds / duration, 3)}
    with audio.atomic_path(sidecar(target), overwrite=True) as partial:
        partial.write_text(json.dumps(entry, indent=2) + "\n")
    print(f"{target}: {duration:.1f} s in {seconds:.1f} s")


def vocode_file(source: Path, target: Path, restorer: Restorer, overwrite: bool) -> None:
    """Makes speech from a mel-spectrogram `.npy` `[80, frames]`; AudioError for another shape."""
    check_free(target, overwrite)
    begun = time.monotonic()
    try:
        mel = np.load(source, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise audio.AudioError(f"{source}: not a .npy array ({error})") from None
    if mel.ndim != 2 or mel.shape[0] != 80 or mel.shape[1] < 4:
        raise audio.AudioError(f"{source}: shape {list(mel.shape)}, but a mel-spectrogram is "
                               "[80, frames] with at least 4 frames; transpose or recompute it")
    if not np.isfinite(mel).all() or mel.min() < 0:
        raise audio.AudioError(f"{source}: holds NaN, infinite or negative values; a linear-"
                               "magnitude mel-spectrogram has none (exponentiate a log one)")
    wave = restorer.from_mel(mel.astype(np.float32))
    audio.save(target, wave, restorer.sample_rate, overwrite=overwrite)
    finish(target, restorer, Damage(), time.monotonic() - begun,
           wave.shape[1] / restorer.sample_rate, source)


def separate_file(source: Path, outdir: Path, restorer: Restorer, overwrite: bool) -> None:
    """Writes `outdir/speaker1.wav`, …, one file per voice with the input's rate and channels."""
    begun = time.monotonic()
    reader = audio.Reader(source)
    if reader.channels * restorer.speakers > audio.MOST_CHANNELS:
        raise audio.AudioError(f"{source}: {reader.channels} channels are too many; mix it down")
    targets = [outdir / f"speaker{k + 1}.wav" for k in range(restorer.speakers)]
    for target in targets:
        check_free(target, overwrite)
    damage = find(reader, (), {})
    outdir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        writers = [stack.enter_context(audio.Writer(t, reader.sample_rate, reader.channels,
                                                    reader.subtype, overwrite)) for t in targets]
        for block in restorer.stream(reader, damage):
            for writer, part in zip(writers, np.split(block, restorer.speakers)):
                writer.write(part)
    for target in targets:
        finish(target, restorer, damage, time.monotonic() - begun,
               reader.frames / reader.sample_rate, source)


def generate_files(outdir: Path, count: int, seconds: float, restorer: Restorer,
                   overwrite: bool) -> None:
    """Writes `outdir/0001.wav`, …, each from a seed of its own."""
    targets = [outdir / f"{i + 1:04d}.wav" for i in range(count)]
    for target in targets:
        check_free(target, overwrite)
    outdir.mkdir(parents=True, exist_ok=True)
    for number, target in enumerate(targets):
        begun = time.monotonic()
        wave = restorer.generate(seconds, number)
        audio.save(target, wave, restorer.sample_rate, overwrite=overwrite)
        finish(target, restorer, Damage(), time.monotonic() - begun, seconds)
