"""An encoder of speakers with 512 dimensions: a small x-vector, for a CPU.

Its paper trains by a plain softmax behind two more layers; the margin needs none of them.
"""

from voxmend.networks.xvector import XVector
from voxmend.speakers.verification import SpeakerRecipe

recipe = SpeakerRecipe(
    name="xvector",
    network="XVector",
    config=XVector.PRESETS["small"],
    steps=2400,
    speakers=169,
    card={"data": "LibriSpeech train-clean-5 and train-clean-100 (read English, CC BY 4.0), and "
                  "1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
