"""The trials' measure: the frame-wise ConvNeXt with attention that `separate` runs, from scratch.

All trials hear the mixtures of this recipe, clean and of two voices, since how networks find these
is what is compared. AdamW alone: on a CPU Muon's products cost as much as the network's.
"""

from voxmend.networks.frame_separator import FrameSeparator
from voxmend.systems.frame_separator import FrameSeparationRecipe

recipe = FrameSeparationRecipe(
    name="frames",
    config=FrameSeparator.PRESETS["small"],
    steps=100_000,  # the trial's time ends it
    batch=4,
    seconds=2.0,
    alone=0.0,
    noisy=0.0,
    wet=0.0,
    easy=800,
    balance=0.4,
    speeds=(0.94, 1.0, 1.07),
    learning_rate=1e-3,
    muon=0.0,
    warmup=200,
    decay=0.4,
    ema=0.998,
    clip_norm=1.0,
)
