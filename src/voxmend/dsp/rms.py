"""Root mean square."""

import numpy as np


def rms(wave: np.ndarray) -> float:
    """√(mean x²), summed in float64, of a signal of any shape that is not empty."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
