"""Speech from folders and manifests, decoded once and served as reproducible random crops."""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from .. import audio
from .cache import Decoded
from .decoding import from_int16
from .manifest import Recording, read_manifest


def audio_files(folder: Path) -> list[Path]:
    """Every audio file under a folder, sorted; raises AudioError when there is none.

    Hidden ones are none: macOS keeps what it knows of `a.wav` in `._a.wav`.
    """
    if not Path(folder).is_dir():
        raise audio.AudioError(f"{folder}: no such folder")
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in audio.SUFFIXES
                   and not any(part.startswith(".") for part in p.relative_to(folder).parts))
    if not files:
        raise audio.AudioError(f"{folder}: no audio files ({', '.join(audio.SUFFIXES)}) there")
    return files


def speaker(path: Path) -> str:
    """Who speaks, by a file's name or folder.

    From a name as in LibriSpeech (SPEAKER-CHAPTER-UTTERANCE) or LJ Speech (one speaker,
    LJCHAPTER-UTTERANCE), else from the folder, else from the name's beginning.

    >>> speaker(Path("dev/84/121123/84-121123-0001.flac")), speaker(Path("LJ001-0001.wav"))
    ('84', 'LJ')
    >>> speaker(Path("p225/p225_001.wav")), speaker(Path("p225_001_mic1.flac"))
    ('p225', 'p225')
    """
    named = re.match(r"\d+(?=-\d+-\d+$)|LJ(?=\d+-\d+$)", path.stem)
    return named[0] if named else path.parent.name or re.split("[-_]", path.stem)[0]


def sexes(folder: Path) -> dict[str, str]:
    """F or M of the speakers of whom `manifest.csv` beside a folder tells it.

    It does so in its columns `speaker` and `sex`.
    """
    listing = Path(folder).parent / "manifest.csv"
    if not listing.is_file():
        return {}
    with listing.open(newline="") as file:
        return {row.get("speaker", ""): row.get("sex", "") for row in csv.DictReader(file)}


def recordings(source: Path) -> list[Recording]:
    """Those of a folder, sorted, or of a manifest; raises AudioError."""
    if source.is_file():
        return [some if some.speaker else replace(some, speaker=speaker(some.path))
                for some in read_manifest(source)]
    known = sexes(source)
    found = [Recording(file, speaker(file.relative_to(source))) for file in audio_files(source)]
    return [replace(some, sex=known.get(some.speaker, "")) for some in found]


class Corpus:
    """Speech of a folder or of a manifest, mono, at one sample rate.

    It is decoded once into `cache` (`cache.Decoded`). `corpus[i]` is recording i, float32 in −1…1;
    `corpus.rms[i]` its RMS and `corpus.speakers[i]` its `speaker`; `corpus.noise`, if any, a corpus
    of noise to mix it with. All follow each other: recording i has the places
    `starts[i]`…`ends[i]`.
    """

    noise: "Corpus"

    def __init__(self, folder: Path, cache: Path, sample_rate: int = 16000):
        found = recordings(Path(folder))
        self.folder, self.sample_rate = folder, sample_rate
        self.speakers = [some.speaker for some in found]
        self.sexes = {some.speaker: some.sex for some in found if some.sex}
        self._decoded = Decoded(found, Path(cache), sample_rate)
        self.ends, self.rms = self._decoded.lengths.cumsum(), self._decoded.rms
        self.starts = self.ends - self._decoded.lengths
        self.hours = int(self.ends[-1]) / sample_rate / 3600
        self.vary()

    def vary(self, balance: float = 1.0, speed_range: tuple[float, float] = (1.0, 1.0)) -> None:
        """Sets of whom crops are drawn and how fast they are heard.

        Args:
            balance: speakers are drawn in proportion to this power of what there is of them; 1
                takes every second of the corpus alike, 0 every speaker.
            speed_range: of speeds uniform in their logarithm; the pitch moves with them, so that
                a speaker sounds like another one. (Ko et al. 2015, "Audio augmentation for speech
                recognition")

        Raises ValueError for speeds that are none.
        """
        low, high = speed_range
        if not 0 < low <= high:
            raise ValueError(f"speed_range {speed_range}: give two speeds above 0, the lower first")
        self.balance, self.speed_range = balance, speed_range
        lengths = (self.ends - self.starts).astype(float)
        _, owner = np.unique(self.speakers, return_inverse=True)
        shares = (lengths * np.bincount(owner, lengths)[owner] ** (balance - 1)).cumsum()
        self._shares = shares / shares[-1] * self.ends[-1]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> np.ndarray:
        return from_int16(self._decoded[i])

    def pick(self, generator: np.random.Generator) -> int:
        """A random file, as `vary` has set; those of one speaker in proportion to their length."""
        return self._at(int(generator.integers(0, self.ends[-1])))

    def _at(self, place: int) -> int:
        return int(np.searchsorted(self._shares, place + 0.5, side="right"))

    def place(self, file: int, length: int, generator: np.random.Generator) -> int:
        """Where a random crop of a file begins; 0 in one that is shorter."""
        size = int(self.ends[file] - self.starts[file])
        return int(generator.integers(0, max(1, size - length + 1)))

    def piece(self, file: int, start: int, length: int) -> np.ndarray:
        """Samples of a file, as many as there are. Shape: `[≤ length]`, float32 in −1…1."""
        return from_int16(self._decoded[file][start:start + length])

    def cut(self, file: int, length: int, generator: np.random.Generator,
            speed: float | None = None) -> np.ndarray:
        """A random crop of a file, or all of a shorter one, at a speed, by default a random one.

        Shape: `[≤ length]`, float32 in −1…1.
        """
        if speed is None:
            low, high = self.speed_range
            speed = low if low == high else low * (high / low) ** generator.random()
        rate = round(speed * self.sample_rate)
        heard = math.ceil(length * rate / self.sample_rate)
        crop = self.piece(file, self.place(file, heard, generator), heard)
        return audio.resample(crop[None], rate, self.sample_rate)[0, :length]

    def crops(self, batch: int, length: int, rms: float, gain_db: float,
              generator: np.random.Generator) -> Tensor:
        """Random crops, each of a file as in `pick` that is brought to RMS `rms`.

        A further random gain of standard deviation `gain_db` and a random polarity are applied.
        Files shorter than `length` are padded with zeros.

        Shape: `[batch, 1, length]`, float32.
        """
        out = np.zeros((batch, 1, length), np.float32)
        for row, place in zip(out, generator.integers(0, self.ends[-1], batch), strict=True):
            file = self._at(place)
            crop = self.cut(file, length, generator)
            gain = rms / self.rms[file] * 10 ** (generator.normal() * gain_db / 20)
            row[0, :len(crop)] = crop * (gain * generator.choice((-1, 1)))
        return torch.from_numpy(out)


