"""First guesses of damaged speech, which a prior learns to correct (`recipes/speech16k.py`).

    python tools/first_guesses.py DATA OUT [--hours 4] [--seed 0] [--keep SHARDS]

DATA holds train/ and val/ with recordings of clean speech; OUT gets train/ and val/ with clips and
what classical methods make of them; an hour takes a core about eight minutes. With --keep only the
newest so many shards of four minutes stay in train/: beside a training, with as many hours as that
hears, nothing is heard often. Stopped, it goes on where it was; several processes share a folder
with seeds of their own. val/ gets twelve minutes, once.
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
    parser.add_argument("--keep", type=int, help="shards of train/ that stay")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for part, hours, keep in (("val", 0.2, None), ("train", given.hours, given.keep)):
        corpus = Corpus(given.data / part, given.out / "cache" / part)
        corpus.vary(0.6, (0.9, 1.12))
        first_guesses.prepare(corpus, given.out / part, hours, seed=given.seed, keep=keep)


if __name__ == "__main__":
    main()
