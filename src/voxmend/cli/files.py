"""One recording in, its outputs out: what each verb does with a file.

All take where their outputs go, and return what a sidecar says of them and the seconds of audio.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import audio
from ..audio.pair import Pair, side_by_side
from ..restore.damage import Damage
from ..restore.restorer import Restorer
from ..systems.conversation import Conversation
from ..systems.diffiner import Refiner
from ..systems.enhance import Enhancer, limited
from ..systems.separator import HEARD_DB
from .jobs import Streaming, alone
from .reports import find, report

Made = tuple[dict[str, Any], float]


def choose_subtype(reader: audio.Recording, target: Path, damage: Damage) -> str | None:
    """The input's sample encoding, but float for a mended clip in a wav, whose peaks may pass 1."""
    if damage.clip_level and target.suffix.lower() == ".wav":
        return "FLOAT"
    return getattr(reader, "subtype", None)


def mend_file(source: Path, targets: Sequence[Path], restorer: Restorer, told: dict,
              streaming: Streaming = alone, plot_file: Path | None = None) -> Made:
    """Mends one file; writes the output and, when there are draws, its uncertainty."""
    reader = audio.Reader(source)
    damage = find(reader, restorer.task.finds, told)
    if restorer.task.finds:
        report(source, damage, reader.sample_rate)
    found = damage or not restorer.task.finds or reader.sample_rate < restorer.sample_rate
    if found or restorer.draws > 1 or source.suffix.lower() != targets[0].suffix.lower():
        restore_file(reader, damage, restorer, targets, streaming)
    else:  # nothing to mend: no codec needs to see it again
        shutil.copyfile(source, targets[0])
    if plot_file:
        draw(source, targets[0], plot_file)
    return {**restorer.entry, "damage": asdict(damage)}, reader.frames / reader.sample_rate


def restore_file(reader: audio.Reader, damage: Damage, restorer: Restorer,
                 targets: Sequence[Path], streaming: Streaming = alone) -> None:
    """Writes a recording as restored and, when there are several draws, its uncertainty."""
    subtype = choose_subtype(reader, targets[0], damage)
    with progress_bar(reader, restorer.task.name) as progress:
        write(streaming(restorer.stream, reader, damage, progress=progress), targets,
              restorer.output_rate(reader), restorer.outputs(reader), subtype)


@contextmanager
def progress_bar(reader: audio.Reader, name: str) -> Iterator[Callable[[int], None]]:
    """A bar over the seconds of a recording, and a function that tells it the samples done."""
    with tqdm(total=round(reader.frames / reader.sample_rate), unit="s", desc=name,
              disable=not sys.stderr.isatty()) as bar:
        def tell(samples: int) -> None:
            bar.update(max(0, round(samples / reader.sample_rate) - bar.n))

        yield tell


