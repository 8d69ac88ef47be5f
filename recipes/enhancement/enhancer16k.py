"""The prior that is told a noisy or reverberant recording, at 16 kHz; made for a GPU.

The bundled weights heard 560 hours in 16 minutes of a third of an H200. On a CPU use a smaller
batch and a lower rate, and begin="enhancer16k" to train them further. They heard recordings that
lack the top of the band, so their card has an `equaliser` beside this config: to go on, put it into
the config and train on such recordings, or leave it out and train on what tools/equalise.py makes.
"""

from voxmend.training.listening import ListeningRecipe

recipe = ListeningRecipe(
    name="enhancer16k",
    network="FrameConvNeXt",
    config=dict(channels=384, blocks=10, kernel=7, dilations=[1, 2, 4, 8, 16], expansion=3,
                inputs=2, log_magnitude=True),
    steps=16009,
    batch=42,
    seconds=3.0,
    decay=0.6,
    ema=0.9995,
    card={"data": "LibriSpeech train-clean-5 and train-clean-100 (read English, CC BY 4.0), and "
                  "1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
