"""Several channels as one, without losing what they have in opposite polarity."""

import numpy as np


def mixdown(wave: np.ndarray) -> np.ndarray:
    """The mean of all channels, of which those opposite to the loudest are turned round.

    x = Σ_c s_c x_c/C with s_c = −1 where ⟨x_c, x_loudest⟩ < 0, else 1: of channels in phase their
    mean, and of two in opposite phase, as by a swapped wire, either of them instead of silence.

    Shape: `[C, T]` to `[T]`, float32.

    >>> one = np.array([0.5, -0.25, 0.5], np.float32)
    >>> mixdown(np.stack([one, -one])).tolist()
    [0.5, -0.25, 0.5]
    """
    wave = np.asarray(wave, np.float32)
    loudest = wave[np.square(wave).sum(1).argmax()]
    signs = np.where(wave @ loudest < 0, -1, 1).astype(np.float32)
    return (signs[:, None] * wave).mean(0)
