"""What is wrong with a recording, kind by kind, in the words of the command."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import audio
from ..report import page_of_files
from ..report.marks import words
from ..restore.analysis import analyse
from ..restore.damage import Damage, channel_name
from ..restore.tasks import TASKS
from .limits import Limits

PAGE = "found.html"  # beside the working folder, in which names are the visitor's


@dataclass(frozen=True)
class Found:
    """What is wrong with a recording.

    Attributes:
        seconds: how long it is.
        sample_rate: Hz.
        channels: their number.
        writable: the suffix that a file of its format has, if that can be written.
        mendable: the fields of `Damage` that `mend` undoes, each with its figures.
        others: what else there is to say.
        damages: all of it, of each channel.
    """

    seconds: float
    sample_rate: int
    channels: int
    writable: str | None
    mendable: dict[str, str]
    others: tuple[str, ...]
    damages: tuple[Damage, ...]


def examine(name: str, limits: Limits) -> Found:
    """Reads a recording in the working folder and writes `../found.html`.

    Raises: AudioError for what cannot be read, ValueError for what passes the limits.
    """
    reader = audio.Reader(name)
    seconds = reader.frames / reader.sample_rate
    limits.check_length(name, seconds)
    damages = analyse(reader.blocks(), reader.sample_rate)
    mendable, others = sort(damages)
    if reader.sample_rate < 16000:
        others = (*others, f"sampled at {reader.sample_rate} Hz: nothing above "
                           f"{reader.sample_rate / 2000:.3g} kHz (voxmend extend makes it 16 kHz)")
    (Path("..") / PAGE).write_text(page_of_files(name, [("Recording", reader)], damages),
                                   encoding="utf-8")
    suffix = Path(name).suffix.lower()
    keeps = suffix in audio.SUFFIXES and audio.writable(Path(name)).name == name
    return Found(seconds, reader.sample_rate, reader.channels, suffix if keeps else None, mendable,
                 others, damages)


def sort(damages: Sequence[Damage]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What `mend` undoes, by its field of `Damage`, and the lines of all else that was found.

    >>> sort([Damage(hum=50.0, rms=0.1, reverberation=0.5), Damage(rms=0.1)])[0]
    {'hum': 'L: hum of 50 Hz'}
    """
    lines: dict[str, list[str]] = {}
    for channel, damage in enumerate(damages):
        mine: dict[str, list[str]] = {}
        for field, line in words(damage):
            mine.setdefault(field, []).append(line)
        for field, texts in mine.items():
            lines.setdefault(field, [""] * len(damages))[channel] = "; ".join(texts)
    merged = {}
    for field, texts in lines.items():
        if len(set(texts)) == 1:
            merged[field] = texts[0]
        else:
            merged[field] = "; ".join(f"{channel_name(channel, len(damages))}: {text}"
                                      for channel, text in enumerate(texts) if text)
    finds = TASKS["mend"].finds
    return ({field: merged[field] for field in finds if field in merged},
            tuple(text for field, text in merged.items() if field not in finds))
