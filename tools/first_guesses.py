"""First guesses of damaged speech, which a prior learns to correct (`recipes/speech16k.py`).

    python tools/first_guesses.py DATA OUT [--hours 4] [--seed 0]

DATA holds train/ and val/ with recordings of clean speech; OUT gets train/ and val/ with clips and
what classical methods make of them, a twentieth for validation. An hour takes a core about twelve
minutes. Stopped, it goes on where it was, and it may run beside the training, in several processes
with seeds of their own.
"""

import argparse
from pathlib import Path

import torch

from voxmend.training import first_guesses
from voxmend.training.corpus import Corpus


def main() -> None:
    """Makes them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for part, share in (("val", 0.05), ("train", 1.0)):
        corpus = Corpus(given.data / part, given.out / "cache" / part)
        corpus.vary(0.6, (0.9, 1.12))
        first_guesses.prepare(corpus, given.out / part, share * given.hours, seed=given.seed)


if __name__ == "__main__":
    main()
