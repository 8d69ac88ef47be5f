"""Degradations: one per file, composed with `@`."""

from .base import Compose, Operator
from .clip import Clip
from .each import Each
from .evidence import Evidence
from .gap import Gap
from .highpass import Highpass
from .lowpass import Lowpass
from .mel import Mel
from .mixture import Mixture
from .noise import WhiteNoise
from .quantise import Quantise

__all__ = ["Clip", "Compose", "Each", "Evidence", "Gap", "Highpass", "Lowpass", "Mel", "Mixture",
           "Operator", "Quantise", "WhiteNoise"]
