"""Speaker embeddings of voices that nobody has, for a text-to-speech system that takes one.

    python examples/new_voices.py [COUNT [OUT.npz]]
"""

import sys

import numpy as np

from voxmend.speakers import voices


def main(count: str = "20", out: str = "voices.npz") -> None:
    """Draws voices, steers them along the axis of sex, and prints where they stand on it."""
    model = voices.load()
    drawn = voices.generate(model, int(count), seed=0)
    print(f"{len(drawn)} voices of {drawn.dim} dimensions, "
          f"{len(np.unique(drawn.vectors, axis=0))} of them distinct")
    for amount in (-1, 0, 1):
        steered = model.space.steer(drawn.vectors, "sex", amount)
        place = model.space.positions(steered, "sex").mean()
        print(f"steered by {amount:+d}: {place:+.2f} standard deviations from men to women")
    np.savez(out, embeddings=drawn.vectors, names=np.array(drawn.names))


if __name__ == "__main__":
    main(*sys.argv[1:])
