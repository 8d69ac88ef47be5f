"""A plain prior, told nothing: a frame-wise ConvNeXt denoiser of read English at 16 kHz.

It needs nothing but clean speech, and guides every task; `speech16k.py` trains the bundled prior,
which is told first guesses as well and is also better where it is told nothing.
"""

from voxmend.training.recipes import PriorRecipe

recipe = PriorRecipe(
    name="plain16k",
    network="FrameConvNeXt",
    config=dict(channels=384, blocks=10, kernel=7, dilations=[1, 2, 4], expansion=3),
    steps=11900,
    card={"licence": "Apache-2.0"},
)
