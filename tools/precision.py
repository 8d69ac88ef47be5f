"""What bf16 changes: figures and times of tasks in fp32 and in bf16.

    python tools/precision.py SPEECH NOISE [COUNT]

SPEECH and NOISE are folders of recordings; the loudest 4 s of the first COUNT files are taken.
Prints SI-SNR and PESQ in either, the level of the difference under the result, and how much faster
bf16 is.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from voxmend.benchmarks.dereverb import in_room
from voxmend.benchmarks.diffsep import mixed_with_noise
from voxmend.benchmarks.restoration import CASES, load_clips, mixtures
from voxmend.benchmarks.scoring import RATE, Example, score
from voxmend.models import precision
from voxmend.restore.restorer import Restorer
from voxmend.systems import separator
from voxmend.systems.diffiner import Refiner

KINDS = ("fp32", "bf16")
Trial = tuple[str, list[Example], Callable[[str], Callable[[Example], np.ndarray]]]


def restoring(task: str) -> Callable:
    """What makes the method of a task of the prior, by a precision."""
    def make(kind):
        restorer = Restorer(task, device="cpu", precision=kind)
        return lambda e: restorer(e.damaged, RATE, e.damage)
    return make


def parting(task: str, method: str, voices: slice | int) -> Callable:
    """What makes a method of networks that take recordings apart, by a precision."""
    def make(kind):
        run = separator.load(task, method, device="cpu", precision=kind)
        return lambda e: run(e.damaged, RATE)[voices]
    return make


def refining(kind: str) -> Callable:
    """The refiner, after an enhancer that takes away half of the noise."""
    refiner = Refiner(device="cpu", precision=kind)
    return lambda e: refiner(e.damaged, (e.clean + e.damaged) / 2, RATE)


def trials(speech: Path, noise: Path, count: int) -> Iterator[Trial]:
    """Tasks by their names, with examples."""
    clips = load_clips(speech, count)
    for name, case in CASES.items():
        if name != "separate":
            yield name, [case.make(clip, i) for i, clip in enumerate(clips)], restoring(case.task)
    noisy = mixed_with_noise(speech, noise, count)["noise at 5 dB"]
    for method in ("voxmend", "diffsep"):
        yield f"enhance, {method}", noisy, parting("enhance", method, 0)
    yield "refine", noisy, refining
    yield ("dereverb", [in_room(clip, i) for i, clip in enumerate(clips)],
           parting("dereverb", "voxmend", 0))
    for method in ("frame-separator", "diffsep"):
        yield (f"separate, {method}", mixtures(clips), parting("separate", method, slice(None)))


def row(name: str, examples: list[Example], make: Callable) -> str:
    """A task in either precision, as a line of a table."""
    made, seconds, figures = {}, {}, {}
    for kind in KINDS:
        method, begun = make(kind), time.process_time()
        made[kind] = [method(e) for e in examples]
        seconds[kind] = time.process_time() - begun
        scores = [score(e, x) for e, x in zip(examples, made[kind], strict=True)]
        figures[kind] = [np.mean([s[key] for s in scores]) for key in ("si_snr", "pesq_wb")]
    error = sum(np.sum((a - b) ** 2) for a, b in zip(*made.values(), strict=True))
    below = 10 * np.log10(sum(np.sum(a**2) for a in made["fp32"]) / error) if error else np.inf
    both = [f"{figures[kind][k]:.{2 + k}f}" for k in range(2) for kind in KINDS]
    faster = seconds["fp32"] / seconds["bf16"]
    return f"| {name} | " + " | ".join(both) + f" | {below:.0f} | {faster:.1f} |"


def main(speech: str, noise: str, count: str = "4") -> None:
    """Prints the table."""
    print(f"bf16 pays here: {precision.pays_bf16('cpu')}\n\n| task | SI-SNR dB, fp32 | bf16 | "
          "PESQ-WB, fp32 | bf16 | difference, dB below | times faster |\n|---" + "|---" * 6 + "|")
    for trial in trials(Path(speech), Path(noise), int(count)):
        print(row(*trial), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
