"""Decoders' own lines on the standard error stream are thrown away, and no others."""

import os
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import soundfile

from voxmend import audio
from voxmend.audio.quiet import silenced


def test_only_what_is_written_inside_is_lost(capfd):
    os.write(2, b"before ")
    with silenced():
        os.write(2, b"inside ")
    with pytest.raises(KeyError), silenced():
        os.write(2, b"failing ")
        raise KeyError
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_threads_restore_it():
    """Told by a process of its own: in another, files of other tests are closed meanwhile."""
    code = ("import os\nfrom threading import Thread\nfrom voxmend.audio.quiet import silenced\n"
            "def decode():\n"
            "    for _ in range(100):\n"
            "        with silenced(): os.write(2, b'x')\n"
            "opened = len(os.listdir('/proc/self/fd'))\n"
            "threads = [Thread(target=decode) for _ in range(4)]\n"
            "for thread in threads: thread.start()\n"
            "for thread in threads: thread.join()\n"
            "os.write(2, b'after')\n"
            "print(len(os.listdir('/proc/self/fd')) - opened)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "after")


def test_a_closed_stream_is_nothing_to_silence():
    code = ("import os\nfrom voxmend.audio.quiet import silenced\nos.close(2)\n"
            "with silenced(): print('read')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "read\n"


@pytest.mark.parametrize("suffix", [".mp3", ".mp2"])
def test_a_broken_mpeg_stream_is_told_by_us_alone(suffix, tmp_path, capfd):
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 32000)
    soundfile.write(tmp_path / "a.mp3", noise, 16000)
    data = bytearray((tmp_path / "a.mp3").read_bytes())
    for at in range(3000, len(data), 700):
        data[at:at + 40] = bytes(40)
    path.write_bytes(data)
    with soundfile.SoundFile(path) as stream:
        stream.read()
    assert capfd.readouterr().err, "libmpg123 says nothing: another file is needed"
    with suppress(audio.AudioError):
        sum(block.shape[1] for block in audio.Reader(path).blocks())
    assert capfd.readouterr().err == ""
