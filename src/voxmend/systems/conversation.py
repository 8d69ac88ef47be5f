"""Conversations of any length taken apart, everybody in one place from beginning to end.

    recording ─ segments ─ apart, pieces, embeddings ─ who is where ─ tracks of people ─ mean
                           └── of each by itself ──┘   of all hearings      of each hearing

`separator.Separator` finds the order of the voices in the two seconds that segments share, in which
often nobody speaks. Here voices are told apart by how they sound: all segments are first taken
apart and kept in a file, then people are found (`places`), and every piece is put where it belongs.

A recording of several segments is heard as often as its separator has `hearings`, the segments of
each beginning elsewhere: what is near the end of one, and known badly, is in the middle of another.
"""

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count, groupby, pairwise

import numpy as np

from .. import audio
from ..audio.batches import Segment
from ..audio.levels import Levels
from ..audio.segments import Aligner, Spread, crossfade, in_turn, process, segments
from .places import Piece, Places
from .postfilter import POWER, postfilter
from .separator import OVERLAP_SECONDS, Separator

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


@dataclass(frozen=True)
class Conversation:
    """A `Separator` of voices whose people keep their places: called and streamed as it is.

    Where only one person is found, all voices go to the first place.

    Args:
        separator: of voices.
        embed: a voice at 16 kHz, of `SHORTEST` or longer, to a vector of unit length that says who
            speaks, `[T]` to `[dim]`.
        reference: somebody's embedding by `recognise`; who is most alike has the first place.
        recognise: as `embed`, of a whole segment; by default the same.
        told: what a sidecar says beside what it says of the separator.
        power: of the postfilter, 0 for none.
    """

    separator: Separator
    embed: Embed
    reference: np.ndarray | None = None
    recognise: Embed | None = None
    told: dict = field(default_factory=dict)
    power: float = POWER

    @property
    def sources(self) -> int:
        """How many voices the separator parts."""
        return self.separator.sources

    @property
    def entry(self) -> dict:
        """What a sidecar says of it."""
        return self.separator.entry | {"postfilter": self.power} | self.told

    def __call__(self, wave: np.ndarray, sample_rate: int) -> np.ndarray:
        """Shape: `[T]` to `[K, T]`, or `[C, T]` to `[K, C, T]`, float32."""
        wave = np.asarray(wave)
        reader = audio.ArrayReader(np.atleast_2d(wave), sample_rate)
        voices = np.concatenate(list(self.stream(reader)), axis=1)
        return voices.reshape(self.sources, *wave.shape)

    def stream(self, reader: audio.Recording,
               progress: Callable[[int], None] | None = None,
               spread: Spread = in_turn) -> Iterator[np.ndarray]:
        """Blocks `[K·C, n]` of the people in turn; all is taken apart before the first."""
        takes = self.take(reader, progress, spread)
        with ExitStack() as files:
            for one in takes:
                files.enter_context(one.file)
            yield from self.give(reader, takes, self.find(takes))

    def lengths(self, rate: int) -> tuple[int, int]:
        """Segment and overlap, samples."""
        return math.ceil(self.separator.segment) * rate, OVERLAP_SECONDS * rate

    def hearings(self, reader: audio.Recording) -> dict[int, Separator]:
        """What hears a recording, by the samples with which their segments begin.

        A recording of one segment is heard once, as the separator does by itself.
        """
        rate, (length, overlap) = reader.sample_rate, self.lengths(reader.sample_rate)
        ways = self.separator.hearings if reader.frames > length + overlap else ()
        seconds = (length - overlap) // rate
        return {seconds * n // len(ways) * rate: replace(self.separator, apart=apart)
                for n, apart in enumerate(ways)} or {0: self.separator}

    def take(self, reader: audio.Recording, progress: Callable[[int], None] | None = None,
             spread: Spread = in_turn) -> list[Takes]:
        """Takes all segments of all hearings apart."""
        rate, (length, overlap) = reader.sample_rate, self.lengths(reader.sample_rate)
        mean, levels = self.separator.measure(reader)
        listen, hearings = Ears(self.embed, rate, levels, reader.frames), self.hearings(reader)

        def parts() -> Iterator[Segment]:
            for first in hearings:
                for start, chunk in segments(after(first, reader.blocks()), length, overlap):
                    yield first + start, chunk

        def first_of(start: int) -> int:
            return start % (length - overlap)

        def apart(parts: Sequence[Segment]) -> list[Heard]:
            return [heard(voices, start)
                    for first, group in groupby(parts, lambda part: first_of(part[0]))
                    for voices, (start, _) in hear(hearings[first], list(group))]

        def hear(separator: Separator, parts: list[Segment]
                 ) -> Iterator[tuple[np.ndarray, Segment]]:
            told = progress if len(hearings) == 1 else None
            return zip(separator.take_apart(parts, rate, mean, levels, told), parts, strict=True)

        def heard(voices: np.ndarray, start: int) -> Heard:
            rows = voices.reshape(-1, voices.shape[2])
            order = Aligner(len(voices), voices.shape[1], 0)(rows)
            voices = rows[order].reshape(voices.shape)
            return Heard(start, voices, listen(voices, start))

        takes = {first: Takes(rate, levels, first) for first in hearings}
        done = dict.fromkeys(hearings, 0)
        for one in spread(self.separator.jointly(apart, reader.channels), parts()):
            first = first_of(one.start)
            takes[first].add(one)
            done[first] = one.start + one.voices.shape[2]
            if progress:
                progress(sum(done.values()) // len(done))
        return list(takes.values())

    def find(self, takes: Sequence[Takes]) -> list[np.ndarray]:
        """Place of each track in each piece of each hearing, `[N, K]`.

        The person of the reference has place 0.
        """
        edges = np.cumsum([len(one.pieces) for one in takes])[:-1]
        places = Places([piece for one in takes for piece in one.pieces])
        ways = np.split(places.ways, edges)
        if self.reference is None:
            return ways
        likeness = self._likeness(takes[0], ways[0], self.reference)
        order = np.argsort(np.argsort(-likeness, kind="stable"))
        return [order[way] for way in ways]

    def _likeness(self, takes: Takes, ways: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Cosine between a reference and each place's mean over the segments. Shape: `[K]`.

        Long stretches say more of a voice than pieces do.
        """
        recognise, total = self.recognise or self.embed, np.zeros((self.sources, len(reference)))
        for number in range(len(takes.shapes)):
            voices = np.stack([audio.mixdown(voice) for voice in takes.placed(number, ways)])
            mono = audio.resample(voices, takes.rate, RATE)
            powers = np.square(mono).sum(1)
            floor = 10 ** (LEAK_DB / 10) * powers.max()
            if mono.shape[1] > SHORTEST * RATE and floor > 0:
                for k in np.flatnonzero(powers > floor):
                    total[k] += powers[k] * recognise(mono[k])
        lengths = np.linalg.norm(total, axis=1)
        return np.where(lengths > 0, total @ reference / lengths.clip(1e-12), -1.0)

    def give(self, reader: audio.Recording, takes: Sequence[Takes],
             ways: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """The people, block by block: the mean of all hearings, filtered."""
        rate, lengths = reader.sample_rate, self.lengths(reader.sample_rate)

        def people(one: Takes, way: np.ndarray) -> Iterator[np.ndarray]:
            numbers = count()
            return process(after(one.first, reader.blocks()), lambda chunk, _: one.placed(
                next(numbers), way).reshape(-1, chunk.shape[1]), *lengths, multiple=rate)

        def filtered(chunk: np.ndarray, _: int) -> np.ndarray:
            voices = chunk.reshape(self.sources, reader.channels, -1)
            return postfilter(voices, rate, self.power).reshape(chunk.shape)

        streams = {one.first: people(one, way) for one, way in zip(takes, ways, strict=True)}
        return process(mean_of(streams, lengths[1]), filtered, *lengths, multiple=rate)


def after(first: int, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Blocks of a signal from sample `first` on. Shape: `[C, n]`."""
    for block in blocks:
        if first < block.shape[1]:
            yield block[:, first:]
        first = max(0, first - block.shape[1])


def mean_of(streams: dict[int, Iterator[np.ndarray]], fade: int) -> Iterator[np.ndarray]:
    """The mean of signals that come in blocks, each from the sample on that is its key.

    The first begins at 0; others are faded in over `fade` samples.

    Shape: blocks `[C, n]`, as is the output.
    """
    (_, main), *others = streams.items()
    ramp, done = crossfade(fade), 0
    held = {first: np.zeros((0, 0), np.float32) for first, _ in others}
    for block in main:
        total, weight, end = block, np.ones(block.shape[1], np.float32), done + block.shape[1]
        for first, stream in others:
            skip = min(max(0, first - done), block.shape[1])
            wanted = block.shape[1] - skip
            while held[first].shape[1] < wanted:
                more = next(stream)
                held[first] = np.concatenate([held[first].reshape(len(more), -1), more], axis=1)
            part, held[first] = np.split(held[first], [wanted], axis=1)
            if wanted:
                gain = np.ones(wanted, np.float32)
                rising = ramp[done + skip - first:end - first]
                gain[:len(rising)] = rising
                total = total + np.pad(gain * part, ((0, 0), (skip, 0)))
                weight[skip:] += gain
        yield total / weight
        done = end
