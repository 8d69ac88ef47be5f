"""Time of one batch size against others: `python tools/batches.py [SECONDS] [TURNS] [DEVICE]`.

Eight signals pass a network in batches of 1, 2, 4 and 8, in one process and on one thread: eight
draws of SECONDS of the demo's clip by two verbs that sample, and the segments of eight times as
much by two that call a network once. Sizes take turns, and the fastest turn counts. Prints how
many seconds of speech a second makes, by the processor's clock (on a GPU by the wall's), each draw
counted, and the greatest difference from batch 1.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import voxmend
from voxmend import TASKS, Damage, Restorer, audio
from voxmend.dsp import degrade
from voxmend.systems import separator

CLIP = Path(voxmend.__file__).parent / "demo" / "clean.flac"
RATE, SIZES, DRAWS = 16000, (1, 2, 4, 8), 8
Made = Callable[[], np.ndarray]


def cases(seconds: float, device: str) -> dict[str, tuple[float, Callable[[int], Made]]]:
    """Seconds of speech that verbs make, and what makes them in batches of a size."""
    clip = audio.load(CLIP, RATE)
    samples = round(DRAWS * seconds * RATE)
    long = np.tile(clip, -(-samples // clip.shape[1]))[:, :samples]
    long += 0.01 * np.random.default_rng(0).standard_normal(long.shape, np.float32)
    short = degrade.lowpass(long[:, :round(seconds * RATE)], 3000, RATE)
    told = Damage(rms=float(short.std()), cutoff=3000.0)

    def drawn(task: str, steps: int) -> Callable[[int], Made]:
        plain = replace(TASKS[task], start="noisy", told=None)

        def made(batch: int) -> Made:
            restorer = Restorer(plain, steps=steps, draws=DRAWS, device=device, precision="fp32",
                                batch=batch)
            return lambda: np.concatenate(list(restorer.stream(
                audio.ArrayReader(short, RATE), told)), axis=1)

        return made

    def enhanced(method: str) -> Callable[[int], Made]:
        def made(batch: int) -> Made:
            run = separator.load("enhance", method, device=device, precision="fp32", batch=batch)
            return lambda: run(long, RATE)

        return made

    whole = DRAWS * seconds
    return {"extend, 2 steps, 8 draws": (whole, drawn("extend", 2)),
            "mend, 1 step by gradients, 8 draws": (whole, drawn("mend", 1)),
            "enhance": (whole, enhanced("voxmend")),
            "enhance --method segan": (whole, enhanced("segan"))}


def main(arguments: Sequence[str]) -> None:
    """Prints a table."""
    seconds, turns, device = [*arguments, *("5", "1", "cpu")[len(arguments):]]
    torch.set_num_threads(1)
    clock = time.process_time if device == "cpu" else time.perf_counter
    print(f"| seconds of speech a second, {device} | " + " | ".join(map(str, SIZES))
          + " | from batch 1 |\n|---|" + "---|" * (len(SIZES) + 1), flush=True)
    for name, (length, make) in cases(float(seconds), device).items():
        runs = {size: make(size) for size in SIZES}
        spent, made = dict.fromkeys(SIZES, np.inf), {}
        runs[1]()  # which prepares
        for _ in range(int(turns)):
            for size, run in runs.items():
                begun = clock()
                made[size] = run()
                spent[size] = min(spent[size], clock() - begun)
        differs = max(float(np.abs(out - made[1]).max()) for out in made.values())
        print(f"| {name} | " + " | ".join(f"{length / took:.2f}" for took in spent.values())
              + f" | {differs:.0e} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