def write(blocks: Iterable[np.ndarray], targets: Sequence[Path], rate: int, channels: int,
          subtype: str | None) -> np.ndarray:
    """Writes blocks `[P·C, n]` of P signals, the first to the first target and so on.

    Signals beyond the targets are left out. Returns the energy of each file, `[targets]`.
    """
    energies = np.zeros(len(targets))
    with ExitStack() as stack:
        writers = [stack.enter_context(audio.Writer(target, rate, channels, subtype))
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
        print(f"voxmend: {target.name}: {count} samples went beyond full scale and were limited"
              f"{hint}", file=sys.stderr)


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


def vocode_file(source: Path, targets: Sequence[Path], restorer: Restorer) -> Made:
    """Makes speech from a mel-spectrogram `.npy` `[80, frames]`; AudioError for another shape."""
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
        warn_clamped(path, audio.save(path, row[None], restorer.sample_rate))
    return restorer.entry, wave.shape[1] / restorer.sample_rate


def separate_file(source: Path, targets: Sequence[Path],
                  separator: Restorer | Conversation) -> Made:
    """Writes the voices of a recording, each with its rate and channels."""
    reader, speakers = audio.Reader(source), len(targets)
    if reader.channels * speakers > audio.MOST_CHANNELS:
        raise audio.AudioError(f"{source}: {reader.channels} channels are too many; mix it down")
    with progress_bar(reader, "separate") as progress:
        energies = write(separator.stream(reader, progress=progress), targets, reader.sample_rate,
                         reader.channels, reader.subtype)
    heard = np.flatnonzero(energies > energies.max() * 10 ** (-HEARD_DB / 10))
    if len(heard) < speakers:
        print(f"voxmend: {source}: {say_heard(heard, speakers)}", file=sys.stderr)
    entry = {**separator.entry, "voices_heard": len(heard)}
    return entry, reader.frames / reader.sample_rate


def say_heard(heard: np.ndarray, speakers: int) -> str:
    """What to tell of a separation in which only some voices, by their numbers, are heard."""
    if not len(heard):
        return "silence, no voice is heard"
    names = ", ".join(f"speaker{k + 1}" for k in heard)
    return (f"only {len(heard)} of {speakers} voices heard, {names}: the rest is more than "
            f"{HEARD_DB} dB below")


def enhance_file(source: Path, targets: Sequence[Path], separator: Enhancer,
                 refiner: Refiner | None = None, limit: float | None = None,
                 streaming: Streaming = alone) -> Made:
    """Writes the speech of a recording, refined if there is a refiner, and, if asked, the rest.

    The rest is what was `removed`; they add up to the recording.
    """
    reader, entry = audio.Reader(source), separator.entry
    with (progress_bar(reader, entry["task"]) as progress,
          TemporaryDirectory(dir=targets[0].parent) as folder):
        blocks = streaming(separator.stream, reader, progress=progress)
        if refiner:
            entry = {**entry, "refiner": refiner.entry}
            blocks = refined(reader, blocks, refiner, Path(folder) / "enhanced.wav", streaming)
        if limit is not None:
            entry = {**entry, "limit_db": limit}
            blocks = limited(blocks, limit)
        write(blocks, targets, reader.sample_rate, reader.channels, reader.subtype)
    return entry, reader.frames / reader.sample_rate


def refined(reader: audio.Reader, blocks: Iterable[np.ndarray], refiner: Refiner,
            kept: Path, streaming: Streaming = alone) -> Iterator[np.ndarray]:
    """What an enhancer makes of a recording, refined, and what that leaves of the recording.

    Args:
        blocks: of the enhancer, which begin with the enhanced channels.
        kept: a file that they are written to, since a refiner reads them twice.

    Shape: blocks `[≥ C, n]` to `[2C, n]`.
    """
    write(blocks, [kept], reader.sample_rate, reader.channels, "FLOAT")
    pair = Pair(reader, audio.Reader(kept), aligned=True)
    for both in side_by_side(streaming(refiner.stream, pair), reader.blocks()):
        speech, noisy = np.split(both, 2)
        yield np.concatenate([speech, noisy - speech])


def refine_file(noisy: Path, enhanced: Path, targets: Sequence[Path], refiner: Refiner,
                streaming: Streaming = alone) -> Made:
    """Writes what becomes of an enhanced recording, at the rate and of the length of the noisy."""
    reader, other = audio.Reader(noisy), audio.Reader(enhanced)
    pair = Pair(reader, other)
    if pair.delay:
        print(f"{enhanced}: moved by {-1000 * pair.delay / pair.sample_rate:.1f} ms, to where "
              f"{noisy.name} is")
    with progress_bar(reader, "refine") as progress:
        write(streaming(refiner.stream, pair, progress=progress), targets, reader.sample_rate,
              reader.channels, reader.subtype)
    return {**refiner.entry, "delay_samples": pair.delay}, reader.frames / reader.sample_rate


def generate_file(target: Path, seconds: float, restorer: Restorer) -> Made:
    """Writes what the prior says alone, from the seed that belongs to a name: `0001.wav`, ...."""
    wave = restorer.generate(seconds, int(target.stem) - 1)
    audio.save(target, wave, restorer.sample_rate)
    return restorer.entry, seconds
