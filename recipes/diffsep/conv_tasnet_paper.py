"""Conv-TasNet as in its paper (Luo & Mesgarani 2019, section III), for a GPU.

From there: 8 kHz, segments of 4 s, levels within ±5 dB, Adam at 1e-3, gradients clipped at 5, 100
epochs of 30 h. The paper halves the learning rate on a plateau; here it falls over the second half.
"""

from voxmend.networks.conv_tasnet import ConvTasNet
from voxmend.systems.conv_tasnet import SeparationRecipe

BATCH = 16  # not given in the paper

recipe = SeparationRecipe(
    name="conv_tasnet_paper",
    config=ConvTasNet.PRESETS["paper"],
    steps=100 * 30 * 3600 // 4 // BATCH,
    batch=BATCH,
    seconds=4.0,
    level_db=5.0,
    sample_rate=8000,
    card={"licence": "Apache-2.0"},
)
