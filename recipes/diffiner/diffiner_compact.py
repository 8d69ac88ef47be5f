"""Diffiner's prior in the compact variant, for a CPU: 2 × 256 × 256 bins of 1 s, 50 steps.

Depthwise-separable convolutions, two heads and SiLU; `diffiner_ablation.py` varies them.
"""

from voxmend.networks.unet import DDPMUNet
from voxmend.systems.bins import SpectrogramRecipe

recipe = SpectrogramRecipe(
    name="diffiner_compact",
    network="DDPMUNet",
    config=DDPMUNet.PRESETS["compact"],
    steps=1000,
    batch=2,
    learning_rate=2e-3,
    warmup=50,
    ema=0.99,
    card={"data": "LibriSpeech train-clean-5 and one utterance each of 141 train-clean-100 "
                  "speakers (read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
