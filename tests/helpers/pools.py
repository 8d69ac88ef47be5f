"""Workers that are no processes, since to start one takes long."""

import pickle

import soundfile

from voxmend.cli import running


class Here:
    """A pool whose messages go through pickles, but to this process: to start another takes long.

    Ordered or not, as `Pool.map` has it: unordered, the last comes first.
    """

    reads = False

    def __init__(self, count, load, answer, threads):
        self.load, self.answer, self.count, self.messages = load, answer, count, []

    def __enter__(self):
        self.loaded = [pickle.loads(pickle.dumps(self.load))() for _ in range(self.count)]
        return self

    def __exit__(self, *exception):
        Here.last = self

    def map(self, messages, ordered=False):
        numbered = enumerate(messages) if ordered else reversed(list(enumerate(messages)))
        for number, message in numbered:
            self.messages.append(message)
            loaded = self.loaded[number % self.count]
            yield number, self.answer(loaded, pickle.loads(pickle.dumps(message)))


def use_here(monkeypatch):
    """Workers in this process, that share segments of what lasts more than a second."""
    monkeypatch.setattr(running, "Pool", Here)
    monkeypatch.setattr(running, "warm_up", lambda modules, threads: None)
    monkeypatch.setattr(running, "LEAST_SECONDS", 1.0)


def samples(path):
    """Not its bytes, in which libsndfile notes the time."""
    return soundfile.read(path, dtype="float32")[0].tobytes()
