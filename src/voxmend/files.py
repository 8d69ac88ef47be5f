"""Recordings mended file by file: what the commands share.

Each output gets a JSON sidecar, `OUT.json`, that says how it was made; it is written last, so a
file with a sidecar is finished.
"""

import json
import shutil
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
    """Raises AudioError at once, before minutes of work, where an output cannot be put."""
    if target.is_dir():
        raise audio.AudioError(f"{target}: a folder; name a file in it")
    if not target.parent.is_dir():
        raise audio.AudioError(f"{target}: no such folder as {target.parent}; make it first")
    if target.exists() and not overwrite:
        raise audio.AudioError(f"{target}: exists already; add --overwrite or use another name")


def make_folder(folder: Path) -> None:
    """Makes a folder for outputs, and those above it; raises AudioError where there is a file."""
    if folder.exists() and not folder.is_dir():
        raise audio.AudioError(f"{folder}: a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)


def uncertainty(target: Path) -> Path:
    """Where the standard deviation of several draws stands."""
    return target.with_name(f"{target.stem}.uncertainty{target.suffix}")


def pairs(source: Path, target: Path, overwrite: bool) -> Iterator[tuple[Path, Path]]:
    """Inputs with their outputs: one pair, or every file of a folder that is not finished yet.

    Outputs of a folder get their own folders.
    """
    if not source.is_dir():
        check_free(target, overwrite)
        yield source, target
        return
    if source.resolve() in target.resolve().parents:
        raise audio.AudioError(f"{target}: lies in {source} and would be read itself the next time;"
                               " name a folder elsewhere")
    found = audio_files(source)
    make_folder(target)
    todo = [(f, target / f.relative_to(source)) for f in found]
    todo = [(f, t) for f, t in todo if overwrite or not sidecar(t).exists()]
    if len(todo) < len(found):
        print(f"{len(found) - len(todo)} of {len(found)} files are finished already")
    for file, out in todo:
        make_folder(out.parent)
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


def check_told(reader, rms: float, told: Damage) -> None:
    """Raises AudioError for damage that a recording of this RMS cannot have."""
    seconds = reader.frames / reader.sample_rate
    late = [start for start, _ in told.gaps if start >= seconds]
    if late:
        raise audio.AudioError(f"{reader.path}: a gap at {late[0]:g} s lies beyond its end at "
                               f"{seconds:.2f} s")
    if told.cutoff and not 150 <= told.cutoff <= reader.sample_rate / 2:
        raise audio.AudioError(f"{reader.path}: a cut-off of {told.cutoff:g} Hz does not fit a rate"
                               f" of {reader.sample_rate} Hz; give one from 150 Hz to half of it")
    if told.noise and 0 < rms <= told.noise:
        raise audio.AudioError(f"{reader.path}: noise of RMS {told.noise:g} cannot be in a "
                               f"recording of RMS {rms:.2g}, speech included")


def find(reader, restorer_finds: tuple[str, ...], told: dict) -> Damage:
    """The damage of a recording: what was told, and what was found of the rest."""
    damage = analyse(reader.blocks(), reader.sample_rate)
    check_told(reader, damage.rms, Damage(**told))
    damage = replace(damage, **told)
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
        lines.append(f"sampled at {rate} Hz: nothing above {rate / 2000:.3g} kHz (extend makes it "
                     "16 kHz)")
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
    found = damage or not restorer.task.finds or reader.sample_rate < restorer.sample_rate
    if found or restorer.draws > 1 or source.suffix.lower() != target.suffix.lower():
        restore_file(reader, damage, restorer, target, overwrite)
    else:  # nothing to mend: no codec needs to see it again
        with audio.atomic_path(target, overwrite) as partial:
            shutil.copyfile(source, partial)
    finish(target, restorer, damage, time.monotonic() - begun, reader.frames / reader.sample_rate,
           source)
    if plot_file:
        draw(source, target, plot_file)


def restore_file(reader: audio.Reader, damage: Damage, restorer: Restorer, target: Path,
                 overwrite: bool) -> None:
    """Writes a recording as restored and, when there are several draws, its uncertainty."""
    channels, rate = restorer.outputs(reader), restorer.output_rate(reader)
    subtype = choose_subtype(reader, target, damage)
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=round(reader.frames / reader.sample_rate), unit="s",
                                       desc=restorer.task.name, disable=not sys.stderr.isatty()))
        writers = [stack.enter_context(audio.Writer(target, rate, channels, subtype, overwrite))]
        if restorer.draws > 1:
            writers.append(stack.enter_context(
                audio.Writer(uncertainty(target), rate, channels, subtype, overwrite)))

        def progress(samples):
            bar.update(round(samples / reader.sample_rate) - bar.n)

        for block in restorer.stream(reader, damage, progress):
            for writer, part in zip(writers, np.split(block, len(writers))):
                writer.write(part)
    warn_clamped(target, writers[0].clamped)


