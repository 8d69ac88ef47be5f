"""Decoders' own lines on the standard error stream are thrown away, and no others."""

import os
import subprocess
import sys
from contextlib import suppress
from threading import Thread

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


def test_threads_restore_it(capfd):
    def decode() -> None:
        for _ in range(100):
            with silenced():
                os.write(2, b"x")

    open_before = len(os.listdir("/proc/self/fd"))
    threads = [Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
    assert len(os.listdir("/proc/self/fd")) == open_before


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
