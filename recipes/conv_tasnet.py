"""The supervised separator of two voices: a small Conv-TasNet at 16 kHz, for a CPU.

With --compile a step takes less than half the time.
"""

from voxmend.networks.conv_tasnet import ConvTasNet
from voxmend.separation import SeparationRecipe

recipe = SeparationRecipe(
    name="conv_tasnet",
    config=ConvTasNet.PRESETS["small"],
    steps=5500,  # the first 2500 of the shipped weights heard two voices only, by `pit_si_snr`
    batch=2,
    seconds=2.0,
    alone=0.1,
    card={"sampling": {"polarities": 2},
          "data": "mixtures of two speakers of LibriSpeech train-clean-5 and train-clean-100 "
                  "(read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
