"""Segments of a conversation taken apart, and who says what in them, kept until all is heard.

    segment, apart ─ pieces, cut where it is quiet ─ embeddings of their tracks ─ a file
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .. import audio
from ..audio.levels import Levels
from .places import Piece
from .separator import OVERLAP_SECONDS

RATE = 16000  # of embeddings, Hz
FRAME = 0.02  # s, of powers
PIECE = 1.0, 2.5  # s, shortest and longest piece
SHORTEST = 0.3  # s of speech that an embedding needs
QUIET_DB, LEAK_DB = -20.0, -15.0  # below speech, and below the loudest track: not heard
FADE = 0.02  # s, in which a track changes its place

Embed = Callable[[np.ndarray], np.ndarray]


def cuts(powers: np.ndarray, first: int, last: int) -> list[int]:
    """Edges of pieces from frame `first` to `last`, where it is quiet.

    What is left at the end is cut once more only where nobody speaks.

    Shape: powers `[frames]`, over that of speech.
    """
    shortest, longest = (round(seconds / FRAME) for seconds in PIECE)
    edges = [first]
    while last - edges[-1] >= 2 * shortest:
        begin, end = edges[-1] + shortest, min(edges[-1] + longest, last - shortest + 1)
        quietest = begin + int(powers[begin:end].argmin())
        if last - edges[-1] <= longest + shortest and powers[quietest] > 10 ** (QUIET_DB / 10):
            break
        edges.append(quietest)
    return [*edges, max(first, last)]


def put(voices: np.ndarray, edges: list[int], ways: np.ndarray, fade: int) -> np.ndarray:
    """Tracks of a segment in their places, with a cross-fade wherever one moves.

    Args:
        edges: where each piece begins, samples.
        ways: place of each track in each piece, `[pieces, K]`.
        fade: samples.

    Shape: `[K, C, n]`, as is the output.
    """
    out, times = np.zeros_like(voices), np.arange(voices.shape[2])
    for k, track in enumerate(voices):
        moved = np.flatnonzero(np.diff(ways[:, k])) + 1
        for place in set(ways[:, k].tolist()):
            here = (ways[:, k] == place).astype(np.float32)
            gain = np.full(voices.shape[2], here[0])
            for n in moved:
                ramp = np.clip((times - edges[n]) / fade + 0.5, 0, 1)
                gain += (here[n] - here[n - 1]) * ramp.astype(np.float32)
            out[place] += gain * track
    return out


@dataclass(frozen=True)
class Heard:
    """A segment taken apart, and what its tracks say.

    Args:
        start: its first sample in the recording.
        voices: in the same order in all channels.
        pieces: as in `places.Piece`, but for what is `shared` with the segment before.

    Shape: voices `[K, C, n]`.
    """

    start: int
    voices: np.ndarray
    pieces: list[Piece]


@dataclass(frozen=True)
class Ears:
    """Cuts the tracks of a segment into pieces and embeds what they say.

    Args:
        embed: as in `Conversation`.
        rate: of the recording.
        levels: of its channels; a segment's voices are heard at that of the loudest.
        frames: samples of the recording.
    """

    embed: Embed
    rate: int
    levels: Levels
    frames: int

    def __call__(self, voices: np.ndarray, start: int) -> list[Piece]:
        """The pieces of a segment from sample `start` on. Shape: `[K, C, n]`."""
        voices = voices / self.levels(start, voices.shape[2]).max(0)
        mono = np.stack([audio.mixdown(voice) for voice in voices])
        frame = round(FRAME * self.rate)
        frames = mono.shape[1] // frame
        powers = np.square(mono[:, :frames * frame]).reshape(len(mono), frames, frame).mean(2)
        half = OVERLAP_SECONDS * self.rate // 2 // frame
        last = start + mono.shape[1] == self.frames
        edges = cuts(powers.sum(0), half if start else 0, frames if last else frames - half)
        low = audio.resample(mono, self.rate, RATE)
        pieces = []
        for a, b in pairwise(edges):
            vectors, seconds = self._embed(
                low[:, a * frame * RATE // self.rate:b * frame * RATE // self.rate], powers[:, a:b])
            near = powers[:, max(0, a - 2):a + 2]
            edge = near.sum(1).clip(0, max(1, near.shape[1])) / max(1, near.shape[1])
            begin = a * frame + frame // 2  # the middle of a quiet frame, which has room for a fade
            pieces.append(Piece(start // self.rate, begin, vectors, seconds, edge))
        return pieces

    def _embed(self, low: np.ndarray,
               powers: np.ndarray) -> tuple[list[np.ndarray | None], np.ndarray]:
        """Embeddings of the tracks of a piece, and what they say in seconds."""
        vectors: list[np.ndarray | None] = [None] * len(low)
        seconds = np.zeros(len(low), np.float32)
        loudest = powers.mean(1).max() if powers.size else 0.0
        floor = max(10 ** (QUIET_DB / 10), 10 ** (LEAK_DB / 10) * loudest)
        for k, track in enumerate(low):
            heard = FRAME * np.count_nonzero(powers[k] > floor)
            if heard > SHORTEST:
                vectors[k], seconds[k] = self.embed(track), heard - SHORTEST
        return vectors, seconds


class Takes:
    """Segments of a hearing taken apart, kept in a file until it is known who is where.

    Args:
        rate: of the recording.
        levels: of its channels.
        first: sample of the recording with which the first segment begins.
    """

    def __init__(self, rate: int, levels: Levels, first: int = 0):
        self.rate, self.levels, self.first = rate, levels, first
        self.pieces: list[Piece] = []
        self.firsts = [0]  # pieces that segments begin with
        self.shapes: list[tuple[int, ...]] = []
        self.offsets = [0]  # in the file, samples
        self.file = tempfile.TemporaryFile()  # noqa: SIM115, which lives as long as this
        self.tail: np.ndarray | None = None

    def add(self, heard: Heard) -> None:
        """Keeps the next segment."""
        voices, overlap = heard.voices, OVERLAP_SECONDS * self.rate
        self.file.seek(4 * self.offsets[-1])
        voices.astype(np.float32).tofile(self.file)
        self.shapes.append(voices.shape)
        self.offsets.append(self.offsets[-1] + voices.size)
        voices = voices / self.levels(heard.start, voices.shape[2]).max(0)
        shared = (np.zeros((len(voices), len(voices))) if self.tail is None else
                  self._shared(self.tail, voices[..., :overlap]))
        self.pieces += [replace(heard.pieces[0], shared=shared), *heard.pieces[1:]]
        self.firsts.append(len(self.pieces))
        self.tail = voices[..., -overlap:]

    def _shared(self, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        """How much tracks agree with those before in the middle of the seconds shared."""
        middle = np.s_[:, :, now.shape[2] // 4:3 * now.shape[2] // 4]
        before, now = (v[middle].reshape(len(v), -1) for v in (before, now))
        energy = (np.square(before).sum() + np.square(now).sum()) / 2
        return before @ now.T / (energy + 1e-2 * before.shape[1])

    def voices(self, number: int) -> np.ndarray:
        """The tracks of a segment. Shape: `[K, C, n]`."""
        self.file.seek(4 * self.offsets[number])
        size = self.offsets[number + 1] - self.offsets[number]
        return np.fromfile(self.file, np.float32, size).reshape(self.shapes[number])

    def placed(self, number: int, ways: np.ndarray) -> np.ndarray:
        """The people of a segment. Shape: ways `[N, K]` to `[K, C, n]`."""
        mine = slice(*self.firsts[number:number + 2])
        edges = [piece.begin for piece in self.pieces[mine]]
        return put(self.voices(number), edges, ways[mine], max(1, round(FADE * self.rate)))
