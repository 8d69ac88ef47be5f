"""What else a table can be asked: whether words and voice are the same, and others' figures.

    panel = Panel()
    row = measure(examples, method, "ours", network, True, panel.beside(score))
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from ..metrics import FIDELITY, TRANSCRIPT, recogniser
from ..metrics.swap_rate import best_order
from ..speakers.encoders import load_encoder
from .scoring import RATE, Example, Judges, available

Score = Callable[..., dict[str, float]]  # of an example and an estimate, perhaps at a rate
ENCODER = "ecapa"  # ours, of the voice


class Panel:
    """Judges that compare what was restored with the original; those that can be had here.

    Args:
        quality: columns of `scoring.JUDGES`, which need no original.
        device: of our encoder of speakers.

    Attributes:
        notes: on who judges, and on what the others lack.
    """

    def __init__(self, *quality: str, device: str = "cpu"):
        ours = load_encoder(ENCODER, device)
        metrics: dict[str, Callable] = {**FIDELITY, "speaker_similarity_ours": partial(
            FIDELITY["speaker_similarity"], encode=ours.embed)}
        whisper = 0.01 * np.random.default_rng(0).normal(size=RATE)
        self.metrics, self.notes = available(metrics, metrics, lambda m: m(whisper, whisper, RATE))
        self.quality = Judges(*quality)
        self.notes += self.quality.notes
        if "words_changed" in self.metrics:
            self.notes.append(f"Words are recognised by {recogniser.chosen().name}; their shares "
                              "are means over the clips. Intervals are of 95 %, by bootstrap.")

    def __call__(self, example: Example, estimate: np.ndarray,
                 rate: int = RATE) -> dict[str, float]:
        """A figure of every judge; of voices, in the order that has the best SI-SNR, the mean."""
        length = min(estimate.shape[-1], example.clean.shape[-1])
        found, clean = np.atleast_2d(estimate[..., :length], example.clean[..., :length])
        if len(clean) > 1:
            found = found[list(best_order(found, clean))]
        rows = [{name: metric(one, other, rate) for name, metric in self.metrics.items()}
                for one, other in zip(found, clean, strict=True)]
        scores = {name: float(np.mean([row[name] for row in rows])) for name in self.metrics}
        if example.said and "words_changed" in self.metrics:
            scores |= {name: TRANSCRIPT[name](found[0], example.said, rate)
                       for name in TRANSCRIPT}
        return scores | self.quality(estimate, rate)

    def beside(self, score: Score) -> Score:
        """What gives these figures beside those of `score`."""
        def both(example: Example, estimate: np.ndarray, *rate: int) -> dict[str, float]:
            return {**score(example, estimate, *rate), **self(example, estimate, *rate)}

        return both
