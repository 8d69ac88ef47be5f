"""DiffSep for noisy speech at 16 kHz with a light frame-wise network, for a CPU.

Train it with --noise, a folder of recordings of noise. Unlike in the paper the noise of the process
does not follow the mixture's level: the differences are denoised in units of that noise, where a
network that sees them alone cannot tell a pause from speech.
"""

from voxmend.networks.convnext import FrameConvNeXt
from voxmend.systems.diffsep import EnhancementRecipe

recipe = EnhancementRecipe(
    name="diffsep_enhancement",
    network="FrameConvNeXt",
    config={**FrameConvNeXt.PRESETS["diffsep"], "channels": 192, "blocks": 8},
    prediction="differences",
    local_noise=False,
    log_loss=True,
    mismatch=0.6,  # the call where sampling starts is all that the card's sampling makes
    # The shipped weights come from two runs: 4100 steps at a rate from 2e-3, without balance and
    # other speeds, and from there 8600 more as below.
    steps=12700,
    batch=8,
    seconds=2.0,
    balance=0.5,
    speed_range=(0.9, 1.15),
    learning_rate=1.5e-3,
    warmup=200,
    decay=0.8,
    # one call says the posterior mean, which these weights find better than a draw; the mean of
    # what it says in either polarity is better still
    card={"sampling": {"sampler": "ancestral", "steps": 1, "polarities": 2},
          "data": "LibriSpeech train-clean-5 and train-clean-100 (read English, CC BY 4.0), and "
                  "1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
