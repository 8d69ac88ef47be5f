"""A recording written to a file, whoever encodes it."""

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
import soundfile

from . import chunks, tags
from .arrays import BLOCK, ArrayReader
from .containers import Description, bit_rate, describe
from .errors import AudioError, check_finite, check_type, encoding
from .formats import FLAC, FORMATS, LOSSY, choose_format, choose_subtype
from .muxing import ContainerSink, check_film
from .paths import atomic_path
from .reading import Recording
from .sndfile import SoundFileSink, SoundFileSource

WAV_LIMIT = 2**32 - BLOCK  # bytes: a wav, or an aiff, counts its length in 32 bits
COUNTED = ("WAV", "WAVEX", "AIFF")
WIDTHS = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # bytes


class Writer:
    """An audio file written in blocks; it appears under its name only when complete.

    Samples beyond ±1 are clamped, except in the float formats, and counted.

    Args:
        path: its suffix chooses the format, one of `formats.FORMATS`.
        sample_rate: Hz.
        channels: their number.
        subtype: sample encoding: kept where the format has it, the 24-bit one in place of a finer
            one, and otherwise the format's default.
        overwrite: replace an existing file.
        like: the recording that this one is made of. Without `subtype` its sample encoding is
            kept, and becomes float as soon as a sample passes ±1, where the format has it. Of a
            file the bit rate, tags, cover, cue points and other chunks, chapters and loudspeakers
            of the channels are kept as well, and of a film, in a format for films, the pictures.

    Attributes:
        subtype: the sample encoding chosen.
        clamped: number of samples that were clamped so far.
        peak: the largest absolute sample so far.
        grown: the sample encoding became float.
        lost: what of `like` the format cannot hold; known at the end.

    Raises AudioError for an unknown suffix or subtype, for what the format cannot hold, for a
    file that exists, and when writing fails.
    """

    def __init__(self, path: str | Path, sample_rate: int, channels: int,
                 subtype: str | None = None, overwrite: bool = False,
                 like: Recording | None = None):
        self.path, self.sample_rate, self.channels = Path(path), sample_rate, channels
        self.overwrite, self.clamped, self.peak = overwrite, 0, 0.0
        self.lost, self.grown = list[str](), False
        self.format = choose_format(self.path, sample_rate, channels)
        known = {name for form in FORMATS.values() for name in form.subtypes}
        if subtype and subtype not in known | {*soundfile.available_subtypes()}:
            raise AudioError(f"{self.path}: unknown subtype '{subtype}': choose one of "
                             f"{', '.join(self.format.subtypes)}")
        wanted = subtype or (like.subtype if like else None)
        self.subtype = choose_subtype(self.format, wanted, sample_rate, channels)
        self._grows = not subtype and like is not None and "FLOAT" in self.format.subtypes
        self._like = None if isinstance(like, ArrayReader) else like
        self._about = describe(self._like.path) if self._like else Description()
        self._film = self._like.path if self._like and self._about.pictures else None
        if not self.format.pictures:
            self._film = None
        if self._film:
            check_film(self.path, self.format, self._film)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._temporary = stack.enter_context(atomic_path(self.path, self.overwrite))
            self._frames = 0
            self._sink = self._open()
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def _finish(self, kind: type[BaseException] | None, *_: Any) -> None:
        with encoding(self.path):
            self._sink.close()
            if kind is None:
                self._keep()

    def _open(self) -> SoundFileSink | ContainerSink:
        """A sink for the temporary file, of the sample encoding chosen."""
        same = self._like and self._like.subtype == self.subtype in LOSSY
        rate = bit_rate(self._like.path) if self._like and same else None
        with encoding(self.path):
            if self.format.by_libav or self.subtype in FLAC:
                about = self._about if self.format.by_libav else Description()  # `tags` gives it
                return ContainerSink(self._temporary, self.format, self.subtype, self.sample_rate,
                                     self.channels, about, rate, self._film)
            return SoundFileSink(self._temporary, self.subtype, self.sample_rate, self.channels,
                                 self._container(), rate)

    def _container(self) -> str:
        """libsndfile's name of the format: RF64 for a wav that may pass 4 GiB.

        Raises AudioError for an aiff that may.
        """
        name = self.format.container
        if name not in COUNTED or not self._like:
            return name
        samples = Fraction(self.sample_rate, self._like.sample_rate) * self._like.frames
        if samples * self.channels * WIDTHS[self.subtype] > WAV_LIMIT - BLOCK:
            if name == "AIFF":
                raise self._too_long()
            return "RF64"
        return "WAVEX" if name == "WAV" and self._mask() is not None else name

    def _too_long(self) -> AudioError:
        return AudioError(f"{self.path}: {self.path.suffix} holds at most 4 GiB: choose .flac, "
                          ".rf64 or .w64")

    def _mask(self) -> int | None:
        """The loudspeakers that a wav has to name."""
        if not self._like or self._like.channels != self.channels:
            return None
        mask = chunks.channel_mask(self._like.path)
        return mask if mask is not None or self.channels < 3 else self._about.mask

    def write(self, block: np.ndarray) -> None:
        """Append a block.

        Shape: float `[C, n]`. Raises ValueError for another number of channels and AudioError for
        non-finite samples, those of another type, a failing disk, or a wav or aiff beyond 4 GiB.
        """
        check_type(np.asarray(block))
        block = np.asarray(block, np.float32)
        if block.ndim != 2 or len(block) != self.channels:
            raise ValueError(f"block of shape {block.shape} for {self.channels} channels")
        check_finite(self.path, block, self._frames, self.sample_rate)
        self._frames += block.shape[1]
        self.peak = max(self.peak, float(np.abs(block).max(initial=0)))
        if self.peak > 1 and self._grows and self.subtype not in ("FLOAT", "DOUBLE"):
            self._grow()
        if self.subtype not in ("FLOAT", "DOUBLE"):
            self.clamped += int(np.count_nonzero(np.abs(block) > 1))
            block = block.clip(-1, 1)
        with encoding(self.path):
            self._sink.write(block)
            if self._sink.container in COUNTED and self._temporary.stat().st_size > WAV_LIMIT:
                raise self._too_long()

    def _grow(self) -> None:
        """Makes what is written so far a file of float samples, and goes on in that."""
        before = self._temporary.with_name(self._temporary.name + ".before")
        with encoding(self.path):
            self._sink.close()
            self._temporary.rename(before)
        try:
            self.subtype, self.grown = "FLOAT", True
            self._sink = self._open()
            for block in SoundFileSource(before, salvage=False).blocks(BLOCK):
                with encoding(self.path):
                    self._sink.write(block)
        finally:
            before.unlink()

    def _keep(self) -> None:
        """Gives the file what the recording that it is made of has beside the sound."""
        mask = self._mask()
        if self._sink.container in ("WAVEX", "RF64") and mask is not None:
            chunks.set_channel_mask(self._temporary, mask)
        self.lost = list(self._sink.lost)
        if not self._like or self._film:
            return
        form = chunks.layout(self._like.path)
        if form and form == chunks.layout(self._temporary):
            ratio = Fraction(self.sample_rate, self._like.sample_rate)
            self.lost += chunks.copy(self._like.path, self._temporary, ratio)
        else:
            self.lost += tags.copy(self._like.path, self._temporary, self._about,
                                   self.sample_rate == self._like.sample_rate)
            self.lost += sorted({chunks.NAMES.get(c.name, "")
                                 for c in chunks.foreign(self._like.path)} - {""})
            points = {"cue points", "cue sheet"} & {*self.lost}  # which libav takes for chapters,
            known = {"chapters"} if points else set()
            if self.format.by_libav:  # and writes as such
                known |= {"tags", *points}
            self.lost = [name for name in self.lost if name not in known]
