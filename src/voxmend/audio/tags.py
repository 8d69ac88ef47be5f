"""Title, artist, cover and other tags of a file, given to another of whatever format."""

import base64
from pathlib import Path
from typing import Any, NamedTuple

import mutagen
from mutagen import aiff, flac, id3, mp3, mp4, oggflac, oggopus, oggvorbis, wave

from .containers import Description

KINDS = (wave.WAVE, aiff.AIFF, mp3.MP3, flac.FLAC, oggvorbis.OggVorbis, oggopus.OggOpus,
         oggflac.OggFLAC, mp4.MP4)
PICTURE = "metadata_block_picture"  # of Vorbis comments: a FLAC picture in base64
GAPLESS = "itunsmpb"  # how many samples the old encoder put before and behind the sound
FRONT = 3  # a picture's type: the front cover


class Name(NamedTuple):
    """How the kinds of tags call one thing."""

    id3: str
    mp4: str
    vorbis: str


NAMES = {  # by libav's
    "title": Name("TIT2", "\xa9nam", "title"), "artist": Name("TPE1", "\xa9ART", "artist"),
    "album": Name("TALB", "\xa9alb", "album"), "date": Name("TDRC", "\xa9day", "date"),
    "album_artist": Name("TPE2", "aART", "albumartist"), "genre": Name("TCON", "\xa9gen", "genre"),
    "composer": Name("TCOM", "\xa9wrt", "composer"), "copyright": Name("TCOP", "cprt", "copyright"),
    "track": Name("TRCK", "trkn", "tracknumber"), "disc": Name("TPOS", "disk", "discnumber"),
    "comment": Name("COMM", "\xa9cmt", "comment"), "lyrics": Name("USLT", "\xa9lyr", "lyrics"),
}


def _family(tags: Any) -> str:
    return ("id3" if isinstance(tags, id3.ID3Tags) else
            "mp4" if isinstance(tags, mp4.MP4Tags) else "vorbis")


def _native(path: Path) -> Any:
    """A file as mutagen knows it, or None."""
    try:
        return mutagen.File(path, KINDS)
    except (mutagen.MutagenError, OSError, ValueError):
        return None


def copy(source: Path, target: Path, about: Description, same_rate: bool) -> list[str]:
    """Gives a file the tags of another; returns what its format cannot hold.

    Tags of one kind, as in mp3 and wav (ID3) or flac and ogg (Vorbis comments), are copied as they
    are; of others those that libav reads, by their usual names, and the cover.

    Args:
        about: the source as libav describes it.
        same_rate: a cue sheet, which counts samples, holds for the target, too.
    """
    old, new = _native(source), _native(target)
    sheet = getattr(old, "cuesheet", None)
    left = ["cue sheet"] if sheet else []
    if new is None:  # an RF64, too, may be called .wav
        return [name for name, value in (("tags", about.tags), ("cover", about.cover))
                if value] + left
    if new.tags is None:
        new.add_tags()
    lost = []
    try:
        if old is not None and old.tags is not None and _family(old.tags) == _family(new.tags):
            _copy_alike(old, new)
        else:
            _translate(about, new)
            chapters = about.chapters and not sheet and _family(new.tags) != "mp4"
            lost = ["chapters"] if chapters else []
    except (mutagen.MutagenError, ValueError, TypeError, KeyError):
        return ["tags (they are damaged)", *left]
    if sheet and same_rate and isinstance(new, flac.FLAC):
        new.cuesheet, left = sheet, []
        new.metadata_blocks.append(sheet)
    try:
        new.save()
    except mutagen.MutagenError as error:  # as it calls failures of the disk
        raise OSError(str(error)) from error
    return lost + left


def _copy_alike(old: Any, new: Any) -> None:
    for key in old.tags.keys():  # noqa: SIM118 - of Vorbis comments a list
        value = old.tags[key]
        if GAPLESS in key.lower() or key.lower() == "encoder":
            continue
        if _family(new.tags) == "id3":
            new.tags.add(value)
        else:
            new.tags[key] = value
    for picture in getattr(old, "pictures", []):
        _add_picture(new, picture)
    tags: Any = new.tags
    if isinstance(new, flac.FLAC) and PICTURE in tags:  # it has pictures beside its comments
        for text in tags[PICTURE]:
            new.add_picture(flac.Picture(base64.b64decode(text)))
        del tags[PICTURE]


def _add_picture(new: Any, picture: flac.Picture) -> None:
    if isinstance(new, flac.FLAC):
        new.add_picture(picture)
    else:
        others = new.tags.get(PICTURE, [])
        new.tags[PICTURE] = [*others, base64.b64encode(picture.write()).decode("ascii")]


def _translate(about: Description, new: Any) -> None:
    family = _family(new.tags)
    for key, value in about.tags.items():
        if key != GAPLESS:
            {"id3": _set_id3, "mp4": _set_mp4, "vorbis": _set_vorbis}[family](new.tags, key, value)
    if not about.cover:
        return
    png = about.cover.startswith(b"\x89PNG")
    mime = "image/png" if png else "image/jpeg"
    if family == "id3":
        new.tags.add(id3.APIC(encoding=3, mime=mime, type=FRONT, desc="", data=about.cover))
    elif family == "mp4":
        form = mp4.MP4Cover.FORMAT_PNG if png else mp4.MP4Cover.FORMAT_JPEG
        new.tags["covr"] = [mp4.MP4Cover(about.cover, form)]
    else:
        picture = flac.Picture()
        picture.type, picture.mime, picture.data = FRONT, mime, about.cover
        _add_picture(new, picture)


def _set_id3(tags: Any, key: str, value: str) -> None:
    name = NAMES[key].id3 if key in NAMES else "TXXX"
    options: dict[str, Any] = {"encoding": 3, "text": value if name == "USLT" else [value]}
    if name == "TXXX":
        options["desc"] = key
    elif name in ("COMM", "USLT"):
        options |= {"lang": "XXX", "desc": ""}
    tags.add(id3.Frames[name](**options))


def _set_mp4(tags: Any, key: str, value: str) -> None:
    if key not in NAMES:
        tags[f"----:com.apple.iTunes:{key}"] = [value.encode()]
    elif key in ("track", "disc"):
        numbers = [int(n) for n in value.split("/") if n.isascii() and n.isdigit()]
        if numbers:
            tags[NAMES[key].mp4] = [(numbers[0], (numbers[1:] or [0])[0])]
    else:
        tags[NAMES[key].mp4] = [value]


def _set_vorbis(tags: Any, key: str, value: str) -> None:
    name = NAMES[key].vorbis if key in NAMES else key
    if all(" " <= c <= "}" and c != "=" for c in name):  # what a name is made of
        tags[name] = [value]
