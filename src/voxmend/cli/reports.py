"""What a recording's damage is: found, told, checked and printed."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import audio
from ..audio import urls
from ..report.marks import words
from ..restore.analysis import analyse
from ..restore.damage import Clipping, Damage, channel_name
from ..restore.tasks import Task
from .folders import as_told, each, recordings
from .opening import opened
from .options import Told


def check_told(reader: audio.Recording, rms: float, told: Damage) -> None:
    """Raises AudioError for damage that a channel of this RMS cannot have."""
    seconds = reader.frames / reader.sample_rate
    late = [start for start, _ in told.gaps if start >= seconds]
    if late:
        raise audio.AudioError(f"{reader.path}: a gap at {late[0]:g} s lies beyond its end at "
                               f"{seconds:.2f} s: give one before it")
    if told.cutoff and not 150 <= told.cutoff <= reader.sample_rate / 2:
        raise audio.AudioError(f"{reader.path}: a cut-off of {told.cutoff:g} Hz does not fit a rate"
                               f" of {reader.sample_rate} Hz; give one from 150 Hz to half of it")
    if told.noise and 0 < rms <= told.noise:
        raise audio.AudioError(f"{reader.path}: noise of RMS {told.noise:g} cannot be in a "
                               f"recording of RMS {rms:.2g}, speech included")


def _shares(reader: audio.Recording, clipping: Mapping[int, Sequence[Clipping]]
            ) -> dict[int, float]:
    """Of channels' samples those that reach the clip levels that were told, in one pass."""
    counts = dict.fromkeys(clipping, 0)
    for block in reader.blocks() if clipping else ():
        for channel, parts in clipping.items():
            counts[channel] += sum(int(np.count_nonzero(part.reach(block[channel]) >= part.floor))
                                   for part in parts)
    return {channel: count / max(reader.frames, 1) for channel, count in counts.items()}


def _cut(reader: audio.Recording, gaps: Sequence[tuple[float, float]]) -> tuple[
        tuple[float, float], ...]:
    """Gaps as far as there is a recording; says on stderr where one lasts longer than that."""
    seconds = reader.frames / reader.sample_rate
    for start, end in gaps:
        if end > seconds + 0.005:  # half of what a time is rounded to
            print(as_told(f"voxmend: {reader.path}: the gap {start:g}-{end:g} s passes its end and "
                          f"is cut there, at {seconds:.2f} s"), file=sys.stderr)
    return tuple((start, min(end, seconds)) for start, end in gaps)


def find(reader: audio.Recording, reports: tuple[str, ...],
         told: Told) -> tuple[Damage, ...]:
    """The damage of every channel: what was told, and what was found of the rest.

    Raises: AudioError for what the recording cannot have.
    """
    numbers = [channel for values in told.values() for channel in values if channel is not None]
    if numbers and max(numbers) >= reader.channels:
        raise audio.AudioError(f"{reader.path}: has no channel {max(numbers) + 1}, only "
                               f"{reader.channels}")
    told_of = [{name: value for name, values in told.items()
                if (value := values.get(channel, values.get(None))) is not None}
               for channel in range(reader.channels)]
    found_of = analyse(reader.blocks(), reader.sample_rate)
    seconds = reader.frames / reader.sample_rate
    for mine, found in zip(told_of, found_of, strict=True):
        if "noise" in mine:
            mine["coloured"] = None
        if "clipping" in mine:
            mine["clipping"] = tuple(replace(part, end=seconds, offset=found.offset)
                                     for part in mine["clipping"])
    shares = _shares(reader, {channel: mine["clipping"] for channel, mine in enumerate(told_of)
                              if "clipping" in mine})
    if idle := [channel_name(channel, reader.channels)
                for channel, share in shares.items() if not share]:
        where = f" of {' and '.join(idle)}" if reader.channels > 1 else ""
        print(as_told(f"voxmend: {reader.path}: no sample{where} reaches the clip level that was "
                      "told"), file=sys.stderr)
    damages = []
    for channel, (mine, found) in enumerate(zip(told_of, found_of, strict=True)):
        check_told(reader, found.rms, Damage(**mine))
        if not shares.get(channel, 1):
            mine["clipping"] = ()
        if "gaps" in mine:
            mine["gaps"] = _cut(reader, mine["gaps"])
        kept = {name: getattr(found, name) for name in reports}
        mine["clipped"] = shares.get(channel, found.clipped)
        damages.append(replace(Damage(rms=found.rms), **{**kept, **mine}))
    return tuple(damages)


def report(name: str | Path, damages: Sequence[Damage], rate: int, copied: bool = False,
           leaves: Sequence[str] = (), raised: bool = False) -> None:
    """Prints what was found: what the channels share as one, else each by itself.

    Args:
        rate: of the recording, Hz.
        copied: the output is the recording, to the byte.
        leaves: fields of `Damage` that are left as they are, since somebody told so.
        raised: the output has a higher rate.
    """
    texts = ["; ".join(line + ", left as told" * (kind in leaves)
                       for kind, line in words(damage)) for damage in damages]
    # Gaps of two channels may be as many and as long, and lie elsewhere.
    if len({(text, damage.gaps, damage.ends) for text, damage in zip(texts, damages,
                                                                     strict=True)}) == 1:
        lines = texts[:1]
    else:
        lines = [f"{channel_name(c, len(texts))}: {text or 'nothing'}"
                 for c, text in enumerate(texts)]
    if rate < 16000:
        lines.append(f"sampled at {rate} Hz: nothing above {rate / 2000:.3g} kHz"
                     + " (extend makes it 16 kHz)" * (not raised))
    print(as_told(f"{name}: ") + ("; ".join(filter(None, lines))
                         or "nothing to mend found" + ", it is passed on unchanged" * copied))


def left(damages: Sequence[Damage], leaves: Sequence[str]) -> list[list[str]]:
    """Of every channel the kinds that were found and left, since somebody told so."""
    return [[kind for kind in leaves if getattr(damage, kind)] for damage in damages]


def examine(source: Path, task: Task, salvage: bool = False) -> int:
    """Reports the damage of a recording, or of all in a folder; returns an exit code as `each`."""
    def work(file: Path) -> None:
        with urls.reached(file), urls.fetched([file]) as (copy,):
            reader = opened(copy, salvage)
            report(file, find(reader, task.reports, {}), reader.sample_rate, leaves=task.leaves)

    with urls.reached(source):
        several = source.is_dir()
        files = recordings(source) if several else [source]
    return each([(file,) for file in files], work, several)
