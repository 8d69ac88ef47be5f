"""A prior that corrects first guesses: clipped peaks, gaps, spectra without phases, all at once.

    python tools/first_guesses.py speech/ guesses/ --hours 4
    voxmend train recipes/told16k.py --data speech/
    voxmend declip loud.wav soft.wav --prior runs/told16k/prior.safetensors

No weights of it are bundled: they bring 1.0 dB over S-SPADE on validation, but as a plain prior
they are still worse than speech16k, which teaches them that.
"""

from voxmend.training.correction import CorrectionRecipe

recipe = CorrectionRecipe(
    name="told16k",
    network="FrameConvNeXt",
    config=dict(channels=384, blocks=10, kernel=7, dilations=[1, 2, 4, 8], expansion=3, inputs=2,
                log_magnitude=True, marks=2),
    steps=12000,
    guesses="guesses",
    teacher="speech16k",
    plain=0.5,
    warmup=100,
    decay=0.5,
    ema=0.998,
    card={"licence": "Apache-2.0"},
)
