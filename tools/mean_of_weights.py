"""The mean of two files of weights of one network: `mean_of_weights.py ONE OTHER SHARE OUT`.

SHARE, 0 to 1, is what OTHER has of it, which was trained on from ONE. Between the two lies what a
loss of a late course gave and what it cost, often the one without the other. (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models") OUT has the card of OTHER; its course is to be told there.
"""

import sys
from pathlib import Path

from safetensors.torch import load_file

from voxmend.models import hub


def main(one: str, other: str, share: float, out: Path) -> None:
    """Writes the mean, in the precision of `other`."""
    paths = [hub.find_prior(name, kind="weights") for name in (one, other)]
    first, second = (load_file(path) for path in paths)
    if {n: t.shape for n, t in first.items()} != {n: t.shape for n, t in second.items()}:
        raise SystemExit(f"{paths[1]}: not of the network of {paths[0]}")
    mean = {name: first[name].float().lerp(some.float(), share).to(some.dtype)
            for name, some in second.items()}
    hub.save_prior(out, mean, hub.read_card(paths[1]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4]))
