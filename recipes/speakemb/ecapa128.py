"""An encoder of speakers with 128 dimensions: another last layer for the one of 192."""

from voxmend.networks.ecapa import ECAPATDNN
from voxmend.speakers.verification import SpeakerRecipe

recipe = SpeakerRecipe(
    name="ecapa128",
    network="ECAPATDNN",
    config={**ECAPATDNN.PRESETS["small"], "dim": 128},
    start="ecapa",
    steps=450,
    learning_rate=5e-3,
    speakers=169,
    card={"data": "LibriSpeech train-clean-5 and train-clean-100 (read English, CC BY 4.0), and "
                  "1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
