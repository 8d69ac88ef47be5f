"""Conversations of any length taken apart, everybody in one place from beginning to end.

    recording ─ segments, apart ─ pieces ─ embeddings ─ who is where ─ tracks of people

`separator.Separator` finds the order of the voices in the two seconds that segments share, in which
often nobody speaks. Here voices are told apart by how they sound: all segments are first taken
apart and kept in a file, then people are found (`places`), then every piece is put where it belongs.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np

from .. import audio
from ..audio.segments import Aligner, process, segments
from .places import Piece, Places
from .separator import OVERLAP_SECONDS, SEGMENT_SECONDS, Separator

RATE = 16000  # of embeddings, Hz
FRAME = 0.02  # s, of powers
PIECE = 1.0, 2.5  # s, shortest and longest piece
SHORTEST = 0.3  # s of speech that an embedding needs
QUIET_DB, LEAK_DB = -30.0, -15.0  # below speech, and below the loudest track: not heard
FADE = 0.02  # s, in which a track changes its place

Embed = Callable[[np.ndarray], np.ndarray]


def cuts(powers: np.ndarray, first: int, last: int) -> list[int]:
    """Edges of pieces from frame `first` to `last`, where it is quiet. Shape: powers `[frames]`."""
    shortest, longest = (round(seconds / FRAME) for seconds in PIECE)
    edges = [first]
    while last - edges[-1] > longest + shortest:
        begin = edges[-1] + shortest
        edges.append(begin + int(powers[begin:edges[-1] + longest].argmin()))
    return [*edges, last]


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
            gain = np.full(voices.shape[2], float(ways[0, k] == place), np.float32)
            for n in moved:
                ramp = np.clip((times - edges[n]) / fade + 0.5, 0, 1)
                step = float(ways[n, k] == place) - float(ways[n - 1, k] == place)
                gain += step * ramp.astype(np.float32)
            out[place] += gain * track
    return out


class Takes:
    """Segments taken apart, kept in a file until it is known who is where.

    Args:
        embed: as in `Conversation`.
        rate: of the recording.
        level: of its loud parts.
    """

    def __init__(self, embed: Embed, rate: int, level: float):
        self.embed, self.rate, self.level = embed, rate, level
        self.pieces: list[Piece] = []
        self.starts: list[int] = []
        self.shapes: list[tuple[int, int, int]] = []
        self.file = tempfile.TemporaryFile()
        self.tail: np.ndarray | None = None

    def add(self, voices: np.ndarray, start: int, last: bool) -> None:
        """Keeps a segment's voices, `[K, C, n]`; `last` if none comes after it."""
        order = Aligner(*voices.shape[:2], 0)(voices.reshape(-1, voices.shape[2]))
        voices = voices.reshape(-1, voices.shape[2])[order].reshape(voices.shape)
        voices.astype(np.float32).tofile(self.file)
        self.starts.append(start)
        self.shapes.append(voices.shape)
        self._listen(voices, last)

    def _listen(self, voices: np.ndarray, last: bool) -> None:
        mono, overlap = voices.mean(1), OVERLAP_SECONDS * self.rate
        frame = round(FRAME * self.rate)
        count = mono.shape[1] // frame
        powers = np.square(mono[:, :count * frame]).reshape(len(mono), count, frame).mean(2)
        powers = powers / max(self.level, 1e-9) ** 2
        half = overlap // 2 // frame
        edges = cuts(powers.sum(0), half if self.tail is not None else 0,
                     count if last else count - half)
        low = audio.resample(mono, self.rate, RATE)
        for n, (a, b) in enumerate(zip(edges, edges[1:])):
            shared = self._shared(voices, overlap) if not n and self.tail is not None else None
            vectors, seconds = self._embed(low, powers, a, b)
            edge = powers[:, max(0, a - 2):a + 2].mean(1).clip(0, 1)
            self.pieces.append(Piece(len(self.starts) - 1, a * frame, b * frame, vectors, seconds,
                                     edge, shared))
        self.tail = voices[:, :, -overlap:]

    def _shared(self, voices: np.ndarray, overlap: int) -> np.ndarray:
        """How much tracks agree with those before in the middle of the seconds shared."""
        middle = np.s_[:, :, overlap // 4:3 * overlap // 4]
        before, now = (v[middle].reshape(len(v), -1) for v in (self.tail, voices[..., :overlap]))
        energy = (np.square(before).sum() + np.square(now).sum()) / 2
        return before @ now.T / (energy + 1e-2 * self.level**2 * before.shape[1] + 1e-12)

    def _embed(self, low: np.ndarray, powers: np.ndarray, a: int, b: int):
        vectors, seconds = [], np.zeros(len(low), np.float32)
        floor = max(10 ** (QUIET_DB / 10), 10 ** (LEAK_DB / 10) * powers[:, a:b].mean(1).max())
        for k, track in enumerate(low):
            heard = FRAME * (powers[k, a:b] > floor).sum()
            if heard > SHORTEST:
                piece = track[round(a * FRAME * RATE):round(b * FRAME * RATE)]
                seconds[k] = heard - SHORTEST
            vectors.append(self.embed(piece) if heard > SHORTEST else None)
        return vectors, seconds

    def segment(self, number: int) -> np.ndarray:
        """The voices of a segment. Shape: `[K, C, n]`."""
        before = sum(int(np.prod(shape)) for shape in self.shapes[:number])
        self.file.seek(4 * before)
        size = int(np.prod(self.shapes[number]))
        return np.fromfile(self.file, np.float32, size).reshape(self.shapes[number])

    def placed(self, number: int, ways: np.ndarray) -> np.ndarray:
        """The people of a segment. Shape: ways `[N, K]` to `[K, C, n]`."""
        mine = [n for n, piece in enumerate(self.pieces) if piece.segment == number]
        edges = [self.pieces[n].begin for n in mine]
        return put(self.segment(number), edges, ways[mine], round(FADE * self.rate))


@dataclass(frozen=True)
class Conversation:
    """A `Separator` of voices whose people keep their places: called and streamed as it is.

    Args:
        separator: of voices.
        embed: a voice at 16 kHz to a vector of unit length that says who speaks, `[T]` to `[dim]`.
        reference: the embedding of somebody who comes first, whoever else is there.
    """

    separator: Separator
    embed: Embed
    reference: np.ndarray | None = None

    @property
    def sources(self) -> int:
        return self.separator.sources

    @property
    def entry(self) -> dict:
        return self.separator.entry

    def __call__(self, wave: np.ndarray, sample_rate: int) -> np.ndarray:
        """Shape: `[T]` to `[K, T]`, or `[C, T]` to `[K, C, T]`, float32."""
        wave = np.asarray(wave, dtype=np.float32)
        reader = audio.ArrayReader(np.atleast_2d(wave), sample_rate)
        voices = np.concatenate(list(self.stream(reader)), axis=1)
        return voices.reshape(self.sources, *wave.shape)

    def stream(self, reader, progress=None) -> Iterator[np.ndarray]:
        """Blocks `[K·C, n]` of the people in turn; all is taken apart before the first."""
        takes = self.take(reader, progress)
        return self.give(reader, takes, self.find(takes))

    def take(self, reader, progress=None) -> Takes:
        """Takes all segments apart."""
        rate, frames = reader.sample_rate, 0
        segment, overlap = SEGMENT_SECONDS * rate, OVERLAP_SECONDS * rate
        mean, levels = self.separator.measure(reader)
        takes = Takes(self.embed, rate, levels.loudest)
        for start, chunk in segments(reader.blocks(), segment, overlap):
            done = count(1)
            callback = progress and (lambda *_: progress(
                start + chunk.shape[1] * next(done) // self.separator.steps))
            takes.add(self.separator.take_apart(chunk, start, rate, mean, levels, callback), start,
                      start + chunk.shape[1] == reader.frames)
            if progress:
                progress(start + chunk.shape[1])
        return takes

    def find(self, takes: Takes) -> np.ndarray:
        """Place of each track in each piece, `[N, K]`; the person of the reference has place 0."""
        ways = Places(takes.pieces).ways
        if self.reference is None:
            return ways
        likeness = self._likeness(takes, ways)
        order = [int(likeness.argmax())]
        order += [k for k in range(self.sources) if k not in order]
        return np.argsort(order)[ways]

    def _likeness(self, takes: Takes, ways: np.ndarray) -> np.ndarray:
        """Cosine between the reference and each place's mean over the segments. Shape: `[K]`.

        Long stretches say more of a voice than pieces do.
        """
        total = np.zeros((self.sources, len(self.reference)))
        for number in range(len(takes.starts)):
            mono = audio.resample(takes.placed(number, ways).mean(1), takes.rate, RATE)
            powers = np.square(mono).mean(1)
            for k, power in enumerate(powers):
                if mono.shape[1] > SHORTEST * RATE and power > powers.max() * 10 ** (LEAK_DB / 10):
                    total[k] += power * self.embed(mono[k])
        return total @ self.reference / np.linalg.norm(total, axis=1).clip(1e-9)

    def give(self, reader, takes: Takes, ways: np.ndarray) -> Iterator[np.ndarray]:
        """The people, block by block."""
        rate, numbers = reader.sample_rate, count()
        return process(
            reader.blocks(), lambda chunk, _: takes.placed(next(numbers), ways).reshape(
                -1, chunk.shape[1]),
            SEGMENT_SECONDS * rate, OVERLAP_SECONDS * rate, multiple=rate)
