"""WPE (Nakatani et al. 2010): late reverberation predicted and taken away, by nara-wpe.

One channel, frames of 512 samples every 128, 10 taps after 3 frames, 3 iterations.
"""

from importlib import import_module

import numpy as np

from . import Enhance, Rival

FRAMES = {"size": 512, "shift": 128}


def load() -> Enhance:
    """The filter, estimated on every signal by itself."""
    wpe = import_module("nara_wpe.wpe").wpe
    utils = import_module("nara_wpe.utils")

    def enhance(wave: np.ndarray) -> np.ndarray:
        bins = utils.stft(wave[None], **FRAMES).transpose(2, 0, 1)  # [rows, channels, frames]
        dry = wpe(bins, taps=10, delay=3, iterations=3).transpose(1, 2, 0)
        return utils.istft(dry, **FRAMES)[0, :len(wave)]

    return enhance


RIVAL = Rival("WPE", "nara-wpe", "MIT", 16000, load, task="dereverb")
