"""One recording in, its outputs out: what each verb does with a file.

All take where their outputs go, and return what a sidecar says of them and the seconds of audio.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import audio
from ..audio.formats import is_called_as
from ..audio.pair import Pair, side_by_side
from ..restore.restorer import Restorer
from ..systems.conversation import Conversation
from ..systems.diffiner import Refiner
from ..systems.enhance import Enhancer, limited
from ..systems.separator import HEARD_DB, SHORTEST_SECONDS
from .folders import as_told
from .jobs import Streaming, alone
from .opening import opened
from .options import PLAIN, Handling, Told
from .outputs import write, writer_of, writers
from .reports import find, left, report

Made = tuple[dict[str, Any], float]


def mend_file(source: Path, targets: Sequence[Path], restorer: Restorer, told: Told,
              streaming: Streaming = alone, plot_file: Path | None = None,
              how: Handling = PLAIN) -> Made:
    """Mends one file; writes the output and, when there are draws, its uncertainty."""
    reader = opened(source, how.salvage)
    outs = writers(reader, targets, restorer.output_rate(reader), restorer.outputs(reader))
    damages = find(reader, restorer.task.reports, told)
    found = (any(map(restorer.relevant, damages)) or not restorer.task.finds
             or restorer.output_rate(reader) != reader.sample_rate)
    alike = (source.suffix.lower() == targets[0].suffix.lower() and how == PLAIN
             and is_called_as(targets[0], reader.container))
    copied = alike and not found and restorer.draws == 1
    if restorer.task.finds:
        report(source, damages, reader.sample_rate, copied, restorer.task.leaves,
               outs[0].sample_rate > reader.sample_rate)
    if not copied:
        with progress_bar(reader, restorer.task.name) as progress:
            write(streaming(restorer.stream, reader, damages, progress=progress), outs, how)
    else:  # no codec needs to see it again
        shutil.copyfile(source, targets[0])
    if plot_file:
        draw(source, targets[0], plot_file)
    entry = {**restorer.entry, "damage": [*map(asdict, damages)]}
    if restorer.task.leaves:
        entry["left"] = left(damages, restorer.task.leaves)
    return entry, reader.frames / reader.sample_rate


@contextmanager
def progress_bar(reader: audio.Reader, name: str) -> Iterator[Callable[[int], None]]:
    """A bar over the seconds of a recording, and a function that tells it the samples done."""
    with tqdm(total=round(reader.frames / reader.sample_rate, 1), unit="s", desc=name,
              disable=not sys.stderr.isatty()) as bar:
        def tell(samples: int) -> None:
            bar.n = max(bar.n, round(samples / reader.sample_rate, 1))
            bar.refresh()

        yield tell


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


def vocode_file(source: Path, targets: Sequence[Path], restorer: Restorer,
                how: Handling = PLAIN) -> Made:
    """Makes speech from a mel-spectrogram `.npy` `[80, frames]`; AudioError for another array."""
    if not source.is_file():
        raise audio.AudioError(f"{source}: no such file: check the name")
    try:
        mel = np.load(source, allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise audio.AudioError(f"{source}: not a .npy array of numbers") from None
    if mel.dtype.kind not in "fiu":
        raise audio.AudioError(f"{source}: an array of {mel.dtype}; a linear-magnitude "
                               "mel-spectrogram is real")
    if (mel >= 1e9).any():
        raise audio.AudioError(f"{source}: holds huge values; a linear-magnitude mel-spectrogram "
                               "has none")
    try:
        wave = restorer.from_mel(mel)
    except ValueError as error:
        raise audio.AudioError(f"{source}: {error}") from error
    write([wave], [writer_of(path, restorer.sample_rate, signal, how)
                   for path, signal in zip(targets, wave, strict=True)], how)
    return restorer.entry, wave.shape[1] / restorer.sample_rate


def separate_file(source: Path, targets: Sequence[Path], separator: Restorer | Conversation,
                  streaming: Streaming = alone, how: Handling = PLAIN) -> Made:
    """Writes the voices of a recording, each with its rate and channels."""
    reader, speakers = opened(source, how.salvage), len(targets)
    if reader.channels * speakers > audio.MOST_CHANNELS:
        raise audio.AudioError(f"{source}: {reader.channels} channels are too many; mix it down")
    outs = writers(reader, targets)
    with progress_bar(reader, "separate") as progress:
        energies = write(streaming(separator.stream, reader, progress=progress), outs, how)
    heard = np.flatnonzero(energies > energies.max() * 10 ** (-HEARD_DB / 10))
    if len(heard) < speakers:
        print(f"voxmend: {as_told(str(source))}: {say_heard(heard, speakers)}", file=sys.stderr)
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
                 streaming: Streaming = alone, how: Handling = PLAIN) -> Made:
    """Writes the speech of a recording, refined if there is a refiner, and, if asked, the rest.

    The rest is what was `removed`; they add up to the recording.
    """
    reader, entry = opened(source, how.salvage), separator.entry
    outs = writers(reader, targets)
    if reader.frames < SHORTEST_SECONDS * reader.sample_rate:
        print(as_told(f"voxmend: {source}: too short to tell speech from noise, left as it is"),
              file=sys.stderr)
    with (progress_bar(reader, entry["task"]) as progress,
          TemporaryDirectory(dir=targets[0].parent) as folder):
        blocks = streaming(separator.stream, reader, progress=progress)
        if refiner:
            entry = {**entry, "refiner": refiner.entry}
            blocks = refined(reader, blocks, refiner, Path(folder) / "enhanced.w64", streaming)
        if limit is not None:
            entry = {**entry, "limit_db": limit}
            blocks = limited(blocks, limit)
        write(blocks, outs, how)
    return entry, reader.frames / reader.sample_rate


def refined(reader: audio.Reader, blocks: Iterable[np.ndarray], refiner: Refiner,
            kept: Path, streaming: Streaming = alone) -> Iterator[np.ndarray]:
    """What an enhancer makes of a recording, refined, and what that leaves of the recording.

    Args:
        blocks: of the enhancer, which begin with the enhanced channels.
        kept: a file that they are written to, since a refiner reads them twice; a wav ends at
            4 GiB, 3.1 hours of stereo at 48 kHz.

    Shape: blocks `[≥ C, n]` to `[2C, n]`.
    """
    write(blocks, [audio.Writer(kept, reader.sample_rate, reader.channels, "FLOAT")])
    pair = Pair(reader, audio.Reader(kept), aligned=True)
    for both in side_by_side(streaming(refiner.stream, pair), reader.blocks()):
        speech, noisy = np.split(both, 2)
        yield np.concatenate([speech, noisy - speech])


def refine_file(noisy: Path, enhanced: Path, targets: Sequence[Path], refiner: Refiner,
                streaming: Streaming = alone, how: Handling = PLAIN) -> Made:
    """Writes what becomes of an enhanced recording, at the rate and of the length of the noisy."""
    reader, other = (opened(path, how.salvage) for path in (noisy, enhanced))
    outs = writers(reader, targets)
    pair = Pair(reader, other)
    if pair.delay:
        print(as_told(f"{enhanced}: moved by {-1000 * pair.delay / pair.sample_rate:.1f} ms, to "
                      f"where {noisy.name} is"))
    with progress_bar(reader, "refine") as progress:
        write(streaming(refiner.stream, pair, progress=progress), outs, how)
    return {**refiner.entry, "delay_samples": pair.delay}, reader.frames / reader.sample_rate


def generate_file(target: Path, seconds: float, restorer: Restorer,
                  how: Handling = PLAIN) -> Made:
    """Writes what the prior says alone, from the seed that belongs to a name: `0001.wav`, ...."""
    wave = restorer.generate(seconds, int(target.stem) - 1)
    write([wave], [writer_of(target, restorer.sample_rate, wave[0], how)], how)
    return restorer.entry, seconds
