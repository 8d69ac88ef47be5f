"""DiffSep for two voices as in its paper (Scheibler et al. 2023, section 4), for GPUs.

From there: 8 kHz, segments of 5 s, levels within ±5 dB and 20 000 mixtures an epoch (WSJ0-2mix),
batches of 48, Adam at 5e-4, 1000 epochs, p_T = 0.1. The release's rate is 2e-4. Speech is mixed on
the way; WSJ0-2mix itself is taken as `voxmend dataset wsj0-2mix` lays it out.
"""

from voxmend.networks.ncsnpp import NCSNpp
from voxmend.systems.diffsep import DiffSepRecipe

recipe = DiffSepRecipe(
    name="diffsep_paper",
    config=NCSNpp.PRESETS["paper"],
    steps=1000 * 20000 // 48,
    batch=48,
    seconds=5.0,
    learning_rate=5e-4,
    decay=0.0,
    level_db=5.0,
    sample_rate=8000,
    card={"licence": "Apache-2.0"},
)
