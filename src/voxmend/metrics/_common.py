"""What the metrics share: checked inputs and optional packages."""

from importlib import import_module

import numpy as np


def paired(estimate, reference) -> tuple[np.ndarray, np.ndarray]:
    """Both signals in float64; raises ValueError unless they are 1-D and equally long."""
    estimate, reference = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    if estimate.ndim != 1 or estimate.shape != reference.shape or not estimate.size:
        raise ValueError("a metric compares two mono signals of the same length, "
                         f"not {list(estimate.shape)} and {list(reference.shape)}")
    return estimate, reference


def extra(package: str):
    """A package of the `metrics` extra; raises ImportError saying how to get it."""
    try:
        return import_module(package)
    except ModuleNotFoundError:
        raise ImportError(f"{package} is missing: pip install 'voxmend[metrics]'") from None
