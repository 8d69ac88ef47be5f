"""Where the voices that a model was trained on stand in its space: the map of `voxmend app`.

    voxmend speakers extract SPEECH/train -o emb.npz --labels SPEECH/manifest.csv
    python tools/voice_map.py emb.npz

Writes `src/voxmend/app/voices.json`: the mean of each speaker's recordings along the first two
principal axes of the bundled model, in standard deviations, and the sex. Of many recordings the
first of every speaker are enough.
"""

import json
import sys
from pathlib import Path

import numpy as np

from voxmend.app.voices import AXES, MAP
from voxmend.speakers import embeddings, voices


def main(path: Path) -> None:
    """Writes the map of the embeddings of the speakers that the model learnt."""
    found, model = embeddings.load(path), voices.load()
    if found.encoder != model.card["encoder"]:
        raise SystemExit(f"{path}: by another encoder than the model's")
    places = np.stack([model.space.positions(found.vectors, axis) for axis in AXES], 1)
    people = []
    for who in dict.fromkeys(found.speakers):
        rows = found.people == who
        sex = found.sexes[int(rows.argmax())] if found.sexes else ""
        people.append([*(round(float(x), 2) for x in places[rows].mean(0)), sex])
    MAP.write_text(json.dumps({"model": voices.DEFAULT, "voices": sorted(people)}) + "\n")
    print(f"{MAP}: {len(people)} voices")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
