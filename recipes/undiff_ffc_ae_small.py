"""UnDiff's FFC-AE at a size that a CPU can train."""

from voxmend.networks.ffc_ae import FFCAE
from voxmend.training import EpsilonRecipe

recipe = EpsilonRecipe(
    name="undiff_ffc_ae_small",
    network="FFCAE",
    config=FFCAE.PRESETS["small"],
    steps=2000,
    batch=4,
    seconds=1.024,
    learning_rate=1e-3,
    card={"licence": "Apache-2.0"},
)
