"""UnDiff's CQT-UNet at a size that a CPU can train."""

from voxmend.networks.cqt_unet import CQTUNet
from voxmend.training import EpsilonRecipe

recipe = EpsilonRecipe(
    name="undiff_cqt_unet_small",
    network="CQTUNet",
    config=CQTUNet.PRESETS["small"],
    steps=2000,
    batch=4,
    seconds=1.024,
    learning_rate=1e-3,
    card={"licence": "Apache-2.0"},
)
