"""Recordings mended file by file: what the commands share.

Each output gets a JSON sidecar, `OUT.json`, that says how it was made; it is written last, so a
file with a sidecar is finished.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import __version__, audio
from ..audio.pair import Pair, side_by_side
from ..restore.analysis import analyse
from ..restore.damage import Damage
from ..restore.restorer import Restorer
from ..systems.conversation import Conversation
from ..systems.diffiner import Refiner
from ..systems.separator import HEARD_DB, Separator
from ..training.corpus import audio_files
from .options import Told


def sidecar(target: Path) -> Path:
    """Where the JSON of an output stands: its name with `.json` added."""
    return target.with_name(target.name + ".json")


def make_folder(folder: Path) -> None:
    """Makes a folder for outputs, and those above it; raises AudioError where there is a file."""
    if folder.exists() and not folder.is_dir():
        raise audio.AudioError(f"{folder}: a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)


def uncertainty(target: Path) -> Path:
    """Where the standard deviation of several draws stands."""
    return target.with_name(f"{target.stem}.uncertainty{target.suffix}")


def removed(target: Path) -> Path:
    """Where the noise that enhancement took away stands."""
    return target.with_name(f"{target.stem}.noise{target.suffix}")


def voices(folder: Path, speakers: int) -> list[Path]:
    """Where the separated voices stand."""
    return [folder / f"speaker{k + 1}.wav" for k in range(speakers)]


def pairs(source: Path, target: Path, overwrite: bool) -> Iterator[tuple[Path, Path]]:
    """Inputs with their outputs: one pair, or every file of a folder that is not finished yet.

    Outputs of a folder get their own folders.
    """
    if source.is_dir():
        yield from unfinished(source, target, overwrite)
        return
    audio.check_free(target, overwrite)
    yield source, target


def unfinished(source: Path, target: Path, overwrite: bool,
               speakers: int = 0) -> Iterator[tuple[Path, Path]]:
    """The files of a folder that are not finished yet, with their outputs in another.

    With `speakers` an output is a folder, for `voices`, called as its input but for the suffix;
    raises AudioError if two inputs would get the same.
    """
    if source.resolve() in target.resolve().parents:
        raise audio.AudioError(f"{target}: lies in {source} and would be read itself the next time;"
                               " name a folder elsewhere")
    found = audio_files(source)
    outs = [target / f.relative_to(source) for f in found]
    if speakers:
        outs = [out.with_suffix("") for out in outs]
        taken = dict(zip(outs, found, strict=True))
        for file, out in zip(found, outs, strict=True):
            if taken[out] != file:
                raise audio.AudioError(f"{file}: goes to {out}, as does {taken[out].name}; give it "
                                       "another name")
    make_folder(target)
    todo = [(file, out) for file, out in zip(found, outs, strict=True)
            if overwrite or not sidecar(voices(out, speakers)[-1] if speakers else out).exists()]
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


def check_told(reader: audio.Recording, rms: float, told: Damage) -> None:
    """Raises AudioError for damage that a channel of this RMS cannot have."""
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


def find(reader: audio.Recording, reports: tuple[str, ...],
         told: Told) -> tuple[Damage, ...]:
    """The damage of every channel: what was told, and what was found of the rest.

    Raises: AudioError for what the recording cannot have.
    """
    numbers = [channel for values in told.values() for channel in values if channel is not None]
    if numbers and max(numbers) >= reader.channels:
        raise audio.AudioError(f"{reader.path}: has no channel {max(numbers) + 1}, only "
                               f"{reader.channels}")
    damages = []
    for channel, found in enumerate(analyse(reader.blocks(), reader.sample_rate)):
        known = {name: values.get(channel, values.get(None)) for name, values in told.items()}
        mine: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
        if "noise" in mine:
            mine["coloured"] = None
        if "clipping" in mine:
            seconds = reader.frames / reader.sample_rate
            mine["clipping"] = tuple(replace(part, end=seconds) for part in mine["clipping"])
        check_told(reader, found.rms, Damage(**mine))
        kept = {name: getattr(found, name) for name in reports}
        damages.append(replace(Damage(clipped=found.clipped, rms=found.rms), **{**kept, **mine}))
    return tuple(damages)


def report(name: str | Path, damages: Sequence[Damage], rate: int) -> None:
    """Prints what was found: what the channels share as one, else each by itself."""
    texts = ["; ".join(damage.describe()) if damage.rms else "silence" for damage in damages]
    if len(set(texts)) == 1:
        lines = texts[:1]
    else:
        lines = [f"{channel_name(c, len(texts))}: {text or 'nothing'}"
                 for c, text in enumerate(texts)]
    if rate < 16000:
        lines.append(f"sampled at {rate} Hz: nothing above {rate / 2000:.3g} kHz (extend makes it "
                     "16 kHz)")
    print(f"{name}: " + ("; ".join(filter(None, lines))
                         or "nothing to mend found, it is passed on unchanged"))


def channel_name(channel: int, channels: int) -> str:
    """What `--gaps` and the like call a channel: L and R of two, else a number from 1."""
    return "LR"[channel] if channels == 2 else str(channel + 1)


def examine(source: Path, finds: tuple[str, ...]) -> int:
    """Reports the damage of a recording, or of all in a folder; returns an exit code as `each`."""
    def work(file: Path) -> None:
        reader = audio.Reader(file)
        report(file, find(reader, finds, {}), reader.sample_rate)

    found = audio_files(source) if source.is_dir() else [source]
    return each(source, [(file,) for file in found], work)


def choose_subtype(reader: audio.Recording, target: Path,
                   damages: Iterable[Damage]) -> str | None:
    """The input's sample encoding, but float for a mended clip in a wav, whose peaks may pass 1."""
    if any(damage.clipping for damage in damages) and target.suffix.lower() == ".wav":
        return "FLOAT"
    return getattr(reader, "subtype", None)


