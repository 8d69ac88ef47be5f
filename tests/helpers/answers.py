"""What workers load and answer in tests; importing it takes no time."""

import os
import signal
import sys
import threading
import time
from pathlib import Path


class Choosy(Exception):
    """Pickled, but of one argument only; no process can make it anew."""

    def __init__(self, path, why):
        super().__init__(f"{path}: {why}")


class Sealed(Exception):
    """Not to be pickled."""

    def __init__(self):
        super().__init__("holds a lock")
        self.lock = threading.Lock()


def load():
    """Notes who has loaded."""
    return [os.getpid()]


def refuse():
    """As where there is no room for the weights."""
    raise ValueError("no room")


def answer(loaded, message):
    """By the first word: the process, a square, an error, a death, a module loaded."""
    word, *rest = message
    if word == "who":
        loaded.append(rest)
        return loaded[0], len(loaded) - 1
    if word == "square":
        time.sleep(sum(rest[1:]))
        return rest[0] ** 2
    if word == "loaded":
        module = sys.modules.get(rest[0])
        return module and {name: value for name, value in vars(module).items() if name.isupper()}
    if word == "fail":
        raise rest[0](*rest[1:])
    if word == "die" or (word == "die once" and not Path(rest[0]).exists()):
        Path(rest[0]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "hang":  # as in a network that takes long
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(rest[0]).write_text(str(os.getpid()))
        time.sleep(60)
    return word
