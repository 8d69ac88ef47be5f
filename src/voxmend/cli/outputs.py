"""Recordings written by the commands, and what did not fit into their files."""

import math
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from .. import audio
from .claims import claimed_as
from .options import PLAIN, Handling


def writers(reader: audio.Recording, targets: Sequence[Path], rate: int | None = None,
            channels: int | None = None) -> list[audio.Writer]:
    """What writes files that are made of a recording; refuses, before the work, what cannot be."""
    return [audio.Writer(target, rate or reader.sample_rate, channels or reader.channels,
                         like=reader) for target in targets]


def writer_of(target: Path, rate: int, wave: np.ndarray, how: Handling) -> audio.Writer:
    """What writes a signal that is made of no recording: in float, where it passes full scale.

    Shape: `[T]`.
    """
    writer = audio.Writer(target, rate, 1)
    passes = np.abs(wave).max(initial=0) > 10 ** ((how.headroom or 0) / 20)
    if passes and "FLOAT" in writer.format.subtypes:
        return audio.Writer(target, rate, 1, "FLOAT")
    return writer


def write(blocks: Iterable[np.ndarray], outs: list[audio.Writer],
          how: Handling = PLAIN) -> np.ndarray:
    """Writes blocks `[P·C, n]` of P signals, the first to the first file and so on.

    Signals beyond the files are left out. Returns the energy of each file, `[outs]`.
    """
    energies, gain = np.zeros(len(outs)), 10 ** (-(how.headroom or 0) / 20)
    with ExitStack() as stack:
        for writer in outs:
            stack.enter_context(writer)
        for block in blocks:
            parts = gain * block.reshape(-1, outs[0].channels, block.shape[1])
            for k, (writer, part) in enumerate(zip(outs, parts, strict=False)):
                writer.write(part)
                energies[k] += np.square(part, dtype=np.float64).sum()
    for writer in outs:
        warn(writer, how)
    return energies


def warn(writer: audio.Writer, how: Handling) -> None:
    """Says on stderr what did not fit into a file, and what to do about it."""
    told = []
    over = 20 * math.log10(max(writer.peak, 1))
    if how.headroom is None:
        lower = f"a recording {math.ceil(10 * over) / 10:g} dB softer"
    else:
        lower = f"--headroom {math.ceil(10 * (how.headroom + over)) / 10:g}"
    if writer.clamped:
        keeps = "" if "FLOAT" in writer.format.subtypes else ", or write a .wav"
        told.append(f"{writer.clamped} samples went beyond full scale, by up to {over:.1f} dB, and "
                    f"were limited: give {lower}{keeps} to keep them")
    elif writer.grown:
        told.append(f"peaks pass full scale by {over:.1f} dB, so it is in 32-bit float; with "
                    f"{lower} it need not be")
    if writer.lost:
        told.append(f"{', '.join(writer.lost)} not kept: {writer.path.suffix} cannot hold them")
    for text in told:
        print(f"voxmend: {claimed_as(writer.path)}: {text}", file=sys.stderr)