def mend_file(source: Path, target: Path, restorer: Restorer, told: Told,
              overwrite: bool,
              plot_file: Path | None = None) -> None:
    """Mends one file; writes the output, its uncertainty when there are draws, and the sidecar."""
    begun = time.monotonic()
    reader = audio.Reader(source)
    damages = find(reader, restorer.task.reports, told)
    if restorer.task.finds:
        report(source, damages, reader.sample_rate)
    found = any(damages) or not restorer.task.finds or reader.sample_rate < restorer.sample_rate
    if found or restorer.draws > 1 or source.suffix.lower() != target.suffix.lower():
        restore_file(reader, damages, restorer, target, overwrite)
    else:  # nothing to mend: no codec needs to see it again
        with audio.atomic_path(target, overwrite) as partial:
            shutil.copyfile(source, partial)
    finish(target, {**restorer.entry, "damage": [*map(asdict, damages)]}, begun,
           reader.frames / reader.sample_rate, source)
    if plot_file:
        draw(source, target, plot_file)


def restore_file(reader: audio.Reader, damages: Sequence[Damage], restorer: Restorer, target: Path,
                 overwrite: bool) -> None:
    """Writes a recording as restored and, when there are several draws, its uncertainty."""
    subtype = choose_subtype(reader, target, damages)
    targets = [target, uncertainty(target)][:restorer.draws]
    with progress_bar(reader, restorer.task.name) as progress:
        write(restorer.stream(reader, damages, progress), targets, restorer.output_rate(reader),
              restorer.outputs(reader), subtype, overwrite)


@contextmanager
def progress_bar(reader: audio.Reader, name: str) -> Iterator[Callable[[int], None]]:
    """A bar over the seconds of a recording, and a function that tells it the samples done."""
    with tqdm(total=round(reader.frames / reader.sample_rate), unit="s", desc=name,
              disable=not sys.stderr.isatty()) as bar:
        def tell(samples: int) -> None:
            bar.update(max(0, round(samples / reader.sample_rate) - bar.n))

        yield tell


