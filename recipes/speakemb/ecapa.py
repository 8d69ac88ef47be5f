"""An encoder of speakers with 192 dimensions: a small ECAPA-TDNN, for a CPU."""

from voxmend.networks.ecapa import ECAPATDNN
from voxmend.speakers.verification import SpeakerRecipe

recipe = SpeakerRecipe(
    name="ecapa",
    network="ECAPATDNN",
    config=ECAPATDNN.PRESETS["small"],
    steps=2000,
    speakers=169,
    card={"data": "LibriSpeech train-clean-5 and train-clean-100 (read English, CC BY 4.0), and "
                  "1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
