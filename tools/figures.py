"""Writes the tables of docs/benchmark.md and README.md from benchmark results.

    mkdir figures
    for task in declip extend inpaint denoise vocode mend; do
        voxmend bench $task --data DIR --steps 8 --out figures/$task.json
    done
    voxmend bench separate --quick --data DIR --noise NOISE --out figures/separate.json
    python tools/figures.py figures "2 cores of an EPYC"
"""

import json
import re
import sys
from pathlib import Path

from voxmend.benchmarks.restoration import markdown
from voxmend.metrics import COLUMNS, table

TASKS = ("declip", "extend", "inpaint", "denoise", "vocode", "separate", "mend")
README = {  # case: its title, and the rows beside ours
    "declip": ("declip, 3 dB", ("input", "AR", "A-SPADE", "S-SPADE")),
    "extend-4k": ("extend 4 → 8 kHz", ("input", "mirroring")),
    "extend-2k": ("extend 2 → 8 kHz", ("input", "mirroring")),
    "inpaint": ("inpaint 50 ms (SI-SNR in the gaps)", ("input", "AR", "AR along the pitch")),
    "denoise": ("denoise, 10 dB", ("input", "Wiener")),
    "vocode": ("vocode", ("Griffin-Lim", "Griffin-Lim, bi-level")),
    "separate": ("separate", ("mixture", "frame separator, three speeds",
                              "Conv-TasNet, both polarities",
                              "diffsep, both polarities, 2 calls")),
    "mend": ("mend: band, clip, gaps", ("input", "one after another")),
}

def replace_between(path: Path, name: str, lines: list[str]) -> None:
    """Replaces what stands between the comments `<!-- name -->` and `<!-- end -->`."""
    text, parts = path.read_text(), rf"(<!-- {name} -->\n).*?(\n<!-- end -->)"
    assert re.search(parts, text, flags=re.DOTALL), f"{path}: no {name}"
    text = re.sub(parts, lambda m: m[1] + "\n".join(lines) + m[2], text, flags=re.DOTALL)
    path.write_text(text)


def summary(cases: dict[str, list[dict]]) -> list[str]:
    """The README's table: default steps beside the baselines."""
    rows = []
    for case, (title, others) in README.items():
        shown = [row for row in cases[case]
                 if row["method"] in others or "(default)" in row["method"]]
        for number, row in enumerate(shown):
            method, told = row["method"].replace(" (default)", ""), "" if number else title
            rows.append({**row, "method": f"{told} | {method}"})
    columns = {key: COLUMNS[key] for key in ("si_snr", "lsd", "estoi", "pesq_wb")}
    lines = table(rows, columns)
    return [lines[0].replace("| method", "| task | method"), lines[1] + "---|", *lines[2:]]


def main(folder: Path, machine: str) -> None:
    """Writes the tables into both files."""
    results = {task: json.loads((folder / f"{task}.json").read_text()) for task in TASKS}
    sections = [f"\n## {task}\n\n{markdown(result)}" for task, result in results.items()]
    root = Path(__file__).parent.parent
    replace_between(root / "docs" / "benchmark.md", "tables",
                    [f"Machine: {machine}.", *sections])
    cases = {name: rows for result in results.values() for name, rows in result["cases"].items()}
    replace_between(root / "README.md", "figures", summary(cases))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
