"""Peak memory of mending a long file: `python tools/long_file.py SPEECH_FOLDER MINUTES`.

Joins recordings until they last MINUTES, low-passes them and cuts gaps, mends the file with one
step and prints the peak resident memory of that command and its time.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from voxmend import audio
from voxmend.dsp import degrade
from voxmend.training import corpus


def main(folder: Path, minutes: float) -> None:
    """Prints the peak memory and the time."""
    files = corpus.audio_files(folder)
    with tempfile.TemporaryDirectory() as work:
        source, left, turn = Path(work) / "long.flac", round(minutes * 60 * 16000), 0
        with audio.Writer(source, 16000, 1) as writer:
            while left > 0:
                wave = audio.load(files[turn % len(files)], 16000)[:1, :left]
                dull = degrade.lowpass(wave, 4000, 16000)
                writer.write(degrade.gaps(dull, 16000, 50, 2000)[0])
                left, turn = left - wave.shape[1], turn + 1
        begun = time.monotonic()
        subprocess.run(["voxmend", "mend", source, Path(work) / "mended.flac", "--steps", "1"],
                       check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"{minutes:g} minutes: peak {peak:.2f} GB resident, "
              f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
