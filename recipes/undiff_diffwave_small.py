"""UnDiff's DiffWave at a size that a CPU can train."""

from voxmend.networks.diffwave import DiffWave
from voxmend.training import EpsilonRecipe

recipe = EpsilonRecipe(
    name="undiff_diffwave_small",
    network="DiffWave",
    config=DiffWave.PRESETS["small"],
    steps=2000,
    batch=4,
    seconds=1.024,
    learning_rate=1e-3,
    card={"licence": "Apache-2.0"},
)
