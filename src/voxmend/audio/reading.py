"""A recording in a file, whoever decodes it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .arrays import BLOCK, ArrayReader
from .containers import ContainerSource
from .errors import AudioError, UnreadableError, broken_off, check_finite, check_layout
from .sndfile import SoundFileSource


class Reader:
    """An audio file, or a film's sound track, read in blocks, as often as needed.

    libsndfile reads what it can, libav the rest; memory is constant.

    Args:
        path: the file.
        salvage: read what is there of a file that breaks off, that is damaged, or whose header
            says that it is empty.

    Attributes:
        path: the file.
        sample_rate: Hz.
        channels: their number.
        frames: samples per channel. Where the header only estimates it (mp3) or leaves it open
            (streamed flac), the file is decoded once to count them.
        subtype: the sample encoding as libsndfile calls it, "PCM_24" for instance, or "AAC".
        container: the file format as what reads it calls it, whatever the file's name.

    Raises AudioError for a file that is missing, empty, not audio, or outside the limits of
    sample rate and channels; `blocks` raises it for one that breaks half-way or holds NaN.
    """

    def __init__(self, path: str | Path, salvage: bool = False):
        self.path, self.salvage = Path(path), salvage
        if not self.path.exists():
            raise AudioError(f"{path}: no such file: check the name")
        if not self.path.is_file():
            raise AudioError(f"{path}: a folder, a pipe or a device: name an audio file")
        if self.path.stat().st_size == 0:
            raise AudioError(f"{path}: the file is empty (0 bytes): fetch or export it again")
        self._source = _source(self.path, salvage)
        self.sample_rate, self.channels = self._source.sample_rate, self._source.channels
        self.subtype, self.container = self._source.subtype, self._source.container
        check_layout(path, self.sample_rate, self.channels)
        self._expected = self._source.frames
        self.frames: int = self._expected or sum(block.shape[1] for block in self.blocks(BLOCK))
        self._expected = self.frames
        if self.frames == 0:
            raise AudioError(f"{path}: holds no samples: record or export it again")

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """The signal from its beginning in blocks of at most `size` samples.

        Shape: float32 `[C, n]`. Raises AudioError for damage and non-finite samples.
        """
        done = 0
        for block in self._source.blocks(size):
            check_finite(self.path, block, done, self.sample_rate)
            done += block.shape[1]
            yield block
        if self._expected is not None and done != self._expected:
            raise broken_off(self.path, f"{done} of {self._expected} samples")

    def span(self, start: int, stop: int) -> np.ndarray:
        """Samples from `start` to before `stop`; decoded from the beginning where none can seek.

        Shape: float32 `[C, stop - start]`. Raises as `blocks`.
        """
        found, done = [np.zeros((self.channels, 0), np.float32)], 0
        if isinstance(self._source, SoundFileSource) and self._source.seeks:
            done = start
            blocks = self._source.blocks(BLOCK, start)
        else:
            blocks = self._source.blocks(BLOCK)
        for block in blocks:
            check_finite(self.path, block, done, self.sample_rate)
            found.append(block[:, max(0, start - done):stop - done])
            done += block.shape[1]
            if done >= stop:
                break
        if done < stop:
            raise broken_off(self.path, f"{done} of {stop} samples")
        return np.concatenate(found, axis=1)


def _source(path: Path, salvage: bool) -> SoundFileSource | ContainerSource:
    """What reads a file: libsndfile, or else libav."""
    try:
        return SoundFileSource(path, salvage)
    except UnreadableError:
        return ContainerSource(path, salvage)


Recording = Reader | ArrayReader
