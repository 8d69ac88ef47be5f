"""What a prior that is told the recording gains by hearing it at other speeds as well.

    python tools/told_speeds.py WEIGHTS SPEECH NOISE [SPEEDS ...]

WEIGHTS is a bundled name or a file, SPEECH and NOISE are folders of recordings (choose on the val/
of training), SPEEDS are what it is heard at, as 1,0.92, by default several. Every file of SPEECH,
its loudest 4 s, stands in noise at 0, 5 and 10 dB. Prints means of the SI-SNR improvement, beside
the standard error of what the mean of several hearings adds to the first row, and of PESQ and
DNSMOS.
"""

import sys
from pathlib import Path

import numpy as np

from voxmend.benchmarks.diffsep import enhanced_by, mixed_with_noise
from voxmend.benchmarks.scoring import RATE, Judges
from voxmend.metrics import METRICS
from voxmend.models.precision import choose
from voxmend.systems.weights import find_weights, load_listener

SPEEDS = [(1.0,), (0.92,), (1.0, 0.92), (1.0, 1.08), (1.0, 0.95, 0.9), (1.0, 0.94, 0.88),
          (1.0, 0.94, 1.06), (1.0, 0.94, 0.88, 1.06)]


def main(weights: str, speech: str, noise: str, *given: str) -> None:
    """Prints the table."""
    trials = [tuple(map(float, speeds.split(","))) for speeds in given] or SPEEDS
    listener, judges = load_listener(find_weights("enhance", "voxmend", weights)), Judges("dnsmos")
    choose(listener, "auto")
    examples = [e for some in mixed_with_noise(Path(speech), Path(noise), None).values()
                for e in some]
    print(f"{len(examples)} mixtures\n\n"
          "| speeds | calls | SI-SNR improvement, dB | beside one | PESQ-WB | DNSMOS OVRL |\n"
          "|---|---|---|---|---|---|")
    one: np.ndarray | None = None
    for speeds in trials:
        method = enhanced_by(listener, speeds=speeds)
        found = [(e, method(e)) for e in examples]
        gains, opinions, guesses = np.array([
            (METRICS["si_snr"](x, e.clean, RATE) - METRICS["si_snr"](e.damaged, e.clean, RATE),
             METRICS["pesq_wb"](x, e.clean, RATE), judges(x)["dnsmos"]) for e, x in found]).T
        one = gains if one is None else one
        error = np.std(gains - one) / len(gains)**0.5
        print(f"| {', '.join(map(str, speeds))} | {len(speeds)} | {gains.mean():.2f} | "
              f"{np.mean(gains - one):+.2f} ± {error:.2f} | {opinions.mean():.3f} | "
              f"{guesses.mean():.2f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
