"""Losses of a recipe's first steps in one process and on several ranks, side by side.

    python tools/compare_ranks.py RECIPE DATA [RANKS [STEPS]]

On CPUs. Prints a table and the largest difference.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory


def losses(recipe: str, data: str, steps: int, folder: Path, *launcher: str) -> list[float]:
    """Of a run that a launcher starts."""
    subprocess.run([sys.executable, *launcher, "-m", "voxmend", "train", recipe, "--data", data,
                    "--steps", str(steps), "--out", str(folder), "--device", "cpu",
                    "--cache", str(folder.parent / "cache")], check=True, capture_output=True)
    entries = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [entry["loss"] for entry in entries if "loss" in entry]


def main(recipe: str, data: str, ranks: str = "2", steps: str = "20") -> None:
    """Trains twice and prints."""
    with TemporaryDirectory() as name:
        one = losses(recipe, data, int(steps), Path(name) / "one")
        many = losses(recipe, data, int(steps), Path(name) / "many", "-m", "torch.distributed.run",
                      "--standalone", "--nproc-per-node", ranks)
    print(f"| step | one process | {ranks} ranks |\n|---|---|---|")
    for step, pair in enumerate(zip(one, many, strict=True), 1):
        print(f"| {step} | {pair[0]:.7f} | {pair[1]:.7f} |")
    print(max(abs(a - b) / abs(a) for a, b in zip(one, many, strict=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
