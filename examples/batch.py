"""Enhances all recordings of a folder by one loaded network.

    python examples/batch.py FOLDER OUTDIR

`voxmend enhance FOLDER OUTDIR` does this too, with sidecars, and skips what is finished.
"""

import sys
from pathlib import Path

from voxmend import audio
from voxmend.systems import separator


def main(folder: str, target: str) -> None:
    """Writes the speech of every recording under the same name into another folder."""
    enhancer = separator.load("enhance")
    Path(target).mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(folder).iterdir()):
        if path.suffix.lower() not in audio.SUFFIXES:
            continue
        try:
            reader = audio.Reader(path)
            speech, _ = enhancer(audio.load(path, reader.sample_rate), reader.sample_rate)
        except audio.AudioError as error:
            print(error)  # says which file and why; the rest go on
            continue
        out = Path(target) / path.with_suffix(".wav").name
        audio.save(out, speech, reader.sample_rate, overwrite=True)
        print(f"{path.name} -> {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
