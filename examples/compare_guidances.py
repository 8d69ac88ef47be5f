"""Guidances and samplers on one damage: every pair, and its SI-SNR.

    python examples/compare_guidances.py [CLEAN]
"""

import sys
from dataclasses import replace
from pathlib import Path

import voxmend
from voxmend import audio
from voxmend.diffusion.samplers import SAMPLERS
from voxmend.dsp import degrade
from voxmend.metrics.si_snr import si_snr

DEMO = Path(voxmend.__file__).parent / "demo" / "clean.flac"


def main(path: str = str(DEMO), seconds: str = "1.5") -> None:
    """Declips the start of a clean recording in 4 steps of every pair."""
    rate = 16000
    clean = audio.load(path, rate)[0][:round(float(seconds) * rate)]
    clipped = degrade.clip(clean, degrade.clip_level_for_sdr(clean, 3))
    prior = voxmend.load_prior()
    guidances = (voxmend.guidance.Imputation(), voxmend.guidance.Reconstruction(0.1),
                 voxmend.guidance.Reconstruction(0.5))
    print(f"clipped: {si_snr(clipped, clean):.2f} dB")
    for guidance in guidances:
        for name, sampler in SAMPLERS.items():
            task = replace(voxmend.TASKS["declip"], guidance=guidance, sampler=sampler, steps=4,
                           told=None)  # by guidance alone, of whatever the prior could be told
            restored = voxmend.Restorer(task, prior=prior)(clipped, rate)
            print(f"{si_snr(restored, clean):6.2f} dB  {guidance}, {name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
