"""DiffSep for two voices at 16 kHz with a light network, a Conv-TasNet that sees noise, for a CPU.

It begins with the weights of the bundled Conv-TasNet, which recipes/conv_tasnet.py trains: from
random ones the score's loss takes far longer to find out that there are two speakers at all.
"""

from voxmend.diffsep import DiffSepRecipe
from voxmend.networks.score_tasnet import ScoreTasNet

recipe = DiffSepRecipe(
    name="diffsep",
    network="ScoreTasNet",
    config=ScoreTasNet.PRESETS["diffsep"],
    prediction="differences",
    begin="conv_tasnet",
    steps=2270,
    batch=4,
    seconds=2.0,
    mismatch=0.7,  # the shipped weights had 0.5 for the first 590 steps
    alone=0.1,
    learning_rate=1e-3,
    warmup=100,
    # two calls end near the posterior mean, which these weights find better than a draw
    card={"sampling": {"sampler": "ancestral", "steps": 2},
          "data": "mixtures of two speakers of LibriSpeech train-clean-5 and train-clean-100 "
                  "(read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
