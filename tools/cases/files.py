"""Rows of files: containers, broken ones, tags (C10 to C12 of the list)."""

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import mutagen
import mutagen.flac
import mutagen.id3
import mutagen.mp4
import numpy as np
import soundfile

from . import containers
from .bench import Bench, Check, Wrong, compare, si_sdr
from .containers import CONTAINERS, Container
from .damage import RATE, clicks, lag, resampled

WRITTEN = ("wav, 16 bits", "aiff", "caf", "w64", "rf64", "au", "flac", "ogg, Vorbis",
           "oga, Vorbis", "opus", "mp3", "m4a, AAC", "mka, FLAC", "aac (ADTS)", "wma", "amr")
TAGS = {"title": "A title – ünï", "artist": "Somebody"}
ID3 = {"title": mutagen.id3.TIT2, "artist": mutagen.id3.TPE1}
MP4 = {"title": "\xa9nam", "artist": "\xa9ART"}
COVER = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 2  # begins as a JPEG does


def reading(kind: Container, bench: Bench) -> None:
    """A clean recording passes through `mend` as it is."""
    x = np.stack([0.6 * bench.clips[0], 0.4 * bench.clips[0]])[:kind.channels]
    source, target = bench.folder / f"in{kind.suffix}", bench.folder / "out.wav"
    written = resampled(x.T, RATE, kind.rate).T
    containers.write(source, written, kind)
    like, rate = containers.read(source, kind.subtype)
    bench.works("mend", source, target)
    got, at = soundfile.read(target, always_2d=True)
    if at not in (rate, kind.rate):  # Opus is decoded at 48 kHz, and tells the rate it came from
        raise Wrong(f"{at} Hz, not {rate}")
    if (at, len(got)) == (kind.rate, written.shape[1]):  # without the codec's own padding,
        ours = at != rate or lag(got[:, 0], like[0])  # or as FFmpeg has it, as late as it is
        rate, like = at, written if ours else like[:, :len(got)]
    compare(bench, resampled(got, at, rate).T, like, slack=rate // at, least=10)


def writing(kind: Container, bench: Bench) -> None:
    """What `enhance` makes is written, in place and in full."""
    noisy = bench.noisy(kind.channels)
    x = np.stack([0.6 * bench.clips[0]] * kind.channels)
    rates = (resampled(each.T, RATE, kind.rate).T for each in (noisy, x))
    noisy, x = rates
    source = bench.file("in.wav", noisy, rate=kind.rate)
    target = bench.folder / f"out{kind.suffix}"
    bench.works("enhance", source, target)
    got, rate = containers.read(target, kind.subtype)
    bench.before = si_sdr(noisy[0], x[0])
    compare(bench, got, resampled(x.T, kind.rate, rate).T, slack=0 if kind.subtype else 2048,
            least=bench.before)


def video(kind: Container, bench: Bench) -> None:
    """A video's sound is mended and its picture copied as it is."""
    noisy = bench.noisy(2)
    source, target = (bench.folder / f"{name}{kind.suffix}" for name in ("in", "out"))
    containers.write(source, noisy, kind)
    bench.works("enhance", source, target)
    if containers.pictures(source) != containers.pictures(target):
        raise Wrong("other pictures")
    sound, rate = containers.read(source)
    clean = np.stack([0.6 * resampled(bench.clips[0], RATE, rate)] * 2)
    clean = np.pad(clean, ((0, 0), (0, max(0, sound.shape[1] - clean.shape[1]))))
    bench.before = si_sdr(sound[0], clean[0, :sound.shape[1]])
    compare(bench, containers.read(target)[0], clean[:, :sound.shape[1]], slack=4096,
            least=bench.before)


def unwritable(name: str, rate: int, channels: int, bench: Bench) -> None:
    """What cannot be written is refused before the work."""
    noisy = resampled(bench.noisy(channels).T, RATE, rate).T
    target = bench.folder / name
    bench.refuses("enhance", bench.file("in.wav", noisy, rate=rate), target, out=target)


def joined(kind: Container, verb: str, bench: Bench) -> None:
    """Two files in one: both are mended."""
    source, target = bench.folder / f"in{kind.suffix}", bench.folder / "out.wav"
    parts, total = [], 0
    for k in range(2):
        containers.write(source, bench.noisy(1, clip=k), kind)
        parts.append(source.read_bytes())
        wave, rate = containers.read(source, kind.subtype)
        total += wave.shape[1]
    source.write_bytes(b"".join(parts))
    bench.works(verb, source, target)
    got = soundfile.info(target)
    if abs(got.frames / got.samplerate - total / rate) > 0.1:
        raise Wrong(f"{got.frames / got.samplerate:.1f} s of {total / rate:.1f}, exit code 0")


def broken(kind: Container, change: str, salvage: bool, bench: Bench) -> None:
    """A file that breaks off, or says it is empty: an error by default, read when told to."""
    source, target = bench.folder / f"in{kind.suffix}", bench.folder / "out.wav"
    containers.write(source, bench.noisy(1), kind)
    data = source.read_bytes()
    wave = containers.read(source, kind.subtype)[0]
    if change == "breaks off at 60 %":
        data = data[:6 * len(data) // 10]
    else:
        at = data.index(b"data") + 4
        size = 0 if change == "says 0 bytes of data" else 0xFFFFFFFF
        data = data[:4] + struct.pack("<I", size) + data[8:at] + struct.pack("<I", size) + data[
            at + 4:]
    source.write_bytes(data)
    if not salvage:
        bench.refuses("enhance", source, target, hint="--salvage", out=target)
        return
    bench.works("enhance", source, target, *(["--salvage"] if "4 GB" not in change else []))
    got = soundfile.info(target).frames / wave.shape[1]
    if not (0.5 < got < 0.65 if "60 %" in change else got > 0.99):
        raise Wrong(f"{got:.0%} of the samples")


def tagged(path: Path) -> None:
    """Writes title, artist and a cover as the format has them."""
    file = mutagen.File(path)
    if isinstance(file, mutagen.flac.FLAC):
        picture = mutagen.flac.Picture()
        picture.type, picture.mime, picture.data = 3, "image/jpeg", COVER
        file.add_picture(picture)
        file.update(TAGS)
    elif isinstance(file, mutagen.mp4.MP4):
        file.update({MP4[name]: text for name, text in TAGS.items()})
        file["covr"] = [mutagen.mp4.MP4Cover(COVER)]
    elif hasattr(file, "ID3") or path.suffix in (".wav", ".aiff"):
        file.add_tags()
        for name, frame in ID3.items():
            file.tags.add(frame(3, [TAGS[name]]))
        file.tags.add(mutagen.id3.APIC(3, "image/jpeg", 3, "", COVER))
    else:
        file.update(TAGS)
    file.save()


def tags(path: Path) -> dict[str, str]:
    """Title, artist, and the cover's length, of a file that `tagged` may have written."""
    file = mutagen.File(path)
    found = {}
    for name in TAGS:
        keys = (name, MP4[name], ID3[name].__name__)
        values = [str(np.ravel(file.tags[key])[0] if not hasattr(file.tags[key], "text")
                      else file.tags[key].text[0])
                  for key in keys if file.tags is not None and key in file.tags.keys()]  # noqa: SIM118
        found[name] = values[0] if values else ""
    covers = [picture.data for picture in getattr(file, "pictures", [])]
    if file.tags is not None and hasattr(file.tags, "getall"):
        covers = [frame.data for frame in file.tags.getall("APIC")]
    elif file.tags is not None and isinstance(file, mutagen.mp4.MP4):
        covers = [bytes(cover) for cover in file.tags.get("covr", [])]
    return {**found, "cover": str(len(covers[0])) if covers else ""}


def keeping_tags(kind: Container, bench: Bench) -> None:
    """Title, artist and cover are there after mending."""
    source, target = (bench.folder / f"{name}{kind.suffix}" for name in ("in", "out"))
    containers.write(source, bench.noisy(1), kind)
    tagged(source)
    bench.works("enhance", source, target)
    had, has = tags(source), tags(target)
    if lost := [name for name in had if had[name] != has[name]]:
        raise Wrong(f"{' and '.join(lost)} lost")


def keeping_chunk(name: bytes, body: bytes, bench: Bench) -> None:
    """A chunk of a wav is there after mending."""
    source, target = bench.file("in.wav"), bench.folder / "out.wav"
    data = source.read_bytes() + name + struct.pack("<I", len(body)) + body
    source.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    bench.works("enhance", source, target)
    if name + struct.pack("<I", len(body)) + body not in target.read_bytes():
        raise Wrong(f"{name.decode().strip()} lost")


def keeping_mask(bench: Bench) -> None:
    """The speakers that a wav's channels belong to are the same after mending."""
    source, target = bench.folder / "in.wav", bench.folder / "out.wav"
    containers.write(source, bench.noisy(6), CONTAINERS["wav, extensible"])
    data = bytearray(source.read_bytes())
    at = data.index(b"fmt ") + 28
    data[at:at + 4] = struct.pack("<I", 0x3F)
    source.write_bytes(data)
    bench.works("enhance", source, target)
    written = target.read_bytes()
    at = written.index(b"fmt ") + 28
    if written[at - 20:at - 18] != b"\xfe\xff" or written[at:at + 4] != struct.pack("<I", 0x3F):
        raise Wrong("channel mask lost")


def keeping_subtype(subtype: str, suffix: str, verb: str, bench: Bench) -> None:
    """Bits of a sample are as before; float only where a peak asks for it."""
    x = 0.6 * bench.clips[0]
    wave = np.clip(x, -0.2, 0.2) if verb == "declip" else bench.noisy(1)[0]
    if verb == "mend":  # a click: most samples stay
        wave = x + 0.5 * clicks(len(x), 20)
    source = bench.file(f"in{suffix}", wave[None], subtype)
    target = bench.folder / f"out{suffix}"
    bench.works(verb, source, target)
    if (got := soundfile.info(target).subtype) != subtype:
        raise Wrong(f"{got}, not {subtype}")


def keeping_bit_rate(kilobits: int, bench: Bench) -> None:
    """An mp3 keeps its bit rate within a quarter."""
    kind = CONTAINERS["mp3"]._replace(subtype="", format="mp3", codec="libmp3lame",
                                      sample="s16p", rate=44100, bit_rate=1000 * kilobits)
    source, target = bench.folder / "in.mp3", bench.folder / "out.mp3"
    containers.write(source, resampled(bench.noisy(2).T, RATE, 44100).T, kind)
    bench.works("enhance", source, target)
    got = mutagen.File(target).info.bitrate / 1000
    if abs(got / kilobits - 1) > 0.25:
        raise Wrong(f"{got:.0f} kbit/s, not {kilobits}")


def headroom(suffix: str, bench: Bench) -> None:
    """Peaks beyond full scale: the warning says how to keep them."""
    x = bench.clips[1] * 2
    source = bench.file("in.wav", np.clip(x, -0.9, 0.9)[None])
    done = bench.works("declip", source, bench.folder / f"out{suffix}")
    if done.errors and "--headroom" not in done.errors[0]:
        raise Wrong("a warning without advice")


def checks() -> Iterator[Check]:
    """C10 to C12."""
    for name, kind in CONTAINERS.items():
        yield Check("C10", f"read {name}: length, lag 0, the same sound", "mend",
                    partial(reading, kind))
    for name in WRITTEN:
        yield Check("C10", f"write {name}: length, lag 0", "enhance",
                    partial(writing, CONTAINERS[name]))
    for name, kind in CONTAINERS.items():
        if kind.video:
            yield Check("C10", f"{name}, back into it: pictures to the bit, length, lag 0",
                        "enhance", partial(video, kind))
    for name, rate, channels in (("out.xyz", RATE, 1), ("out", RATE, 1), ("out.opus", 44100, 1),
                                 ("out.mp3", RATE, 5)):
        yield Check("C10", f"{rate} Hz, {channels} channels to {name}: refused before the work",
                    "enhance", partial(unwritable, name, rate, channels))
    for name in ("ogg, Vorbis", "opus", "ogg, FLAC", "mp3", "flac"):
        yield Check("C11", f"two joined files, {name}: both are there", "enhance",
                    partial(joined, CONTAINERS[name], "enhance"))
    for name, change in (("wav, 16 bits", "says 0 bytes of data"),
                         ("wav, 16 bits", "breaks off at 60 %"), ("flac", "breaks off at 60 %"),
                         ("aiff", "breaks off at 60 %"), ("w64", "breaks off at 60 %"),
                         ("ogg, Vorbis", "breaks off at 60 %"), ("mp3", "breaks off at 60 %"),
                         ("mp4, AAC and a picture", "breaks off at 60 %"),
                         ("mkv, Opus and a picture", "breaks off at 60 %")):
        kind = CONTAINERS[name]
        if name not in ("ogg, Vorbis", "mp3", "mkv, Opus and a picture"):  # no length inside
            yield Check("C11", f"{name}, {change}: refused, with a hint", "enhance",
                        partial(broken, kind, change, False))
        if not name.startswith("mp4"):  # its index stood at the end
            yield Check("C11", f"{name}, {change}: --salvage reads the rest", "enhance --salvage",
                        partial(broken, kind, change, True))
    yield Check("C11", "wav of a stream, says 4 GB: read to its end", "enhance",
                partial(broken, CONTAINERS["wav, 16 bits"], "says 4 GB", True))
    for name in ("wav, 16 bits", "aiff", "flac", "mp3", "ogg, Vorbis", "opus", "m4a, AAC"):
        yield Check("C12", f"title, artist, cover of {name} kept", "enhance",
                    partial(keeping_tags, CONTAINERS[name]))
    cue = struct.pack("<III4sIII", 1, 1, RATE, b"data", 0, 0, RATE)
    info = b"INFOINAM" + struct.pack("<I", 8) + b"A title\0"
    for name, body in ((b"cue ", cue), (b"bext", b"voxmend".ljust(602, b"\0")), (b"LIST", info)):
        yield Check("C12", f"wav with a chunk {name.decode().strip()}: kept", "enhance",
                    partial(keeping_chunk, name, body))
    yield Check("C12", "wav of 5.1 channels: their mask kept", "enhance", keeping_mask)
    for subtype, suffix, verb in (("PCM_24", ".wav", "enhance"), ("DOUBLE", ".wav", "enhance"),
                                  ("PCM_32", ".wav", "enhance"), ("PCM_24", ".flac", "enhance"),
                                  ("PCM_16", ".wav", "declip"), ("PCM_24", ".wav", "declip"),
                                  ("PCM_24", ".aiff", "enhance"), ("DOUBLE", ".w64", "enhance")):
        yield Check("C12", f"{subtype} {suffix}, no peak beyond 1: kept", verb,
                    partial(keeping_subtype, subtype, suffix, verb))
    for kilobits in (64, 128, 320):
        yield Check("C12", f"mp3 of {kilobits} kbit/s: about as much after", "enhance",
                    partial(keeping_bit_rate, kilobits))
    for suffix in (".flac", ".mp3"):
        yield Check("C12", f"peaks beyond 1 into {suffix}: the warning names --headroom",
                    "declip", partial(headroom, suffix))
