"""What stops when a signal comes and Python's exception for it is lost."""

import os
import signal
import subprocess
import sys
import time

import pytest

from voxmend.cli import stopping

DEAF = """
import signal, subprocess, sys, time
from pathlib import Path
from voxmend.cli.stopping import stopping
note = Path(sys.argv[1])
for number in signal.SIGINT, signal.SIGTERM:  # which a shell has jobs in the background ignore
    signal.signal(number, signal.default_int_handler)
with stopping(lambda: note.with_name("settled").touch(), patience=0.2):
    child = subprocess.Popen(["sleep", "60"])
    note.with_name("child").write_text(str(child.pid))
    note.touch()
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_hears_nothing_is_ended_with_all_it_started(number, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", DEAF, tmp_path / "ready"],
                               stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while not (tmp_path / "ready").exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.communicate(timeout=40)[1] == stopping.SAID + "\n"
    assert process.returncode == 130 and (tmp_path / "settled").exists()
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 30
    while stopping._runs(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not stopping._runs(child)


LOST = """
import signal, sys
from voxmend.cli.stopping import stopping
class Deaf:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
with stopping(lambda: None, patience=0.2):
    deaf = Deaf()
    del deaf
    signal.pause()
"""


def test_an_interrupt_that_is_lost_is_not_said_twice():
    """As one that comes while a finaliser or a weak reference's callback runs."""
    told = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=60,
                          check=False)
    assert (told.returncode, told.stderr) == (130, stopping.SAID + "\n")


def test_what_ends_in_time_is_left_alone():
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), stopping.stopping(lambda: os._exit(1), 20):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(20)
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.set_wakeup_fd(-1) == -1


def test_descendants_are_those_of_a_process_and_of_these():
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE,
                          text=True) as shell:
        child = int(shell.stdout.readline())
        try:
            assert stopping.descendants(shell.pid) == [child]
            assert {shell.pid, child} <= {*stopping.descendants(os.getpid())}
        finally:
            os.kill(child, signal.SIGKILL)
