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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from typing import Any

import numpy as np

from .. import audio
from ..audio.batches import Segment
from ..audio.blocks import after, mean_of
from ..audio.segments import Aligner, Spread, in_turn, process, segments
from ..speakers.encoders import load_encoder
from .places import Places
from .postfilter import POWER, postfilter
from .separator import OVERLAP_SECONDS, Separator, load
from .takes import LEAK_DB, RATE, SHORTEST, Ears, Embed, Heard, Takes


@dataclass(frozen=True)
class Conversation:
    """A `Separator` of voices whose people keep their places: called and streamed as it is.

    Where only one person is found, all voices go to the first place.

    Args:
        separator: of voices.
        embed: a voice at 16 kHz, of 0.3 s or longer, to a vector of unit length that says who
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


def converse(separator: Separator, voice: np.ndarray | None = None,
             device: str = "auto") -> Conversation:
    """A separator whose people the bundled encoder tells apart.

    Args:
        voice: somebody's at 16 kHz, best of 4 s or more; who is most alike has the first place.

    Shape: voice `[T]`. Raises ValueError for a voice that tells nobody, as `Encoder.embed` does.
    """
    encoder = load_encoder("ecapa", device)
    told = {"encoder": encoder.name, "encoder_sha256": encoder.hash}
    if voice is None:
        return Conversation(separator, encoder.embed, told=told)
    ears = load_encoder(device=device)
    told |= {"enrol_encoder": ears.name, "enrol_encoder_sha256": ears.hash}
    return Conversation(separator, encoder.embed, ears.embed(voice), ears.embed, told)


def separate(wave: np.ndarray, sample_rate: int, method: str | None = None,
             voice: np.ndarray | None = None, **options: Any) -> np.ndarray:
    """Takes the voices of a whole recording in memory apart, as `voxmend separate` does.

    Args:
        method: "frame-separator", "diffsep" or "conv-tasnet".
        voice: a recording of somebody at the same rate: only the voice that is most alike is given.
        options: as in `separator.load`.

    Shape: wave `[T]` or `[C, T]` to `[K, T]` or `[K, C, T]`, float32; voice `[T]` or `[C, T]`.

    Raises ValueError for a wrong option and a voice that tells nobody, AudioError for a wave that
    is none.
    """
    if voice is not None:
        known = audio.ArrayReader(np.atleast_2d(voice), sample_rate)
        heard = np.concatenate(list(known.blocks()), axis=1)
        voice = audio.mixdown(audio.resample(heard, known.sample_rate, RATE))
    separator = load("separate", method, **options)
    voices = converse(separator, voice, options.get("device", "auto"))(wave, sample_rate)
    return voices if voice is None else voices[:1]
