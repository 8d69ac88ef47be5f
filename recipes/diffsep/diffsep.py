"""DiffSep for two voices at 16 kHz that corrects the separator's estimates, for a CPU.

The separator, which `recipes/separation/frame_separator.py` trains, has found who speaks; a light
network denoises what is wrong with its estimates.
"""

from voxmend.systems.regeneration import RegenerationRecipe

recipe = RegenerationRecipe(
    name="diffsep",
    config=dict(channels=160, blocks=6, kernel=7, dilations=[1, 2, 4, 8], expansion=3, inputs=3,
                log_magnitude=True),
    separator="frame_separator",
    # The shipped weights: 600 steps in batches of 8 on the separator of 651 hours, 400 with
    # mismatch=0.2 on that of 1306 hours, 550 as below, all at one speed; then, with batch=6,
    # mismatch=0.9, decay=0.8 and rates of 7e-4, 761 at the three speeds of its card; and 700 of
    # speech and noise that tools/equalise.py made, begun with that gain in the first layer's
    # weights and its inverse in the last one's.
    steps=1550,
    batch=4,
    mismatch=0.7,
    seconds=3.0,
    alone=0.06,
    balance=0.4,
    noisy=0.25,
    wet=0.12,
    learning_rate=2e-3,
    warmup=100,
    decay=0.55,
    ema=0.998,
    card={"sampling": {"sampler": "ancestral", "steps": 1, "polarities": 2},
          "data": "mixtures of two speakers of LibriSpeech train-clean-5 and train-clean-100 "
                  "(read English, CC BY 4.0), and 1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
