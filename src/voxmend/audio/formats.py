"""What the file formats can hold, by the suffix of a name."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, AudioError, check_layout

PCM = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200,
             96000)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
RATES = {"OPUS": OPUS_RATES}  # of an encoding, where a format holds more
LOSSY = ("AAC", "MPEG_LAYER_III", "VORBIS", "OPUS")
FLAC = ("FLAC_16", "FLAC_24")  # in other containers than its own
MOST_LOSSLESS = 8  # channels of FLAC and ALAC


class Format(NamedTuple):
    """What a file format can hold; the first of `subtypes` is its default."""

    container: str
    subtypes: tuple[str, ...]
    rates: Sequence[int] = range(LOWEST_RATE, HIGHEST_RATE + 1)  # Hz
    channels: int = MOST_CHANNELS
    pictures: bool = False  # it can hold video; libav writes it, as it does those of AAC

    @property
    def mov(self) -> bool:
        """Whether it is of the family of mp4."""
        return self.container in ("ipod", "mp4", "mov")

    @property
    def by_libav(self) -> bool:
        """Whether libav writes it, and not libsndfile."""
        return self.pictures or "AAC" in self.subtypes


OGG = Format("OGG", ("VORBIS", "OPUS", *FLAC), rates=range(LOWEST_RATE, 200_001))
AIFF = Format("AIFF", PCM)
MATROSKA = ("AAC", "OPUS", *FLAC, "PCM_16", "PCM_24")
FORMATS = {
    ".wav": Format("WAV", PCM),
    ".flac": Format("FLAC", ("PCM_16", "PCM_24"), channels=MOST_LOSSLESS),
    ".ogg": OGG,
    ".oga": OGG,
    ".opus": Format("OGG", ("OPUS",), rates=OPUS_RATES),
    ".mp3": Format("MP3", ("MPEG_LAYER_III",), channels=2,
                   rates=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
    ".m4a": Format("ipod", ("AAC", "ALAC_16", "ALAC_24"), AAC_RATES, 6),
    ".aiff": AIFF,
    ".aif": AIFF,
    ".caf": Format("CAF", (*PCM, "ALAC_16", "ALAC_24", "ALAC_32")),  # 20 bits come out as noise
    ".w64": Format("W64", PCM),
    ".rf64": Format("RF64", PCM),
    ".au": Format("AU", PCM),
    ".mp4": Format("mp4", ("AAC", "ALAC_16", "ALAC_24"), AAC_RATES, 6, pictures=True),
    ".mov": Format("mov", ("AAC", "ALAC_16", "ALAC_24", "PCM_16", "PCM_24"), AAC_RATES, 6, True),
    ".mkv": Format("matroska", MATROSKA, AAC_RATES, 6, True),
    ".mka": Format("matroska", MATROSKA, AAC_RATES, 6),
    ".webm": Format("webm", ("OPUS",), OPUS_RATES, 6, True),
}

READ_ONLY = {  # and what comes next to it
    ".aac": ".m4a", ".m4b": ".m4a", ".amr": ".m4a", ".awb": ".m4a", ".wma": ".m4a", ".ac3": ".m4a",
    ".mp2": ".mp3", ".spx": ".ogg", ".wv": ".wav", ".ape": ".wav", ".tta": ".wav", ".aifc": ".aiff",
    ".snd": ".au", ".3gp": ".mp4", ".3g2": ".mp4", ".m4v": ".mp4", ".flv": ".mkv", ".avi": ".mkv",
    ".wmv": ".mkv", ".asf": ".mkv", ".mts": ".mkv", ".mpg": ".mkv"}
SUFFIXES = (*FORMATS, *READ_ONLY)


def is_called_as(path: Path, container: str) -> bool:
    """Whether a name's suffix is that of a container, as libsndfile or libav calls it."""
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        return False
    others = {"WAV": ("WAVEX", "RF64"), "OGG": ("ogg",), "matroska": ("matroska,webm",),
              "webm": ("matroska,webm",)}
    known = (form.container, *others.get(form.container, ()))
    return container in known or (form.mov and container.startswith("mov,"))


def writable(path: Path) -> Path:
    """A name that can be written: `a.wma` becomes `a.wma.m4a`, `a.wav` stays."""
    return path.with_name(path.name + READ_ONLY.get(path.suffix.lower(), ""))


def choose_format(path: Path, sample_rate: int, channels: int) -> Format:
    """The format that a name asks for; raises AudioError for what it cannot hold."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise AudioError(f"{path}: a name that ends in {suffix or 'no format'} cannot be "
                         f"written: choose {', '.join(FORMATS)} (ffmpeg converts to others)")
    check_layout(path, sample_rate, channels)
    form = FORMATS[suffix]
    if sample_rate not in form.rates:
        near = min((r for r in form.rates if r >= sample_rate), default=max(form.rates))
        raise AudioError(f"{path}: {suffix} cannot hold {sample_rate} Hz: choose .wav or .flac, or "
                         f"resample to {near} Hz")
    if channels > form.channels:
        raise AudioError(f"{path}: {suffix} holds at most {form.channels} channels, not "
                         f"{channels}: choose .wav")
    return form


def choose_subtype(form: Format, wanted: str | None, sample_rate: int, channels: int) -> str:
    """The sample encoding: the one wanted where the format has it at that rate.

    In place of a lossless one it is PCM of as many bits, or else 24 bits.
    """
    codec, _, bits = (wanted or "").partition("_")
    lossless = codec in ("ALAC", "FLAC") or wanted in PCM
    near = [f"PCM_{bits}", f"{codec}_24", "PCM_24"] if lossless else []
    known = [name for name in form.subtypes if sample_rate in RATES.get(name, form.rates)
             and (channels <= MOST_LOSSLESS or not name.startswith(("ALAC", "FLAC")))]
    return next((name for name in (wanted, *near) if name in known), form.subtypes[0])
