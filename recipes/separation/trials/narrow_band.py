"""At 8 kHz, as most published figures are: the same frames of 32 ms with half the bins."""

from dataclasses import replace
from pathlib import Path

from voxmend.training.recipes import load_recipe

recipe = replace(load_recipe(Path(__file__).with_name("frames.py")), name="narrow_band",
                 sample_rate=8000, config=dict(n_fft=256, hop=64))
