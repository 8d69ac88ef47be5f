"""Whether the default prior could tell more of white noise if it heard nothing else.

Speech that fills its band (`tools/equalise.py`) in noise 4 to 14 dB below it; all weights go on.
"""

from dataclasses import dataclass

from voxmend.diffusion.told import GuessDenoiser
from voxmend.training.recipes import PriorRecipe
from voxmend.training.two_stage import TwoStageRecipe


@dataclass
class WhiteNoiseRecipe(TwoStageRecipe):
    """The same examples and the same loss of one stage."""

    def build(self) -> GuessDenoiser:
        return GuessDenoiser(self.fresh_network(), self.sample_rate, self.sigma_min, self.sigma_max,
                             self.sigma_data)

    def describe(self) -> dict:
        return PriorRecipe.describe(self) | {"prediction": "guess"}


recipe = WhiteNoiseRecipe(
    name="white_noise", network="FrameConvNeXt",
    config={"channels": 384, "blocks": 10, "kernel": 7, "dilations": [1, 2, 4, 8], "expansion": 3,
            "inputs": 2, "log_magnitude": True, "marks": 2},
    begin="speech16k", others=0.0, muon=4e-4, steps=3600, batch=12, seconds=3.0,
    learning_rate=3e-4, balance=0.5, warmup=100, decay=0.7, ema=0.998, seed=77)
