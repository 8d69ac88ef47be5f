"""Trial: does an enhancer learn to take tones by few of its weights?

1.2 M weights, of every block the first 72 units, hear beeps and sirens. The trial took 3254 of
4400 steps; it began with what 784 steps of rumble alone had made of the weights before (docs/
enhancement.md), and its rate was 7e-4 for the first 880.
"""

from voxmend.training.listening import ListeningRecipe

recipe = ListeningRecipe(
    name="tones", network="FrameConvNeXt",
    config={"channels": 384, "blocks": 10, "kernel": 7, "dilations": [1, 2, 4, 8, 16],
            "expansion": 3, "inputs": 2, "log_magnitude": True},
    only=("blocks.*.depthwise.", "blocks.*.scale", "blocks.*.bias", "enter.bias", "norm.", "leave.",
          "blocks.*.expand.weight[0:72]", "blocks.*.contract.weight[:,0:72]"),
    begin="enhancer16k", steps=4400, batch=12, seconds=3.0, learning_rate=1.2e-3, weight_decay=0,
    muon=0, top=0.9, untold=0.03, perceptual=0.45, microphone=0.1, shaped=0.25, rumble=0.12,
    tonal=0.2, speeds=(0.88, 0.95, 1.0, 1.08, 1.14), warmup=100, decay=0.6, ema=0.998, seed=1201)
