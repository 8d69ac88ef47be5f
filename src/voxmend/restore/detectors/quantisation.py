"""How coarsely a recording was rounded."""

import numpy as np


def quantisation_step(wave: np.ndarray) -> float:
    """The smallest change from sample to sample, but for one in a thousand. Shape: `[n]`.

    Where nothing was rounded it is next to nothing; a few samples may lie off the grid.
    """
    change = np.abs(np.diff(wave))
    change = change[change > 0]
    return float(np.quantile(change, 0.001)) if len(change) else 0.0
