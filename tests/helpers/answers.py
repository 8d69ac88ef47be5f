"""What workers load and answer in tests; importing it takes no time."""

import os
import signal
import sys
import time
from pathlib import Path


def load():
    """Notes who has loaded."""
    return [os.getpid()]


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
        raise ValueError(rest[0])
    if word == "die" or (word == "die once" and not Path(rest[0]).exists()):
        Path(rest[0]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "hang":  # as in a network that takes long
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(rest[0]).write_text(str(os.getpid()))
        time.sleep(60)
    return word
