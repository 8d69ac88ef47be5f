"""The variants of Diffiner's compact prior: activation, kind of convolution and number of heads.

All see the same crops, steps and noise. `python tools/ablation.py recipes/diffiner_ablation.py DATA
OUT` trains them in turn and prints a table.
"""

from itertools import product

from voxmend.bins import SpectrogramRecipe
from voxmend.networks.unet import DDPMUNet

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
