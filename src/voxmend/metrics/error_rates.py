"""Errors of words and characters between two texts, as recognisers of speech are judged by."""

from collections.abc import Sequence

import numpy as np

from ._common import extra


def word_error_rate(found: Sequence[str], wanted: Sequence[str]) -> float:
    """Words to substitute, delete and insert, over those wanted; nan where none are.

    Raises ImportError without jiwer, which counts them.
    """
    if not wanted:
        return np.nan
    return float(extra("jiwer", "judges").wer(" ".join(wanted), " ".join(found)))


def character_error_rate(found: Sequence[str], wanted: Sequence[str]) -> float:
    """As `word_error_rate`, of characters, the spaces between words among them."""
    if not wanted:
        return np.nan
    return float(extra("jiwer", "judges").cer(" ".join(wanted), " ".join(found)))
