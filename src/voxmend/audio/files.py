"""Audio files in and out: read in blocks, checked on the way, and written atomically.

Everything that can go wrong with a file raises `AudioError`, whose message is one line: which
file, what is wrong with it, and what to do about it.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import soundfile
import soxr

LOWEST_RATE, HIGHEST_RATE = 4000, 384_000  # Hz; below there is no second formant
MOST_CHANNELS = 16
BLOCK = 1 << 16  # samples per channel, where the caller has no preference
PIECE = 1 << 14  # samples per call to the encoder: libvorbis overflows its stack on long ones
WAV_LIMIT = 2**32 - BLOCK  # bytes: a wav counts its length in 32 bits


class AudioError(ValueError):
    """A file that cannot be read or written; says which, why, and what to do in one line."""


class Format(NamedTuple):
    """What a file format can hold; the first of `subtypes` is its default."""

    container: str
    subtypes: tuple[str, ...]
    rates: Sequence[int] = range(LOWEST_RATE, HIGHEST_RATE + 1)  # Hz
    channels: int = MOST_CHANNELS


FORMATS = {
    ".wav": Format("WAV", ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    ".flac": Format("FLAC", ("PCM_16", "PCM_24"), channels=8),
    ".ogg": Format("OGG", ("VORBIS",), rates=range(LOWEST_RATE, 200_001)),
    ".opus": Format("OGG", ("OPUS",), rates=(8000, 12000, 16000, 24000, 48000)),
    ".mp3": Format("MP3", ("MPEG_LAYER_III",), channels=2,
                   rates=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
}


class _Stream(soundfile.SoundFile):
    """A sound file that only moves forwards.

    On a seekable file soundfile seeks after every call, even to where it already is, and each
    seek makes the mp3 decoder lose its bit reservoir: the signal would depend on the block size.
    """

    def seekable(self) -> bool:
        return False


def _check_layout(name: str | Path, sample_rate: int, channels: int) -> None:
    if sample_rate < LOWEST_RATE:
        raise AudioError(f"{name}: {sample_rate} Hz is no speech rate: resample it to 8000 Hz "
                         "or more")
    if sample_rate > HIGHEST_RATE:
        raise AudioError(f"{name}: {sample_rate} Hz is above {HIGHEST_RATE} Hz: resample it to "
                         "48000 Hz")
    if not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(f"{name}: {channels} channels, at most {MOST_CHANNELS} are handled: "
                         "split it into several files")


def _check_finite(name: str | Path, block: np.ndarray, start: int, sample_rate: int) -> None:
    finite = np.isfinite(block).all(0)
    if not finite.all():
        raise AudioError(f"{name}: NaN or infinity at {(start + finite.argmin()) / sample_rate:.2f}"
                         " s: export the audio again, or cut that part out")


def _check_whole(name: str | Path, log: str) -> None:
    """Raise AudioError for a wav with less data than its header says, by libsndfile's log.

    Headers of streams, written before the length was known, say 2 GB or more.
    """
    found = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if found and int(found[2]) + 1 < int(found[1]) < 2**31 - BLOCK:
        raise AudioError(f"{name}: breaks off after {found[2]} of {found[1]} bytes: fetch or "
                         "export it again")


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Raise decoder failures as `AudioError` (TypeError: soundfile's for a headerless .raw)."""
    try:
        yield
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        if path.suffix.lower() in (".m4a", ".aac", ".mp4"):
            reason = "AAC is not decoded here"
        raise AudioError(f"{path}: damaged, or not audio this program reads ({reason}): convert "
                         f"it first, ffmpeg -i '{path.name}' '{path.stem}-converted.wav'"
                         ) from error


