"""DiffSep for two voices at 8 kHz with a light frame-wise network, for a CPU.

At 8 kHz, as the paper: most of what tells voices apart lies below 4 kHz, at half the cost.
"""

from voxmend.diffsep import DiffSepRecipe
from voxmend.networks.convnext import FrameConvNeXt

recipe = DiffSepRecipe(
    name="diffsep",
    network="FrameConvNeXt",
    config=FrameConvNeXt.PRESETS["diffsep"],
    prediction="differences",
    steps=20000,
    batch=8,
    warmup=300,
    sample_rate=8000,
    card={"data": "mixtures of two speakers of LibriSpeech train-clean-5 and train-clean-100 "
                  "(read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
