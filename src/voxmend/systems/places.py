"""Whose voice stands where: separated pieces of speech given to people by their embeddings.

    pieces of about 1 s ─ embedding of each track ─┬─ who says what, the likeliest way (Viterbi)
                                                   └─ mean of what each person says ─┘ (repeated)

A state is a place for each track of a piece, mostly a permutation. Two tracks may have one place:
somebody who speaks alone is often left on both.
"""

from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np

# chosen on conversations and monologues of the validation speakers
SURE = 6.0  # what a second of speech with an embedding as near as its person's mean speaks for
MERGE = 0.2  # against two tracks in one place, for each piece
MOVE = 0.2, 2.0  # against a move in silence, and in the midst of a word
SHARED = 0.5  # for tracks that agree with the segment before
APART = 4.0  # against a person on two tracks of a segment, for each second on the lesser one
ONCE, FEW, EVERY = 5.0, 1.0, 0.4  # against another person, in as many of the first seconds, in all
ANCHORS, TRIED, ROUNDS = 8, 4, 10


@dataclass(frozen=True)
class Piece:
    """A piece of a segment, cut where it is quiet.

    Args:
        segment: a number that all of its pieces have, and no others.
        begin: in samples of the segment.
        vectors: embeddings of the tracks, of unit length; None where a track says too little.
        seconds: how much each embedding says, in seconds of speech; 0 where there is none.
        edge: power of each track where the piece begins, over that of speech, 0…1.
        shared: ⟨track i before, track j now⟩ where two segments overlap, over the tracks' energy or
            that of soft speech; 0 where none does, None within a segment.

    Shape: K vectors `[dim]`, seconds and edge `[K]`, shared `[K, K]`.
    """

    segment: int
    begin: int
    vectors: list[np.ndarray | None]
    seconds: np.ndarray
    edge: np.ndarray
    shared: np.ndarray | None = None


def states(tracks: int) -> np.ndarray:
    """Every way of giving places to tracks, the permutations first. Shape: `[S, K]`."""
    orders = list(permutations(range(tracks)))
    rest = [s for s in product(range(tracks), repeat=tracks) if s not in set(orders)]
    return np.array(orders + rest)


def moves(pieces: list[Piece], ways: np.ndarray) -> np.ndarray:
    """What speaks for going from a state to another, into each piece. Shape: `[N, S, S]`."""
    out = np.zeros((len(pieces), len(ways), len(ways)))
    moved = ways[:, None] != ways[None]  # S, S, K
    agree = ways[:, None, :, None] == ways[None, :, None, :]  # S, S, K before, K now
    for n, piece in enumerate(pieces):
        if piece.shared is not None:
            out[n] = SHARED * (agree * piece.shared).sum((2, 3))
        elif n:
            out[n] = -(moved * (MOVE[0] + (MOVE[1] - MOVE[0]) * piece.edge)).sum(2)
    return out


def likeliest(scores: np.ndarray, into: np.ndarray) -> tuple[np.ndarray, float]:
    """The likeliest way through states (Viterbi), and its score. Shape: `[N, S]`, `[N, S, S]`."""
    best, back = scores[0], []
    for score, move in zip(scores[1:], into[1:], strict=True):
        paths = best[:, None] + move
        back.append(paths.argmax(0))
        best = paths.max(0) + score
    way = [int(best.argmax())]
    for step in reversed(back):
        way.append(int(step[way[-1]]))
    return np.array(way[::-1]), float(best.max())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


