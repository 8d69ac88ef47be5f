"""The default prior: a frame-wise ConvNeXt denoiser of read English at 16 kHz.

The bundled weights had two courses of the learning rate, to step 7600 and from there to 11900. To
train them further, on a voice of your own for instance, set begin="speech16k" and a lower rate.
"""

from voxmend.training.recipes import PriorRecipe

recipe = PriorRecipe(
    name="speech16k",
    network="FrameConvNeXt",
    config=dict(channels=384, blocks=10, kernel=7, dilations=[1, 2, 4], expansion=3),
    steps=11900,
    card={"data": "LibriSpeech train-clean-5 and one utterance each of 141 train-clean-100 "
                  "speakers (read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
