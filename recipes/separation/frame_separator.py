"""The separator of two voices at 16 kHz: frame-wise ConvNeXt with attention, made for a GPU.

The bundled weights heard 651 hours of mixtures in 16 minutes of a third of an H200. On a CPU use
a smaller batch and a lower rate, and begin="frame_separator" to train them further.
"""

from voxmend.networks.frame_separator import FrameSeparator
from voxmend.systems.frame_separator import FrameSeparationRecipe

recipe = FrameSeparationRecipe(
    name="frame_separator",
    config=FrameSeparator.PRESETS["small"],
    steps=18610,
    batch=42,
    seconds=3.0,
    alone=0.08,
    balance=0.4,
    learning_rate=2e-3,
    card={"sampling": {"polarities": 2},
          "data": "mixtures of two speakers of LibriSpeech train-clean-5 and train-clean-100 "
                  "(read English, CC BY 4.0), and 1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
