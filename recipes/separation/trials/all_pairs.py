"""Whether the curriculum is worth it: the same as `frames`, but any two voices from the start."""

from dataclasses import replace
from pathlib import Path

from voxmend.training.recipes import load_recipe

recipe = replace(load_recipe(Path(__file__).with_name("frames.py")), name="all_pairs", easy=0)