def warn_clamped(target: Path, count: int) -> None:
    """Says on stderr that samples did not fit into a file."""
    hint = "" if target.suffix.lower() == ".wav" else "; write a .wav to keep them"
    if count:
        print(f"voxmend: {target}: {count} samples went beyond full scale and were limited{hint}",
              file=sys.stderr)


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
             "start": task.start, "steps": len(task.levels(task, restorer.prior)) - 1,
             "seed": restorer.seed, "draws": restorer.draws,
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
    targets = [target, uncertainty(target)][:restorer.draws]
    for path in targets:
        check_free(path, overwrite)
    begun = time.monotonic()
    if not source.is_file():
        raise audio.AudioError(f"{source}: no such file: check the name")
    try:
        mel = np.load(source, allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise audio.AudioError(f"{source}: not a .npy array of numbers") from None
    if mel.dtype.kind not in "fiu":
        raise audio.AudioError(f"{source}: an array of {mel.dtype}; a linear-magnitude "
                               "mel-spectrogram is real")
    if mel.ndim != 2 or mel.shape[0] != 80 or mel.shape[1] < 4:
        raise audio.AudioError(f"{source}: shape {list(mel.shape)}, but a mel-spectrogram is "
                               "[80, frames] with at least 4 frames; transpose or recompute it")
    if not (mel.min() >= 0 and mel.max() < 1e9):
        raise audio.AudioError(f"{source}: holds NaN, infinite, huge or negative values; a linear-"
                               "magnitude mel-spectrogram has none (exponentiate a log one)")
    wave = restorer.from_mel(mel.astype(np.float32))
    for path, row in zip(targets, wave):
        warn_clamped(path, audio.save(path, row[None], restorer.sample_rate, overwrite=overwrite))
    finish(target, restorer, Damage(), time.monotonic() - begun,
           wave.shape[1] / restorer.sample_rate, source)


def separate_file(source: Path, outdir: Path, restorer: Restorer, overwrite: bool) -> None:
    """Writes `outdir/speaker1.wav`, …, one file per voice with the input's rate and channels."""
    begun = time.monotonic()
    reader = audio.Reader(source)
    if reader.channels * restorer.speakers > audio.MOST_CHANNELS:
        raise audio.AudioError(f"{source}: {reader.channels} channels are too many; mix it down")
    targets = [outdir / f"speaker{k + 1}.wav" for k in range(restorer.speakers)]
    damage = find(reader, (), {})
    make_folder(outdir)
    for target in targets:
        check_free(target, overwrite)
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
    make_folder(outdir)
    for target in targets:
        check_free(target, overwrite)
    for number, target in enumerate(targets):
        begun = time.monotonic()
        wave = restorer.generate(seconds, number)
        audio.save(target, wave, restorer.sample_rate, overwrite=overwrite)
        finish(target, restorer, Damage(), time.monotonic() - begun, seconds)
