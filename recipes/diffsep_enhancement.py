"""DiffSep for noisy speech at 16 kHz with a light frame-wise network, for a CPU.

Train it with --noise, a folder of recordings of noise.
"""

from voxmend.diffsep import EnhancementRecipe
from voxmend.networks.convnext import FrameConvNeXt

recipe = EnhancementRecipe(
    name="diffsep_enhancement",
    network="FrameConvNeXt",
    config=FrameConvNeXt.PRESETS["diffsep"],
    prediction="differences",
    steps=20000,
    batch=8,
    warmup=300,
    card={"data": "LibriSpeech train-clean-5 and train-clean-100 (read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
