"""Restores a recording of any length in constant memory.

    python examples/stream_long_file.py IN OUT

The recording is read twice, once to find what is wrong and once to restore it, in blocks; segments
of 20 s are restored and cross-faded. OUT has the format of its suffix, and what IN has beside the
sound.
"""

import sys

import voxmend
from voxmend import audio


def main(path: str, out: str) -> None:
    """Streams a file through the task `declip`."""
    reader = audio.Reader(path)
    restorer = voxmend.Restorer("declip")
    rate = restorer.output_rate(reader)

    def progress(sample: int) -> None:
        print(f"\r{sample / reader.sample_rate:8.1f} s", end="", file=sys.stderr)

    with audio.Writer(out, rate, restorer.outputs(reader), overwrite=True, like=reader) as writer:
        for block in restorer.stream(reader, progress=progress):  # [C, n]
            writer.write(block)
    print(f"\n{out}: {writer.subtype}, peak {writer.peak:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
