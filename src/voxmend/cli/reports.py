"""What a recording's damage is: found, told, checked and printed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import audio
from ..restore.damage import Damage, analyse
from ..training.corpus import audio_files
from .folders import each


def check_told(reader: audio.Recording, rms: float, told: Damage) -> None:
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


def find(reader: audio.Recording, restorer_finds: tuple[str, ...], told: dict) -> Damage:
    """The damage of a recording: what was told, and what was found of the rest."""
    damage = analyse(reader.blocks(), reader.sample_rate)
    check_told(reader, damage.rms, Damage(**told))
    damage = replace(damage, **told)
    for name in ("clip_level", "cutoff", "gaps", "noise"):
        if name not in restorer_finds:
            nothing: dict[str, Any] = {name: () if name == "gaps" else None}
            damage = replace(damage, **nothing)
    return damage


def report(name: str | Path, damage: Damage, rate: int) -> None:
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
    def work(file: Path) -> None:
        reader = audio.Reader(file)
        report(file, find(reader, finds, {}), reader.sample_rate)

    found = audio_files(source) if source.is_dir() else [source]
    return each([(file,) for file in found], work, source.is_dir())
