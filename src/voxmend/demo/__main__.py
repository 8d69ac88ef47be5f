"""`python -m voxmend.demo FOLDER`: mends the bundled clip and says what it did."""

import json
import sys
from pathlib import Path

from .. import audio
from ..cli import main as cli
from ..cli.sidecars import sidecar
from ..metrics.lsd import lsd
from ..metrics.si_snr import si_snr

HERE = Path(__file__).parent


def main(folder: Path) -> int:
    """Leaves damaged.wav, mended.wav, index.html, sidecars and before-after.png in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    damaged, mended, clean = (audio.load(HERE / "damaged.flac", 16000), folder / "mended.wav",
                              audio.load(HERE / "clean.flac", 16000))
    audio.save(folder / "damaged.wav", damaged, 16000, overwrite=True)
    print("The bundled clip was low-passed at 4 kHz, clipped and cut; voxmend is not told.\n")
    code = cli.main(["mend", str(folder / "damaged.wav"), str(mended), "--overwrite",
                     "--plot", str(folder / "before-after.png"),
                     "--report", str(folder / "index.html")])
    if code:
        return code
    after = audio.load(mended, 16000)
    for name, wave in (("before", damaged), ("after ", after)):
        print(f"  {name}: SI-SNR {si_snr(wave[0], clean[0]):5.2f} dB, "
              f"LSD {lsd(wave[0], clean[0], 16000):.2f}   (against the clean clip)")
    factor = json.loads(sidecar(mended).read_text())["real_time_factor"]
    print(f"  {factor:.2f} s of work per second of speech\n\nSee and hear both in a "
          f"browser: {folder}/index.html. Beside it: damaged.wav, mended.wav, before-after.png.\n"
          "Restore your own:  .venv/bin/voxmend mend your.wav mended.wav")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output")))
