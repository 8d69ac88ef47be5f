"""Conversations of two people, made of recordings of each, and how well they are taken apart.

    turn of A ──────────┐ pause, or overlap
                        └ turn of B or, sometimes, of A again ──────────┐ ...
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count, pairwise, permutations
from pathlib import Path

import numpy as np
import torch

from .. import audio
from ..audio.segments import Aligner, process
from ..dsp.rms import rms
from ..dsp.stft import STFT
from ..metrics.si_snr import si_snr
from ..systems.conversation import Conversation
from ..systems.places import states
from ..systems.takes import Takes
from ..training.corpus import audio_files, speaker
from .restoration import SECONDS, loudest, measured_folder
from .scoring import RATE

TURN = 1.5, 10.0  # s
AGAIN = 0.25  # chance that after a pause the same person goes on
FLOOR_DB = -30.0  # of a voice's power in its turns, below which it is not heard


def speakers_of(data: Path) -> dict[str, np.ndarray]:
    """Everything that each speaker of `data/test`, or of `data`, says there, at 16 kHz."""
    folder = measured_folder(data)
    found: dict[str, list[np.ndarray]] = {}
    for file in audio_files(folder):
        wave = audio.load(file, RATE).mean(0)
        found.setdefault(speaker(file.relative_to(folder)), []).append(wave)
    return {name: np.concatenate(waves) for name, waves in found.items()}


def _turn(speech: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A part of someone's speech that begins and ends where it is quiet, in fades of 20 ms."""
    length = min(int(random.uniform(*TURN) * RATE), len(speech))
    begin = int(random.integers(0, len(speech) - length + 1))
    frame, reach = RATE // 50, RATE // 4
    edges: list[int] = []
    for edge in (begin, begin + length):
        near = speech[max(0, edge - reach):edge + reach]
        powers = np.square(near[:len(near) // frame * frame]).reshape(-1, frame).mean(1)
        edges.append(max(0, edge - reach) + int(powers.argmin()) * frame)
    turn = speech[edges[0]:max(edges[1], edges[0] + RATE)].copy()
    ramp = np.linspace(0, 1, frame, dtype=np.float32)
    turn[:frame] *= ramp
    turn[-frame:] *= ramp[::-1]
    return turn


def converse(speeches: Sequence[np.ndarray], seconds: float, overlap: float = 0.2,
             pause: float = 5.0, level_db: float = 3.0, seed: int = 0) -> np.ndarray:
    """Tracks of people who converse; they add up to the recording.

    Turns of 1.5…10 s follow one another after pauses of 0…`pause` s, or begin before the one
    before has ended, as often as makes the share of `overlap`.

    Args:
        speeches: what each person says, at 16 kHz; of one person it is a monologue.
        overlap: share of the time with speech in which two people speak.
        level_db: the second is so much louder or softer at most.

    Shape: `[K, T]`, float32, RMS of speech 0.05.
    """
    random = np.random.default_rng([seed, round(100 * overlap)])
    total, people = round(seconds * RATE), len(speeches)
    tracks = np.zeros((people, total), np.float32)
    gains: list[float] = [0.05 / rms(speech) * 10 ** (k * random.uniform(-level_db, level_db) / 20)
             for k, speech in enumerate(speeches)]
    ends, last, latest = [0] * people, int(random.integers(people)), 0
    either = both = 0  # samples in which somebody speaks, and two people do
    while True:
        over = people > 1 and both < overlap * either
        again = people < 2 or (not over and random.random() < AGAIN)
        who = last if again else 1 - last
        turn = _turn(speeches[who], random) * gains[who]
        start = max(ends) + int(random.uniform(0, pause) * RATE)
        if over:
            start = max(ends) - int(random.uniform(0.5, 1) * min(len(turn), latest))
        start = max(start, ends[who] + (RATE // 5 if ends[who] else 0))
        if start >= total:
            return tracks
        turn = turn[:total - start]
        shared = max(0, min(max(ends), start + len(turn)) - start)
        both, either = both + shared, either + len(turn) - shared
        tracks[who, start:start + len(turn)] = turn
        ends[who], last, latest = start + len(turn), who, len(turn)


def best_places(tracks: np.ndarray, voices: np.ndarray) -> list[int]:
    """Which track is whose: the order with the least squared error. Shape: `[K, T]`, `[K, T]`."""
    match = voices.astype(np.float64) @ tracks.T.astype(np.float64)
    return list(max(permutations(range(len(voices))),
                    key=lambda order: sum(match[k, track] for k, track in enumerate(order))))


def swap_share(tracks: np.ndarray, voices: np.ndarray, seconds: float = 0.5) -> float:
    """Share of the frames in which somebody speaks where another order has less error; 0 is best.

    Other than `metrics.swap_rate` it also counts frames in which only one person speaks.

    Args:
        tracks: in the order of the voices.
        seconds: length of a frame.

    Shape: `[K, T]`, `[K, T]` to a float.
    """
    length = round(seconds * RATE)
    floor = 10 ** (FLOOR_DB / 10) * min(np.square(v[v != 0]).mean() for v in voices if v.any())
    swaps = []
    for start in range(0, voices.shape[1] - length + 1, length):
        frame = np.s_[:, start:start + length]
        if np.square(voices[frame]).mean(1).max() > floor:
            swaps.append(best_places(tracks[frame], voices[frame]) != list(range(len(voices))))
    return float(np.mean(swaps))


def own_share(tracks: np.ndarray, voices: np.ndarray) -> np.ndarray:
    """Share of each track's speech that is its own person's; 1 is best.

    In every cell of a quarter of a second and 500 Hz a track's spectrum is projected on those of
    all voices, e ≈ Σ a_k·s_k: of the energies of a_k·s_k, summed over all cells, one is its own.

    Args:
        tracks: in the order of the voices.

    Shape: `[K, T]`, `[K, T]` to `[K]`.
    """
    frames, bins = 32, 16
    stft = STFT(512, 128)
    cells = []
    for waves in (tracks, voices):
        spectrum = stft.forward(torch.from_numpy(np.ascontiguousarray(waves, np.float32))).numpy()
        k, length, height = spectrum.shape
        length, height = length // frames * frames, height // bins * bins
        grid = spectrum[:, :length, :height].reshape(k, -1, frames, height // bins, bins)
        cells.append(grid.transpose(1, 3, 2, 4, 0).reshape(-1, frames * bins, k))
    found, true = cells
    gram = true.conj().transpose(0, 2, 1) @ true
    ridge = 1e-6 * np.trace(gram, axis1=1, axis2=2).real.max() / len(voices)
    weights = np.linalg.solve(gram + ridge * np.eye(len(voices)),
                              true.conj().transpose(0, 2, 1) @ found)  # cells, voices, tracks
    powers = np.diagonal(gram, axis1=1, axis2=2).real[:, :, None] * np.abs(weights) ** 2
    total = powers.sum(0)  # voices, tracks
    return np.diagonal(total) / total.sum(0).clip(1e-20)


def by_shared_seconds(reader: audio.Recording, takes: Takes, lengths: tuple[int, int]
                      ) -> np.ndarray:
    """Voices in the order that the shared seconds tell, of a mono recording. Shape: `[K, T]`."""
    align, numbers = Aligner(takes.shapes[0][0], 1, lengths[1]), count()

    def ordered(chunk: np.ndarray, start: int) -> np.ndarray:
        voices = takes.voices(next(numbers))[:, 0]
        return voices[align(voices)]

    return np.concatenate(list(process(reader.blocks(), ordered, *lengths, multiple=RATE)), axis=1)


def _error(tracks: np.ndarray, voices: np.ndarray, way: np.ndarray) -> float:
    """Squared error of tracks in their places. Shape: twice `[K, n]`, way `[K]`."""
    placed = (way == np.arange(len(way))[:, None]) @ tracks
    return float(np.square(placed - voices).sum())


def best_ways(takes: Takes, voices: np.ndarray, step: int) -> np.ndarray:
    """Place of each track in each piece with the least squared error to the voices: a bound.

    Args:
        takes: of a hearing of the voices' sum.
        step: samples from the start of a segment to the next one's.

    Shape: voices `[K, T]` to `[N, K]`.
    """
    found, ways = [], states(takes.shapes[0][0])
    for number in range(len(takes.shapes)):
        tracks = takes.voices(number)[:, 0]
        truth = voices[:, takes.first + number * step:][:, :tracks.shape[1]]
        begins = [piece.begin for piece in takes.pieces[slice(*takes.firsts[number:number + 2])]]
        for first, last in pairwise([*begins, tracks.shape[1]]):
            error = partial(_error, tracks[:, first:last], truth[:, first:last])
            found.append(min(ways, key=error))
    return np.stack(found)


def score(tracks: np.ndarray, voices: np.ndarray) -> dict[str, float]:
    """Swaps, own shares and SI-SDR improvement of tracks in any order. Shape: twice `[K, T]`."""
    tracks, mixture = tracks[best_places(tracks, voices)], voices.sum(0)
    gains = [si_snr(t, v) - si_snr(mixture, v) for t, v in zip(tracks, voices, strict=True)]
    own = own_share(tracks, voices)
    return {"swaps": swap_share(tracks, voices), "own": float(own.mean()),
            "own_least": float(own.min()), "gain_db": float(np.mean(gains))}


def of_two(conversation: Conversation, voices: np.ndarray) -> dict[str, dict[str, float]]:
    """`score` of a conversation's tracks, placed in three ways. Shape: `[K, T]`.

    By the seconds that segments share, of the first hearing alone, by embeddings, and by the voices
    themselves.
    """
    reader = audio.ArrayReader(voices.sum(0, keepdims=True), RATE)
    takes, (length, overlap) = conversation.take(reader), conversation.lengths(RATE)
    plain = by_shared_seconds(reader, takes[0], (length, overlap))

    def placed(ways: Sequence[np.ndarray]) -> dict[str, float]:
        found = np.concatenate(list(conversation.give(reader, takes, ways)), axis=1)
        return score(found, voices)

    return {"shared seconds": score(plain, voices),
            "embeddings": placed(conversation.find(takes)),
            "truth": placed([best_ways(one, voices, length - overlap) for one in takes])}


def of_one(conversation: Conversation, voice: np.ndarray) -> float:
    """How far the second track is below the first, dB, of a recording of one person, `[T]`."""
    tracks = conversation(voice, RATE)
    first, second = sorted(np.square(tracks, dtype=np.float64).sum(1))[:-3:-1]
    return float(10 * np.log10(first / max(second, 1e-12 * first)))


def enrolment(wave: np.ndarray, seconds: float = 4.0) -> np.ndarray:
    """`seconds` of what somebody says beside the loudest four seconds, which mixtures have."""
    clip = loudest(wave, SECONDS * RATE)
    start = next(n for n in range(0, len(wave), 160) if np.array_equal(wave[n:n + len(clip)], clip))
    rest = np.concatenate([wave[:start], wave[start + len(clip):]])
    return rest[:round(seconds * RATE)]


def picked(conversation: Conversation, voices: np.ndarray, references: Sequence[np.ndarray]
           ) -> list[bool]:
    """Whether for each person's enrolment the first track is more theirs than another's.

    Shape: `[K, T]`, K waves.
    """
    reader = audio.ArrayReader(voices.sum(0, keepdims=True), RATE)
    takes, right = conversation.take(reader), []
    for k, wave in enumerate(references):
        recognise = conversation.recognise or conversation.embed
        one = replace(conversation, reference=recognise(wave))
        track = np.concatenate(list(one.give(reader, takes, one.find(takes))), axis=1)[0]
        right.append(int(np.argmax([si_snr(track, voice) for voice in voices])) == k)
    return right
