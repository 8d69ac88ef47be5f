"""Diffiner's prior at its published size (Sawata et al. 2023), for GPUs.

From there: 16 kHz, Hann 512/256 without the constant, 256 frames, 4000 steps, 1e-4 and averages of
0.9999, on the clean speech of VoiceBank. Batch and number of training steps are ours.
"""

from voxmend.networks.unet import DDPMUNet
from voxmend.systems.bins import SpectrogramRecipe

recipe = SpectrogramRecipe(
    name="diffiner_paper",
    network="DDPMUNet",
    config=DDPMUNet.PRESETS["paper"],
    steps=500_000,
    batch=8,
    seconds=4.08,
    learning_rate=1e-4,
    decay=0.0,
    ema=0.9999,
    sigma_data=0.74,
    betas={"schedule": "linear", "steps": 4000, "start": 2.5e-5, "end": 0.005},
    card={"licence": "Apache-2.0"},
)
