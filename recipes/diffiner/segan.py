"""SEGAN at 16 kHz, scaled down for a CPU: at most 256 channels, and a smaller discriminator.

Train it with --noise, a folder of recordings of noise.
"""

from voxmend.networks.segan import SEGAN
from voxmend.systems.segan import SEGANRecipe

recipe = SEGANRecipe(
    name="segan",
    config=SEGAN.PRESETS["scaled"],
    discriminator=(4, 8, 8, 16, 16, 32, 32, 64, 128),
    steps=14000,
    batch=4,
    learning_rate=4e-4,
    warmup=50,
    card={"data": "LibriSpeech train-clean-5 and train-clean-100 (read English, CC BY 4.0), and "
                  "1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
