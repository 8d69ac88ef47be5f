"""The prior that is told a noisy or reverberant recording, at 16 kHz; made for a GPU.

The bundled weights heard 560 hours in 16 minutes of a third of an H200, then 9 hours on a CPU core
with begin="enhancer16k", batch=6, steps=1800, speeds=(0.92, 1.0, 1.09), perceptual=1, muon=2e-4,
learning_rate=1.7e-4, warmup=50, decay=1, ema=0.998, of what tools/equalise.py makes of speech and
noise; tools/mean_of_weights.py took 0.7 of those and 0.3 of the ones before. Then 50 hours on two
CPU cores, of the last blocks alone: begin="enhancer16k", only=("blocks.7.", "blocks.8.",
"blocks.9.", "norm.", "leave."), batch=12, steps=5000, top=0.9, untold=0.03,
speeds=(0.92, 1.0, 1.09), perceptual=0.6, muon=5e-4, learning_rate=4e-4, warmup=100, ema=0.998.
At last 23 hours there, of 5 % of the weights: begin="enhancer16k", only=("blocks.*.depthwise.",
"blocks.*.scale", "blocks.*.bias", "enter.bias", "norm.", "leave."), batch=12, steps=1500, top=0.9,
untold=0.03, speeds=(0.92, 1.0, 1.09), perceptual=0.6, microphone=0.1, shaped=0.15, rumble=0.15,
muon=0, learning_rate=5e-4, weight_decay=0, warmup=50, decay=0.8, ema=0.998, after 784 steps of more
rumble (shaped=0.25, rumble=0.22).
"""

from voxmend.training.listening import ListeningRecipe

recipe = ListeningRecipe(
    name="enhancer16k",
    network="FrameConvNeXt",
    config=dict(channels=384, blocks=10, kernel=7, dilations=[1, 2, 4, 8, 16], expansion=3,
                inputs=2, log_magnitude=True),
    steps=16009,
    batch=42,
    seconds=3.0,
    decay=0.6,
    ema=0.9995,
    card={"data": "LibriSpeech train-clean-5 and train-clean-100 (read English, CC BY 4.0), and "
                  "1.7 h of noise (CC0, CC BY, CC BY-SA)",
          "licence": "Apache-2.0"},
)
