"""The supervised separator of two voices: a small Conv-TasNet at 16 kHz, for a CPU.

With --compile a step takes less than half the time.
"""

from voxmend.networks.conv_tasnet import ConvTasNet
from voxmend.systems.conv_tasnet import SeparationRecipe

recipe = SeparationRecipe(
    name="conv_tasnet",
    config=ConvTasNet.PRESETS["small"],
    # The shipped weights come from two runs: 5500 steps in batches of 2 without balance and other
    # speeds, the first 2500 of them without `alone`, and from there 5400 more as below.
    steps=8200,
    batch=4,
    seconds=2.0,
    alone=0.1,
    balance=0.5,
    speed_range=(0.9, 1.15),
    learning_rate=8e-4,
    warmup=100,
    decay=0.8,
    card={"sampling": {"polarities": 2},
          "data": "mixtures of two speakers of LibriSpeech train-clean-5 and train-clean-100 "
                  "(read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