def write(blocks: Iterable[np.ndarray], targets: list[Path], rate: int, channels: int,
          subtype: str | None, overwrite: bool) -> np.ndarray:
    """Writes blocks `[P·C, n]` of P signals, the first to the first target and so on.

    Signals beyond the targets are left out. Returns the energy of each file, `[targets]`.
    """
    energies = np.zeros(len(targets))
    with ExitStack() as stack:
        writers = [stack.enter_context(audio.Writer(target, rate, channels, subtype, overwrite))
                   for target in targets]
        for block in blocks:
            parts = block.reshape(-1, channels, block.shape[1])
            for k, (writer, part) in enumerate(zip(writers, parts, strict=False)):
                writer.write(part)
                energies[k] += np.square(part, dtype=np.float64).sum()
    for writer in writers:
        warn_clamped(writer.path, writer.clamped)
    return energies


def warn_clamped(target: Path, count: int) -> None:
    """Says on stderr that samples did not fit into a file."""
    hint = "" if target.suffix.lower() == ".wav" else "; write a .wav to keep them"
    if count:
        print(f"voxmend: {target}: {count} samples went beyond full scale and were limited{hint}",
              file=sys.stderr)


def draw(source: Path, target: Path, plot_file: Path) -> None:
    """The before-and-after picture of two files' first minute."""
    from ..benchmarks import plots

    waves = []
    for path in (source, target):
        reader = audio.Reader(path)
        wave = np.concatenate([*islice(reader.blocks(reader.sample_rate), 60)], 1)
        waves.append((wave, reader.sample_rate))
    (before, rate_before), (after, rate_after) = waves
    plots.before_after(before, after, rate_before, rate_after, plot_file, source.name)


def finish(target: Path, entry: dict, begun: float, duration: float,
           source: Path | None = None) -> None:
    """Writes the sidecar of an output and says that it is done.

    Args:
        entry: how it was made.
        begun: when, by `time.monotonic`.
        duration: of the recording, in seconds.
    """
    seconds = time.monotonic() - begun
    entry = {**entry, "input": source and source.name, "version": __version__,
             "seconds": round(seconds, 2), "real_time_factor": round(seconds / duration, 3)}
    with audio.atomic_path(sidecar(target), overwrite=True) as partial:
        partial.write_text(json.dumps(entry, indent=2) + "\n")
    print(f"{target}: {duration:.1f} s in {seconds:.1f} s")


def vocode_file(source: Path, target: Path, restorer: Restorer, overwrite: bool) -> None:
    """Makes speech from a mel-spectrogram `.npy` `[80, frames]`; AudioError for another shape."""
    targets = [target, uncertainty(target)][:restorer.draws]
    for path in targets:
        audio.check_free(path, overwrite)
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
    for path, row in zip(targets, wave, strict=True):
        warn_clamped(path, audio.save(path, row[None], restorer.sample_rate, overwrite=overwrite))
    finish(target, restorer.entry, begun, wave.shape[1] / restorer.sample_rate, source)


def separate_file(source: Path, outdir: Path, separator: Restorer | Conversation, speakers: int,
                  overwrite: bool) -> None:
    """Writes `voices(outdir, speakers)`, each with the input's rate and channels."""
    begun = time.monotonic()
    reader = audio.Reader(source)
    if reader.channels * speakers > audio.MOST_CHANNELS:
        raise audio.AudioError(f"{source}: {reader.channels} channels are too many; mix it down")
    targets = voices(outdir, speakers)
    with progress_bar(reader, "separate") as progress:
        # reads it once, so that of a broken one not even a folder is made
        blocks = separator.stream(reader, progress=progress)
        make_folder(outdir)
        for target in targets:
            audio.check_free(target, overwrite)
        energies = write(blocks, targets, reader.sample_rate, reader.channels, reader.subtype,
                         overwrite)
    heard = np.flatnonzero(energies > energies.max() * 10 ** (-HEARD_DB / 10))
    if len(heard) < speakers:
        print(f"voxmend: {source}: {say_heard(heard, speakers)}", file=sys.stderr)
    for target in targets:
        finish(target, {**separator.entry, "voices_heard": len(heard)}, begun,
               reader.frames / reader.sample_rate, source)


