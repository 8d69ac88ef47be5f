"""Mutated files of every container: read, or refused in one line; never anything else."""

import random

import pytest

from helpers.media import encode, speechlike
from voxmend import audio

CONTAINERS = {".m4a": "aac", ".mkv": "aac", ".webm": "libopus", ".wma": "wmav2", ".aac": "aac",
              ".mov": "pcm_s16le", ".flv": "aac"}
WORDS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1")


def mutate(data, rng):
    """A few bytes changed, counts made absurd, cut, or filled with noise."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 2, 5, 20))):
        at, kind = rng.randrange(min(len(out), rng.choice((64, 400, len(out))))), rng.random()
        if kind < 0.5:
            out[at] = rng.randrange(256)
        elif kind < 0.7:
            out[at:at + 4] = rng.choice(WORDS)
        elif kind < 0.85:
            out = out[:max(at, 1)]
        else:
            out[at:at] = rng.randbytes(20)
    return bytes(out)


@pytest.mark.parametrize("suffix", [*CONTAINERS, ".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff",
                                    ".caf", ".w64", ".rf64", ".au"])
def test_mutated(tmp_path, suffix):
    path, wave, rng = tmp_path / f"a{suffix}", speechlike(1, 8000), random.Random(suffix)
    if suffix in CONTAINERS:
        encode(path, wave, 48000 if suffix == ".webm" else 44100, CONTAINERS[suffix])
    else:
        audio.save(path, wave, 16000)
    data = path.read_bytes()
    for number in range(25):
        path.write_bytes(mutate(data, rng))
        try:
            reader = audio.Reader(path, salvage=bool(number % 2))
            samples = sum(block.shape[1] for block in reader.blocks())
            assert samples == reader.frames
        except audio.AudioError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