class Mixtures:
    """Ready mixtures by their sources, each a folder; files of the same name belong together.

    Args:
        folder: where these folders are.
        names: of the folders. Where the last is "noisy", it stands for the noise in it, which is
            what remains without the other.
        cache, sample_rate: as of `Corpus`.

    Raises AudioError for files that have no counterpart or one of another length.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], cache: Path, sample_rate: int = 16000):
        self.names = names
        listings = [[f.name for f in audio_files(folder / name)] for name in names]
        self.parts = [Corpus(folder / n, cache, sample_rate) for n in names]
        for name, listing, part in zip(names, listings, self.parts, strict=True):
            if listing != listings[0] or not np.array_equal(part.ends, self.parts[0].ends):
                raise audio.AudioError(f"{folder / name}: its files are not called like, or not as "
                                       f"long as, those of {names[0]}")
        self.hours = self.parts[0].hours

    def crops(self, batch: int, length: int, generator: np.random.Generator) -> Tensor:
        """Random crops of the sources, as they are, each file drawn in proportion to its length.

        Files shorter than `length` are padded with zeros.

        Shape: `[batch, K, length]`, float32.
        """
        out, first = np.zeros((batch, len(self.parts), length), np.float32), self.parts[0]
        for row in out:
            file = first.pick(generator)
            start = first.place(file, length, generator)
            crop = np.stack([part.piece(file, start, length) for part in self.parts])
            row[:, :crop.shape[1]] = crop
        if self.names[-1] == "noisy":
            out[:, -1] -= out[:, :-1].sum(1)
        return torch.from_numpy(out)


def draw_noise(corpus: Corpus, length: int, generator: np.random.Generator) -> np.ndarray:
    """A random crop of unit RMS, from recordings drawn in proportion to their length.

    A shorter recording is repeated; crops below −80 dB of full scale are drawn again.

    Shape: `[length]`, float64. Raises ValueError if a hundred crops in a row are silent.
    """
    for _ in range(100):
        crop = corpus.cut(corpus.pick(generator), length, generator).astype(np.float64)
        level = np.sqrt(np.mean(crop**2))
        if level > 1e-4:
            return np.resize(crop / level, length)
    raise ValueError(f"{corpus.folder}: nothing but silence there; give a folder of noise")


def draw_noises(folder: Path, lengths: Sequence[int], sample_rate: int = 16000) -> list[np.ndarray]:
    """`draw_noise` of a folder for every length: the same whenever it is asked."""
    with TemporaryDirectory() as cache:
        corpus = Corpus(folder, Path(cache), sample_rate)
        return [draw_noise(corpus, length, np.random.default_rng(number))
                for number, length in enumerate(lengths)]
