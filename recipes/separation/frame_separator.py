"""The separator of two voices at 16 kHz: frame-wise ConvNeXt with attention, made for a GPU.

The bundled weights had two such courses: 651 hours of mixtures in segments of 3 s, in 16 minutes of
a third of an H200, and from there 654 hours in such of 4 s, at rates of 1.4e-3 and without the easy
ones, in 10 minutes of half of one. On a CPU use a smaller batch and a lower rate, and
begin="frame_separator" to train them further.
"""

from voxmend.networks.frame_separator import FrameSeparator
from voxmend.systems.frame_separator import FrameSeparationRecipe

recipe = FrameSeparationRecipe(
    name="frame_separator",
    config=FrameSeparator.PRESETS["small"],
    steps=18610,
    batch=32,
    seconds=4.0,
    alone=0.08,
    balance=0.4,
    learning_rate=2e-3,
    card={"sampling": {"speeds": [1.0, 0.97, 1.03]},
          "data": "mixtures of two speakers of LibriSpeech train-clean-5 and train-clean-100 "
                  "(read English, CC BY 4.0), and 1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
