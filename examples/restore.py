"""Says what is wrong with a recording and restores it.

    python examples/restore.py [IN [OUT.wav]]
"""

import sys
from pathlib import Path

import voxmend
from voxmend import audio

DEMO = Path(voxmend.__file__).parent / "demo" / "damaged.flac"


def main(path: str = str(DEMO), out: str = "restored.wav") -> None:
    """Restores every channel of a file by the task `mend`."""
    reader = audio.Reader(path)
    damages = voxmend.analyse(reader.blocks(), reader.sample_rate)  # of each channel
    for channel, damage in enumerate(damages):
        print(f"channel {channel}:", "; ".join(damage.describe()) or "nothing is wrong")

    restorer = voxmend.Restorer("mend", seed=0)
    wave = audio.load(path, reader.sample_rate)  # [C, T]
    restored = restorer(wave, reader.sample_rate, damages)
    audio.save(out, restored, reader.sample_rate, subtype="FLOAT", overwrite=True)
    print(f"{out}: {restorer.entry['steps']} steps of {restorer.entry['prior']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
