"""The variants of Diffiner's compact prior: activation, kind of convolution and number of heads.

All see the same crops, steps and noise. They are trained in turn, and a table printed, by
`python tools/ablation.py recipes/diffiner/diffiner_ablation.py DATA OUT`.
"""

from itertools import product

from voxmend.networks.unet import DDPMUNet
from voxmend.systems.bins import SpectrogramRecipe

recipes = [
    SpectrogramRecipe(
        name=f"{activation}-{'separable' if separable else 'standard'}-{heads}",
        network="DDPMUNet",
        config={**DDPMUNet.PRESETS["compact"], "activation": activation, "separable": separable,
                "heads": heads},
        steps=40,
        batch=2,
        seconds=0.508,  # 128 frames
        learning_rate=2e-3,
        warmup=10,
        ema=0.9,
    )
    for activation, separable, heads in product(("silu", "relu", "gelu"), (True, False), (1, 2))]
