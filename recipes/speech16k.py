"""The default prior, which corrects first guesses and is a plain prior where it is told nothing.

    python tools/first_guesses.py speech/ guesses/ --hours 200 --keep 80 &
    voxmend train recipes/speech16k.py --data speech/ --device cuda

Clipped peaks, gaps, spectra without phases, lost bands, and clipping, gaps and a lost band at once.
The bundled weights had two courses without bands alone, each from the full rates to zero: 618 hours
heard beside two others on an H200, and 782 hours in 9 minutes of half of one, with 13 hours of
guesses; then 13 hours on a CPU core, with begin="speech16k", batch=12, plain=0.17, narrow=0.5 to
0.75, spectral=0.5, the weights before as teacher, and rates from a half of these to zero; then 64
on a CPU core, on what tools/equalise.py makes of speech, by muon=3e-4 and learning_rate=2.5e-4,
with batch=12, plain=0.17, narrow=0.35 to 0.25, spectral=0.5, at the end perceptual=0.25 and
steps=800 at 2e-4 and 1.7e-4; then 35 on two cores, by muon=4e-4 and learning_rate=3.5e-4, with
batch=12, plain=0.25, narrow=0.2, spectral=0.5, perceptual=0.25 and steps=6000, the first with the
present texture.
"""

from voxmend.training.correction import CorrectionRecipe

recipe = CorrectionRecipe(
    name="speech16k",
    network="FrameConvNeXt",
    config=dict(channels=384, blocks=10, kernel=7, dilations=[1, 2, 4, 8], expansion=3, inputs=2,
                log_magnitude=True, marks=2),
    steps=22225,
    batch=72,
    seconds=1.76,
    guesses="guesses",
    newest=80,
    plain=0.4,
    weight=6.0,
    muon=1.2e-3,
    learning_rate=1e-3,
    warmup=200,
    decay=0.6,
    ema=0.9995,
    card={"data": "LibriSpeech train-clean-5 and one utterance each of 141 train-clean-100 "
                  "speakers (read English, CC BY 4.0)",
          "licence": "Apache-2.0"},
)