@contextmanager
def _encoding(path: Path) -> Iterator[None]:
    """Raise encoder and file system failures as `AudioError`."""
    try:
        yield
    except (soundfile.SoundFileError, OSError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
        raise AudioError(f"{path}: cannot be written ({str(reason).rstrip('.')}): check that its "
                         "folder exists, is writable and has space left") from error


class Reader:
    """An audio file read in blocks, as often as needed, in constant memory.

    Attributes:
        path: the file.
        sample_rate: Hz.
        channels: their number.
        frames: samples per channel. Where the header only estimates it (mp3) or leaves it open
            (streamed flac), the file is decoded once to count them.
        subtype: libsndfile's name of the sample encoding, "PCM_24" for instance.

    Raises AudioError for a file that is missing, empty, not audio, or outside the limits of
    sample rate and channels; `blocks` raises it for one that breaks half-way or holds NaN.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.exists():
            raise AudioError(f"{path}: no such file: check the name")
        if not self.path.is_file():
            raise AudioError(f"{path}: a folder or a device: name an audio file")
        if self.path.stat().st_size == 0:
            raise AudioError(f"{path}: the file is empty (0 bytes): fetch or export it again")
        with self._open() as stream:
            self.sample_rate, self.channels = stream.samplerate, stream.channels
            self.frames, self.subtype = stream.frames, stream.subtype
            _check_whole(path, stream.extra_info)
        _check_layout(path, self.sample_rate, self.channels)
        self._counted = not self.subtype.startswith("MPEG") and self.frames < 2**62
        if not self._counted:
            self.frames = sum(block.shape[1] for block in self.blocks(BLOCK))
            self._counted = True
        if self.frames == 0:
            raise AudioError(f"{path}: holds no samples: record or export it again")

    def _open(self) -> _Stream:
        with _decoding(self.path):
            return _Stream(self.path)

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """The signal from its beginning in blocks of at most `size` samples.

        Shape: float32 `[C, n]`. Raises AudioError for damage and non-finite samples.
        """
        done = 0
        with self._open() as stream:
            while True:
                buffer = np.empty((size, self.channels), np.float32)
                with _decoding(self.path):
                    count = stream.buffer_read_into(buffer, "float32")
                if count == 0:
                    break
                _check_finite(self.path, buffer[:count].T, done, self.sample_rate)
                done += count
                yield np.ascontiguousarray(buffer[:count].T)
        if self._counted and done != self.frames:
            raise AudioError(f"{self.path}: breaks off after {done} of {self.frames} samples: "
                             "fetch or export it again")


class ArrayReader:
    """An array with the interface of `Reader`.

    Shape: float `[C, T]`, −1…1. Raises AudioError for what `Reader` refuses in a file.
    """

    def __init__(self, wave: np.ndarray, sample_rate: int):
        wave = np.asarray(wave)
        if wave.ndim != 2:
            raise AudioError(f"array of shape {wave.shape}: give it as [channels, samples]")
        if not np.issubdtype(wave.dtype, np.floating):
            raise AudioError(f"array of {wave.dtype}: convert it to float in −1…1")
        self.path, self.subtype = "array", "FLOAT"
        self.sample_rate, (self.channels, self.frames) = sample_rate, wave.shape
        _check_layout(self.path, sample_rate, self.channels)
        if self.frames == 0:
            raise AudioError(f"{self.path}: holds no samples: give it at least one")
        self._wave = wave

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """As `Reader.blocks`.

        Shape: float32 `[C, n]`. Raises AudioError for non-finite samples.
        """
        for start in range(0, self.frames, size):
            block = self._wave[:, start:start + size].astype(np.float32, order="C")
            _check_finite(self.path, block, start, self.sample_rate)
            yield block


Recording = Reader | ArrayReader


def check_free(target: Path, overwrite: bool) -> None:
    """Raises AudioError at once, before minutes of work, where an output cannot be put."""
    if target.is_dir():
        raise AudioError(f"{target}: a folder; name a file in it")
    if not target.parent.is_dir():
        raise AudioError(f"{target}: no such folder as {target.parent}; make it first")
    if target.exists() and not overwrite:
        raise AudioError(f"{target}: exists already; add --overwrite or use another name")


@contextmanager
def atomic_path(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it on success and removed on any exception.

    It keeps the suffix of `path`. Raises AudioError if `path` exists and may not be overwritten,
    is a folder, or lies where nothing can be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_path(f"{folder}/a.txt") as temporary:
    ...         _ = temporary.write_text("whole or not at all")
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.txt']
    """
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path}: is a folder: name a file in it")
    if path.exists() and not overwrite:
        raise AudioError(f"{path}: exists already: choose another name, or add --overwrite")
    temporary = path.with_name(f".voxmend-{secrets.token_hex(4)}{path.suffix}")
    with _encoding(path):
        temporary.touch(exist_ok=False)
    try:
        yield temporary
        with _encoding(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class Writer:
    """An audio file written in blocks; it appears under its name only when complete.

    Samples beyond ±1 are clamped, except in the float formats, and counted.

    Args:
        path: its suffix chooses the format: .wav, .flac, .ogg, .opus, .mp3.
        sample_rate: Hz.
        channels: their number.
        subtype: sample encoding, usually that of the input: kept where the format has it, the
            24-bit one in place of a finer one, and otherwise the format's default.
        overwrite: replace an existing file.

    Attributes:
        subtype: the sample encoding chosen.
        clamped: number of samples that were clamped so far.

    Raises AudioError for an unknown suffix or subtype, for what the format cannot hold, for a
    file that exists, and when writing fails.
    """

    def __init__(self, path: str | Path, sample_rate: int, channels: int,
                 subtype: str | None = None, overwrite: bool = False):
        self.path, self.sample_rate, self.channels = Path(path), sample_rate, channels
        self.overwrite, self.clamped = overwrite, 0
        self.format = self._choose_format()
        self.subtype = self._choose_subtype(subtype)

    def _choose_format(self) -> Format:
        suffix = self.path.suffix.lower()
        if suffix not in FORMATS:
            raise AudioError(f"{self.path}: a name that ends in {suffix or 'no format'} cannot be "
                             f"written: choose {', '.join(FORMATS)} (ffmpeg converts to others)")
        _check_layout(self.path, self.sample_rate, self.channels)
        rates, channels = FORMATS[suffix].rates, FORMATS[suffix].channels
        if self.sample_rate not in rates:
            near = min((r for r in rates if r >= self.sample_rate), default=max(rates))
            raise AudioError(f"{self.path}: {suffix} cannot hold {self.sample_rate} Hz: choose "
                             f".wav or .flac, or resample to {near} Hz")
        if self.channels > channels:
            raise AudioError(f"{self.path}: {suffix} holds at most {channels} channels, not "
                             f"{self.channels}: choose .wav")
        return FORMATS[suffix]

    def _choose_subtype(self, wanted: str | None) -> str:
        if wanted and wanted not in soundfile.available_subtypes():
            raise AudioError(f"{self.path}: unknown subtype '{wanted}': choose one of "
                             f"{', '.join(self.format.subtypes)}")
        if wanted in ("PCM_32", "FLOAT", "DOUBLE") and wanted not in self.format.subtypes:
            wanted = "PCM_24"
        return wanted if wanted in self.format.subtypes else self.format.subtypes[0]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._temporary = stack.enter_context(atomic_path(self.path, self.overwrite))
            with _encoding(self.path):
                self._stream = _Stream(self._temporary, "w", self.sample_rate, self.channels,
                                       self.subtype, format=self.format.container)
            stack.callback(self._close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def _close(self) -> None:
        with _encoding(self.path):
            self._stream.close()

    def write(self, block: np.ndarray) -> None:
        """Append a block.

        Shape: `[C, n]`. Raises ValueError for another number of channels and AudioError for
        non-finite samples, a failing disk, or a wav beyond 4 GiB.
        """
        block = np.asarray(block, np.float32)
        if block.ndim != 2 or len(block) != self.channels:
            raise ValueError(f"block of shape {block.shape} for {self.channels} channels")
        _check_finite(self.path, block, self._stream.frames, self.sample_rate)
        if self.subtype not in ("FLOAT", "DOUBLE"):
            self.clamped += int(np.count_nonzero(np.abs(block) > 1))
            block = block.clip(-1, 1)
        with _encoding(self.path):
            for start in range(0, block.shape[1], PIECE):
                self._stream.write(block[:, start:start + PIECE].T)
            if self.format.container == "WAV" and self._temporary.stat().st_size > WAV_LIMIT:
                raise AudioError(f"{self.path}: a wav holds at most 4 GiB: choose .flac")


def resample(wave: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """The signal at another sample rate (Hz), by soxr's HQ filter; its length is ⌊T·to/from + ½⌋.

    Shape: `[C, T]` to float32 `[C, ⌊T·to/from + ½⌋]`. Raises ValueError for rates below 1 Hz.
    """
    wave = np.ascontiguousarray(wave, np.float32)
    if from_rate == to_rate:
        return wave
    length = (2 * wave.shape[1] * to_rate + from_rate) // (2 * from_rate)
    out = soxr.resample(np.ascontiguousarray(wave.T), from_rate, to_rate, "HQ")[:length]
    return np.ascontiguousarray(np.pad(out, ((0, length - len(out)), (0, 0))).T)


def fit(wave: np.ndarray, length: int) -> np.ndarray:
    """A signal cut, or padded with zeros at its end, to a length.

    Shape: `[C, T]` to `[C, length]`.
    """
    return np.pad(wave[:, :length], ((0, 0), (0, max(0, length - wave.shape[1]))))


def load(path: str | Path, sample_rate: int) -> np.ndarray:
    """A whole file at `sample_rate` (Hz).

    Shape: float32 `[C, T]`, −1…1. Raises AudioError as `Reader` does.
    """
    reader = Reader(path)
    wave = np.concatenate(list(reader.blocks()), axis=1)
    return resample(wave, reader.sample_rate, sample_rate)


def save(path: str | Path, wave: np.ndarray, sample_rate: int, subtype: str | None = None,
         overwrite: bool = False) -> int:
    """Write a whole signal at `sample_rate` (Hz) and return the number of samples clamped to ±1.

    Shape: `[C, T]`. Raises AudioError as `Writer` does.
    """
    with Writer(path, sample_rate, len(wave), subtype, overwrite) as writer:
        writer.write(wave)
    return writer.clamped
