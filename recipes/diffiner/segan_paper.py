"""SEGAN at its original size but for the latent, for pairs of VoiceBank-DEMAND and a GPU.

86 epochs of 400 clips a step at the learning rate of the paper, but with Adam.
"""

from voxmend.networks.segan import SEGAN
from voxmend.systems.segan import SEGANRecipe

recipe = SEGANRecipe(
    name="segan_paper",
    config=SEGAN.PRESETS["paper"],
    steps=14000,
    batch=400,
    learning_rate=2e-4,
    discriminator_rate=2e-4,
    card={"data": "VoiceBank-DEMAND", "licence": "Apache-2.0"},
)