class Places:
    """Gives places to the tracks of all pieces: `Places(pieces).ways`, `[N, K]`.

    Args:
        pieces: of a recording, in order.

    Attributes:
        means: an embedding for each place, `[K, dim]`, zero where nobody is.
        people: how many people were found.
    """

    def __init__(self, pieces: list[Piece]):
        vectors = [v for piece in pieces for v in piece.vectors]
        dim = max([1, *(len(v) for v in vectors if v is not None)])
        self.vectors = np.stack([np.zeros(dim) if v is None else v for v in vectors])
        self.vectors = self.vectors.reshape(len(pieces), -1, dim)  # N, K, dim
        self.weights = np.stack([p.seconds for p in pieces])  # N, K
        self.segments = np.array([p.segment for p in pieces])
        self.tracks = self.weights.shape[1]
        self.states = states(self.tracks)
        self.into = moves(pieces, self.states)
        found = [self._settle(start) for start in self._starts()]
        _, self.ways, self.means = max(found, key=lambda f: f[0])
        self._join()

    def _starts(self) -> list[np.ndarray]:
        """Means to begin with: what the shared seconds say, and pairs that are far apart."""
        silent = np.zeros((len(self.weights), len(self.states)))
        silent[:, len(list(permutations(range(self.tracks)))):] = -MERGE
        chain = self.states[likeliest(silent, self.into)[0]]
        starts = [self._mean(chain)]
        heard, weights = self.vectors[self.weights > 0], self.weights[self.weights > 0]
        anchors = []
        for number in np.linspace(0, len(heard) - 1, ANCHORS).astype(int) if len(heard) else ():
            near = np.argsort(-(heard @ heard[number]))[:max(1, len(heard) // 10)]
            anchors.append(_unit(heard[near].mean(0)))
        found = []
        for chosen in combinations(anchors, self.tracks):
            means = np.stack(chosen)
            for _ in range(ROUNDS):
                own = np.eye(self.tracks)[(heard @ means.T).argmax(1)] * weights[:, None]
                means = _unit(own.T @ heard)
            found.append((float(weights @ (heard @ means.T).max(1)), means))
        found.sort(key=lambda f: -f[0])
        return starts + [means for _, means in found[:TRIED]]

    def _mean(self, ways: np.ndarray) -> np.ndarray:
        own = ways[:, :, None] == np.arange(self.tracks)  # N, K, places
        return _unit(np.einsum("nk,nkp,nkd->pd", self.weights, own, self.vectors))

    def _scores(self, means: np.ndarray) -> np.ndarray:
        """What each piece says for each state. Shape: `[N, S]`."""
        near = SURE * self.weights[:, :, None] * (self.vectors @ means.T)  # N, K, places
        scores = sum(near[:, k, self.states[:, k]] for k in range(self.tracks))
        shared = [self.tracks - len(set(s)) for s in self.states.tolist()]
        return scores - MERGE * np.array(shared)

    def _settle(self, means: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        ways = None
        for _ in range(ROUNDS):
            way, score = likeliest(self._scores(means), self.into)
            if ways is not None and np.array_equal(way, ways):
                break
            ways, means = way, self._mean(self.states[way])
        return score, self.states[ways], means

    def _value(self, ways: np.ndarray) -> float:
        """What speaks for these places, when each has the mean of what is there."""
        near = (self.vectors * self._mean(ways)[ways]).sum(2)
        numbers = (self.states[None] == ways[:, None]).all(2).argmax(1)
        into = self.into[np.arange(1, len(ways)), numbers[:-1], numbers[1:]].sum()
        own = (ways[:, :, None] == np.arange(self.tracks)) * self.weights[:, :, None]
        said = np.zeros((self.segments.max() + 1, self.tracks, self.tracks))
        np.add.at(said, self.segments, own)  # seconds by segment, track and place
        apart = said.sum(1) - said.max(1)
        return float(SURE * (self.weights * near).sum() + into - APART * apart.sum())

    def _join(self) -> None:
        """Joins places whose people are hardly more likely to be two than to be one."""
        seconds = self.weights.sum()
        another = min(ONCE, FEW * seconds) + EVERY * seconds
        for a, b in combinations(range(self.tracks), 2):
            joined = np.where(self.ways == b, a, self.ways)
            if self._value(self.ways) - self._value(joined) < another:
                self.ways = joined
        self.means = self._mean(self.ways)
        self.people = int((np.linalg.norm(self.means, axis=1) > 0).sum())
