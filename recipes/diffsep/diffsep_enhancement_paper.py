"""DiffSep for noisy speech as in its paper (Scheibler et al. 2023, section 4), for GPUs.

From there: 16 kHz, segments of 3 s, batches of 16, Adam at 1e-4, 160 epochs of VoiceBank-DEMAND's
11 572 utterances, p_T = 0.3 (1/30 in the release), noise that follows the mixture's level. Speech
and noise are mixed on the way, at the ratios of that corpus, 0 to 15 dB; train it with --noise. The
corpus itself is taken, without --noise, as `voxmend dataset voicebank-demand` lays it out.
"""

from voxmend.networks.ncsnpp import NCSNpp
from voxmend.systems.diffsep import EnhancementRecipe

recipe = EnhancementRecipe(
    name="diffsep_enhancement_paper",
    config=NCSNpp.PRESETS["paper"],
    steps=160 * 11572 // 16,
    batch=16,
    learning_rate=1e-4,
    decay=0.0,
    snr_db=(0.0, 15.0),
    card={"licence": "Apache-2.0"},
)
