"""DiffSep for two voices at 16 kHz by itself: a Conv-TasNet that sees noise, for a CPU.

It begins with the weights of the bundled Conv-TasNet, which `conv_tasnet.py` trains: from
random ones the score's loss takes far longer to find out that there are two speakers at all.
With --compile a step takes less than half the time.
"""

from voxmend.networks.score_tasnet import ScoreTasNet
from voxmend.systems.diffsep import DiffSepRecipe

recipe = DiffSepRecipe(
    name="score_tasnet",
    network="ScoreTasNet",
    config=ScoreTasNet.PRESETS["diffsep"],
    prediction="differences",
    begin="conv_tasnet",
    steps=1500,
    log_loss=True,
    batch=4,
    seconds=2.0,
    mismatch=0.7,
    alone=0.1,
    balance=0.5,
    speed_range=(0.9, 1.15),
    learning_rate=7e-4,
    warmup=50,
    decay=0.85,
    # one call says the posterior mean, which these weights find better than a draw; the mean of
    # what it says in either polarity is better still
    card={"sampling": {"sampler": "ancestral", "steps": 1, "polarities": 2},
          "data": "mixtures of two speakers of LibriSpeech train-clean-5 and train-clean-100 "
                  "(read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