def say_heard(heard: np.ndarray, speakers: int) -> str:
    """What to tell of a separation in which only some voices, by their numbers, are heard."""
    if not len(heard):
        return "silence, no voice is heard"
    names = ", ".join(f"speaker{k + 1}" for k in heard)
    return (f"only {len(heard)} of {speakers} voices heard, {names}: the rest is more than "
            f"{HEARD_DB} dB below")


def enhance_file(source: Path, target: Path, separator: Separator, keep_noise: bool,
                 overwrite: bool, refiner: Refiner | None = None) -> None:
    """Writes the speech of a recording, refined if there is a refiner, and, if asked, the rest.

    The rest is what was `removed`; they add up to the recording.
    """
    begun = time.monotonic()
    reader = audio.Reader(source)
    targets = [target, removed(target)][:1 + keep_noise]
    for path in targets:
        audio.check_free(path, overwrite)
    entry = separator.entry
    with progress_bar(reader, entry["task"]) as progress, tempfile.TemporaryDirectory() as folder:
        blocks = separator.stream(reader, progress)
        if refiner:
            entry = {**entry, "refiner": refiner.entry}
            blocks = refined(reader, blocks, refiner, Path(folder) / "enhanced.wav")
        write(blocks, targets, reader.sample_rate, reader.channels, reader.subtype, overwrite)
    finish(target, entry, begun, reader.frames / reader.sample_rate, source)


def refined(reader: audio.Reader, blocks: Iterable[np.ndarray], refiner: Refiner,
            kept: Path) -> Iterator[np.ndarray]:
    """What an enhancer makes of a recording, refined, and what that leaves of the recording.

    Args:
        blocks: of the enhancer, which begin with the enhanced channels.
        kept: a file that they are written to, since a refiner reads them twice.

    Shape: blocks `[≥ C, n]` to `[2C, n]`.
    """
    write(blocks, [kept], reader.sample_rate, reader.channels, "FLOAT", overwrite=False)
    pair = Pair(reader, audio.Reader(kept), aligned=True)
    for both in side_by_side(refiner.stream(pair), reader.blocks()):
        speech, noisy = np.split(both, 2)
        yield np.concatenate([speech, noisy - speech])


def refine_file(noisy: Path, enhanced: Path, target: Path, refiner: Refiner,
                overwrite: bool) -> None:
    """Writes what becomes of an enhanced recording, at the rate and of the length of the noisy."""
    audio.check_free(target, overwrite)
    begun = time.monotonic()
    reader, other = audio.Reader(noisy), audio.Reader(enhanced)
    pair = Pair(reader, other)
    if pair.delay:
        print(f"{enhanced}: moved by {-1000 * pair.delay / pair.sample_rate:.1f} ms, to where "
              f"{noisy.name} is")
    with progress_bar(reader, "refine") as progress:
        write(refiner.stream(pair, progress), [target], reader.sample_rate, reader.channels,
              reader.subtype, overwrite)
    entry = {**refiner.entry, "enhanced": enhanced.name, "delay_samples": pair.delay}
    finish(target, entry, begun, reader.frames / reader.sample_rate, noisy)


def generate_files(outdir: Path, count: int, seconds: float, restorer: Restorer,
                   overwrite: bool) -> None:
    """Writes `outdir/0001.wav`, …, each from a seed of its own."""
    targets = [outdir / f"{i + 1:04d}.wav" for i in range(count)]
    make_folder(outdir)
    for target in targets:
        audio.check_free(target, overwrite)
    for number, target in enumerate(targets):
        begun = time.monotonic()
        wave = restorer.generate(seconds, number)
        audio.save(target, wave, restorer.sample_rate, overwrite=overwrite)
        finish(target, restorer.entry, begun, seconds)
