"""UnDiff's CQT-UNet at the size of its paper (sections 4.3 and 4.4), for GPUs.

From there: 200 steps of noise, segments of 2 s, batches of 8, Adam at 2e-4, 230 epochs. An epoch is
taken to be one segment of each of VCTK's 41 000 training utterances.
"""

from voxmend.networks.cqt_unet import CQTUNet
from voxmend.training.recipes import EpsilonRecipe

recipe = EpsilonRecipe(
    name="undiff_cqt_unet",
    network="CQTUNet",
    config=CQTUNet.PRESETS["paper"],
    steps=230 * 41000 // 8,
    card={"licence": "Apache-2.0"},
)
