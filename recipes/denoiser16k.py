"""The second stage of the default prior, which `voxmend denoise` uses, at 16 kHz.

A network of bands corrects what the network of whole frames makes of speech in white noise. It was
trained on speech that fills its band (`tools/equalise.py`).
"""

from voxmend.training.two_stage import TwoStageRecipe

recipe = TwoStageRecipe(
    name="denoiser16k",
    network="BandConvNeXt",
    config=dict(channels=112, blocks=6, kernel=[5, 7], dilations=[1, 2, 1, 4], expansion=2),
    steps=1500,
    batch=8,
    seconds=3.0,
    learning_rate=2e-3,
    balance=0.5,
    warmup=100,
    decay=0.7,
    ema=0.998,
    seed=91,
    card={"data": "LibriSpeech train-clean-5 and one utterance each of 141 train-clean-100 "
                  "speakers (read English, CC BY 4.0)", "licence": "Apache-2.0"},
)
