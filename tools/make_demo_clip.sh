#!/usr/bin/env bash
# Makes the demo's clips: speech by flite (Debian package flite), then composed damage.
set -euo pipefail
cd "$(dirname "$0")/../src/voxmend/demo"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
text="The old recording was found in a cupboard. It was clipped, and dull, and full of holes,"
text="$text but every word that the speaker had said could still be mended."
flite -voice slt -t "$text" -o "$work/clean.wav"
python - "$work/clean.wav" <<'PY'
import sys
from voxmend import audio, degrade

wave = audio.load(sys.argv[1], 16000)
dull = degrade.lowpass(wave, 4000, 16000)
clipped = degrade.clip(dull, degrade.clip_level_for_sdr(dull, 3))
damaged, _ = degrade.gaps(clipped, 16000, milliseconds=50, every=700)
audio.save("clean.flac", wave, 16000, overwrite=True)
audio.save("damaged.flac", damaged, 16000, overwrite=True)
PY
