"""What the page in the browser is tried with: work for its processes, and files of visitors."""

import os
import struct
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000


def told(value):
    """Says two lines and a bar, as the command does."""
    print("one line")
    print("voxmend: a note", file=sys.stderr)
    for percent in (10, 60):
        print(f"\rmend: {percent:3d}%|##   | ", end="", file=sys.stderr)
    return value, str(Path.cwd())


def wrong():
    raise ValueError("a.wav: empty:\nfetch it again")


def ill():
    raise KeyError("a fault of ours")


def crash():
    os.abort()


def wait(seconds):
    time.sleep(seconds)
    return True


def refuse(words):
    """A command that fails as `voxmend` does."""
    print(f"voxmend: {words[1]}: no", file=sys.stderr)
    return 2


def _wav(samples, rate=RATE, channels=1, size=None, bits=16, form=1):
    """A wav of bytes of samples, whose header may say that there are more of them."""
    size = len(samples) if size is None else size
    block = channels * bits // 8
    about = struct.pack("<IHHIIHH", 16, form, channels, rate, rate * block % 2**32, block, bits)
    return b"".join((b"RIFF", struct.pack("<I", min(36 + size, 2**32 - 1)), b"WAVEfmt ", about,
                     b"data", struct.pack("<I", size), samples))


def bad_uploads(folder):
    """Names and contents that are no recordings, or none that can be taken."""
    noise = np.random.default_rng(0).integers(0, 256, 40_000, np.uint8).tobytes()
    good = _wav((np.sin(np.arange(RATE) / 8) * 8000).astype("<i2").tobytes())

    def made(name, wave, rate=RATE, **options):
        soundfile.write(folder / name, wave, rate, **options)
        return (folder / name).read_bytes()

    flac = made("a.flac", np.sin(np.arange(RATE) / 8) / 4)
    mp3 = made("a.mp3", np.sin(np.arange(RATE) / 8) / 4)
    floats = {"nan": np.full(RATE, np.nan), "inf": np.full(RATE, np.inf),
              "huge": np.full(RATE, 1e20)}
    return {
        "empty.wav": b"", "one.wav": b"R", "text.wav": b"not audio at all\n" * 9,
        "page.mp3": b"<html><script>alert(1)</script></html>", "noise.wav": noise,
        "noise.mp3": noise, "noise.m4a": noise, "noise.ogg": noise, "noise.flac": noise,
        "riff.wav": b"RIFF\x00\x00\x00\x00WAVE", "2gb.wav": _wav(b"\x00" * 999, size=2**31 - 64),
        "4gb.wav": _wav(b"\x00" * 999, size=2**32 - 64), "rate0.wav": _wav(good[44:], rate=0),
        "rate1.wav": _wav(good[44:], rate=1), "rate4g.wav": _wav(good[44:], rate=2**31),
        "channels0.wav": _wav(good[44:], channels=0),
        "channels.wav": made("c.wav", np.zeros((1600, 32))),
        "bits.wav": _wav(good[44:], bits=3), "codec.wav": _wav(good[44:], form=0xBEEF),
        "none.wav": made("n.wav", np.zeros(0)), "slow.wav": made("s.wav", np.zeros(3000), 3999),
        **{f"{name}.wav": made(f"{name}.wav", wave, subtype="FLOAT")
           for name, wave in floats.items()},
        "half.flac": flac[:len(flac) // 2], "torn.mp3": noise[:99] + mp3[:300],
        "zip.wav": b"PK\x03\x04" + noise, "pickle.npy": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "elf.wav": b"\x7fELF" + noise, "playlist.m3u8": b"#EXTM3U\nfile:///etc/passwd\n",
        "concat.txt": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "../../../../etc/passwd": b"root\n", "..\\..\\boot.ini": b"x", "\x00\n\t.wav": b"x",
        "-rf.wav": b"x", "$(reboot).wav": b"x", "'; rm -rf ~; '.wav": b"x",
        "<img src=x onerror=alert(1)>.wav": b"x", "é" * 300 + ".wav": b"x", ".wav": b"x",
        "con.wav:stream": b"x", "lock": b"x", "found.html": b"<script>alert(1)</script>"}
