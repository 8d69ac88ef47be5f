"""UnDiff's CQT-UNet at a size that a CPU can train."""

from voxmend.networks.cqt_unet import CQTUNet
from voxmend.training.recipes import EpsilonRecipe

recipe = EpsilonRecipe(
    name="undiff_cqt_unet_small",
    network="CQTUNet",
    config=CQTUNet.PRESETS["small"],
    steps=600,
    batch=4,
    seconds=1.024,
    learning_rate=1e-3,
    warmup=100,
    ema=0.995,
    card={"data": "LibriSpeech train-clean-5 and one utterance each of 141 train-clean-100 "
                  "speakers (read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
