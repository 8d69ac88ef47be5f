"""What a prior that corrects first guesses reaches, hearing them at several speeds.

    python tools/guess_speeds.py PRIOR SPEECH TASK [SPEEDS ...]

PRIOR is a bundled name or a file, SPEECH a folder of recordings (choose on the val/ of training),
TASK is declip, extend, inpaint or mend, SPEEDS are like 1,0.88, by default several. Prints means
over the loudest 4 s of every file, damaged as in the benchmark.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from voxmend.benchmarks.restoration import CASES, load_clips
from voxmend.benchmarks.scoring import RATE, score
from voxmend.restore.restorer import Restorer
from voxmend.restore.tasks import TASKS

SHOWN = {"si_snr": "SI-SNR dB", "lsd": "LSD", "pesq_wb": "PESQ-WB"}
SPEEDS = ["1", "1,0.94", "1,0.88", "1,0.8", "1,0.9,0.8"]


def main(prior: str, speech: str, name: str, *given: str) -> None:
    """Prints the table."""
    clips, task = load_clips(Path(speech), None), TASKS[name]
    print(f"{len(clips)} clips\n\n| damage | speeds | {' | '.join(SHOWN.values())} |\n"
          f"|---|---|{'---|' * len(SHOWN)}")
    cases = [case for case in CASES if case == name or case.startswith(f"{name}-")]
    for case in cases:
        examples = [CASES[case].make(clip, number) for number, clip in enumerate(clips)]
        for speeds in given or SPEEDS:
            told = {**(task.told or {}), "speeds": tuple(map(float, speeds.split(",")))}
            restorer = Restorer(replace(task, told=told), prior)
            found = [score(e, restorer(e.damaged, RATE, e.damage)) for e in examples]
            rows = [[figures[name] for name in SHOWN] for figures in found]
            shown = " | ".join(f"{figure:.{digits}f}" for figure, digits in
                               zip(np.mean(rows, 0), (2, 3, 2), strict=True))
            print(f"| {case} | {speeds.replace(',', ', ')} | {shown} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
