"""How good drawn voices are.

They are held against the originals, against people nobody trained on, against simpler models. The
rows of `figures` are the originals themselves (what real people reach), the drawn voices, and
as many draws of one Gaussian and of a Gaussian mixture with the same moments or data. All speakers
count the same.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import __version__
from ..metrics._common import extra
from ..metrics.frechet import frechet_distance
from ..metrics.neighbours import copy_ratio, neighbour_distances, precision_recall, spread_ratio
from ..metrics.two_sample import two_sample_accuracy
from .embeddings import Embeddings
from .space import VoiceSpace

SUBSETS = 10  # random subsets of drawn voices, as large as the set of real people
MIXTURES = (1, 2, 4, 8, 16)  # numbers of components that are tried
AMOUNTS = (-3, -2, -1, 0, 1, 2, 3)  # standard deviations of steering
NEGLIGIBLE = 1e-4  # of a component's variance, against a mean of 1
ROWS = 2000  # that a mixture is fitted to
NEIGHBOURS = 3  # of precision and recall
FEWEST, MOST = 10, 200  # real people


def one_each(embeddings: Embeddings, generator: np.random.Generator) -> np.ndarray:
    """One embedding of every speaker, at random. Shape: `[speakers, D]`."""
    order = generator.permutation(len(embeddings))
    chosen = np.unique(embeddings.people[order], return_index=True)[1]
    return embeddings.vectors[order[chosen]]


def moments(drawn: np.ndarray, space: VoiceSpace) -> dict[str, float]:
    """Mean and variance of every dimension against those of the originals, whose `space` it is.

    In units of the originals: differences of means in standard deviations, of variances in shares.
    The signed ones are means over the dimensions, the others of absolute values.
    """
    x = space.standardise(drawn).double().numpy()
    mean, difference = x.mean(0), x.var(0) - 1
    found = {"mean_signed": mean.mean(), "variance_signed": difference.mean(),
             "mean_difference": np.abs(mean).mean(),
             "variance_difference": np.abs(difference).mean(),
             "variance_difference_largest": np.abs(difference).max()}
    return {name: float(value) for name, value in found.items()}


class Yardsticks:
    """One Gaussian, and a mixture of Gaussians, fitted to the same voices.

    The mixture is of whitened components, with diagonal covariances, of as many Gaussians as give
    voices of a fifth of the speakers, left out of the fit, the highest likelihood. Components of
    next to no variance, which encoders have whose last layer widens, stay with the one Gaussian.

    Attributes:
        components: number of Gaussians in the mixture.
        log_likelihoods: mean per left-out voice by number of Gaussians, less that of one.
    """

    def __init__(self, originals: Embeddings, space: VoiceSpace, seed: int = 0):
        self.space, self.rng = space, np.random.default_rng(seed)
        self.seed, self.spread = seed, space.variances.sqrt().numpy()
        whitened = space.components(originals.vectors).numpy() / self.spread
        self.mixable = int((space.variances > NEGLIGIBLE).sum())
        everyone = np.unique(originals.people)
        left_out = np.isin(originals.people, self.rng.permutation(everyone)[::5])
        seen, unseen = (self._resample(whitened[rows], originals.weights[rows])
                        for rows in (~left_out, left_out))
        found = {count: self._fit(count, seen).score(unseen) for count in MIXTURES
                 if count <= len(everyone) // 2}
        self.components = max(found, key=lambda count: found[count])
        self.log_likelihoods = {count: score - found[1] for count, score in found.items()}
        self.mixture = self._fit(self.components, self._resample(whitened, originals.weights))

    def _resample(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        chosen = self.rng.choice(len(rows), ROWS, p=weights / weights.sum())
        return rows[chosen, :self.mixable]

    def _fit(self, components: int, rows: np.ndarray) -> Any:
        mixture = extra("sklearn.mixture", "speakers").GaussianMixture(
            components, covariance_type="diag", reg_covar=1e-2, random_state=self.seed)
        return mixture.fit(rows)

    def gaussian(self, count: int) -> np.ndarray:
        return self._compose(self.rng.standard_normal((count, self.space.dim)))

    def mixed(self, count: int) -> np.ndarray:
        rest = self.rng.standard_normal((count, self.space.dim - self.mixable))
        return self._compose(np.concatenate([self.mixture.sample(count)[0], rest], axis=1))

    def _compose(self, whitened: np.ndarray) -> np.ndarray:
        return self.space.compose(torch.from_numpy(whitened * self.spread).float())


class SexProbe:
    """Tells women from men: logistic regression on standardised embeddings of labelled originals.

    `probe(vectors)` is the share of women, `probe.probability(vectors)` that of each being one.
    Raises ValueError where the labels are not of both.
    """

    def __init__(self, originals: Embeddings, space: VoiceSpace):
        sexes = np.array(originals.sexes)
        known = sexes != ""
        if len(set(sexes[known])) < 2:
            raise ValueError("a probe of sex needs labels of women and of men")
        self.space = space
        self.model = extra("sklearn.linear_model", "speakers").LogisticRegression(
            C=0.01, max_iter=1000)
        self.model.fit(self._features(originals.vectors[known]), sexes[known] == "F",
                       known.sum() * originals.weights[known])

    def _features(self, vectors: np.ndarray) -> np.ndarray:
        return self.space.standardise(vectors).numpy()

    def probability(self, vectors: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(self._features(vectors))[:, 1]

    def __call__(self, vectors: np.ndarray) -> float:
        return float((self.probability(vectors) > 0.5).mean())

    def accuracy(self, people: Embeddings) -> float:
        """On labelled voices, all speakers counting the same."""
        sexes, weights = np.array(people.sexes), people.weights * (np.array(people.sexes) != "")
        right = (self.probability(people.vectors) > 0.5) == (sexes == "F")
        return float(weights @ right / weights.sum())


class Judge:
    """Figures of any set of voices, against real people.

    Args:
        originals: what was trained on.
        held_out: people who were not; without them, the originals stand for real people.

    Raises ValueError for fewer than ten people.
    """

    def __init__(self, originals: Embeddings, space: VoiceSpace,
                 held_out: Embeddings | None = None, seed: int = 0):
        self.space, self.seed = space, seed
        self.real, self.rng = held_out or originals, np.random.default_rng(seed)
        self.people = self.rng.permutation(one_each(self.real, self.rng))[:MOST]
        if len(self.people) < FEWEST:
            raise ValueError(f"{len(self.people)} speakers say too little; give {FEWEST} or more")
        self.known = (originals.vectors, self.people) if held_out else (self.people,)
        self.probe = SexProbe(originals, space) if any(originals.sexes) else None

    def __call__(self, drawn: np.ndarray) -> dict[str, float | None]:
        """The figures of drawn voices."""
        return {**self.whole(drawn), **self.against_people(drawn),
                "copy_ratio": copy_ratio(drawn, *self.known)}

    def whole(self, voices: np.ndarray) -> dict[str, float | None]:
        """Figures that take all voices at once."""
        return {**moments(voices, self.space),
                "frechet": frechet_distance(voices, self.real.vectors, self.real.weights),
                "women": self.probe(voices) if self.probe else None}

    def against_people(self, voices: np.ndarray) -> dict[str, float]:
        """Figures of sets of equal size, means over random subsets."""
        rows, size = [], min(len(voices), len(self.people))
        for _ in range(SUBSETS):
            some = self.rng.permutation(voices)[:size]
            people = self.rng.permutation(self.people)[:size]
            precision, recall = precision_recall(some, people, NEIGHBOURS)
            rows.append({"precision": precision, "recall": recall,
                         "two_sample": two_sample_accuracy(some, people, self.seed),
                         "spread_ratio": spread_ratio(some, people)})
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def steering(voices: np.ndarray, space: VoiceSpace, probe: SexProbe | None,
             axes: tuple[str, ...]) -> dict[str, list[dict]]:
    """What becomes of voices that are steered: their place on the axis, their sex, the rest.

    `rest` is how far a voice's standardised components without that along the axis move, as a share
    of their length: in the mean, and `rest_largest` at most.
    """
    spread = space.variances.sqrt()
    found: dict[str, list[dict]] = {}
    for axis in axes:
        u = space.direction(axis)

        def orthogonal(vectors: np.ndarray, u: Tensor = u) -> Tensor:
            w = space.components(vectors) / spread
            return (w - (w @ u)[:, None] * u) * spread

        before, found[axis] = orthogonal(voices), []
        for amount in AMOUNTS:
            turned = space.steer(voices, axis, amount)
            moved = (orthogonal(turned) - before).norm(dim=1) / before.norm(dim=1)
            found[axis].append({
                "amount": amount, "position": float(space.positions(turned, axis).mean()),
                "women": probe(turned) if probe else None,
                "probability": float(probe.probability(turned).mean()) if probe else None,
                "rest": float(moved.mean()), "rest_largest": float(moved.max())})
    return found


def figures(originals: Embeddings, drawn: Embeddings, held_out: Embeddings | None = None,
            seed: int = 0, say: Callable[[str], None] = lambda what: None) -> dict:
    """All figures of drawn voices and of yardsticks; can be written as JSON.

    Args:
        say: is called with what is being done.
    """
    say("fitting Gaussians")
    space = VoiceSpace.of(originals)
    yardsticks = Yardsticks(originals, space, seed)
    judge = Judge(originals, space, held_out, seed)
    rows = []
    if held_out:
        say("judging originals")
        rng = np.random.default_rng(seed)
        drawn_anew = rng.choice(len(originals), len(drawn), p=originals.weights)
        rows.append({"method": "originals", **judge.whole(originals.vectors[drawn_anew]),
                     **judge.against_people(one_each(originals, rng))})
    for name, vectors in (("drawn", drawn.vectors),
                          ("one Gaussian", yardsticks.gaussian(len(drawn))),
                          (f"mixture of {yardsticks.components}", yardsticks.mixed(len(drawn)))):
        say(f"judging {name}")
        rows.append({"method": name, **judge(vectors)})
    nearest = neighbour_distances(drawn.vectors)
    axes = (*(["sex"] if space.sex_shift.any() else []), "1", "2", "3")
    return {"version": __version__, "encoder": originals.encoder, "dimensions": originals.dim,
            "originals": len(originals), "speakers": len(set(originals.speakers)),
            "drawn": len(drawn), "held_out": len(held_out) if held_out else None,
            "people": len(judge.people), "seed": seed, "rows": rows,
            "distinct": len(np.unique(drawn.vectors, axis=0)),
            "nearest_pair": float(nearest.min()),
            "mixture_log_likelihood": yardsticks.log_likelihoods,
            "sex": {"probe_accuracy_held_out": judge.probe.accuracy(held_out)
                    if held_out and any(held_out.sexes) else None,
                    "women_among_speakers": women(originals)} if judge.probe else None,
            "steering": steering(drawn.vectors, space, judge.probe, axes)}


def women(embeddings: Embeddings) -> float:
    """Share of women among the labelled, all speakers counting the same."""
    sexes = np.array(embeddings.sexes)
    return float(embeddings.weights @ (sexes == "F") / (embeddings.weights @ (sexes != "")))
