"""Writes the tables of docs/benchmark.md and README.md from benchmark results.

    mkdir figures
    for task in declip extend inpaint denoise vocode mend; do
        voxmend bench $task --data DIR --steps 8 --out figures/$task.json
    done
    voxmend bench separate --quick --data DIR --noise NOISE --out figures/separate.json
    python tools/figures.py figures "2 cores of an EPYC"

Without the machine rows alone are written anew, of those tasks whose results the folder has, as of
`voxmend bench TASK --only ours --steps 1`; the others stay.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from voxmend.benchmarks.restoration import markdown
from voxmend.metrics import COLUMNS, table

ROOT = Path(__file__).parent.parent
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

Keys = Iterator[tuple[str, ...] | None]  # of lines: by what a row is known, None of other lines


def between(path: Path, name: str) -> list[str]:
    """The lines between the comments `<!-- name -->` and `<!-- end -->`."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", path.read_text(), flags=re.DOTALL)
    assert found, f"{path}: no {name}"
    return found[1].split("\n")


def replace_between(path: Path, name: str, lines: list[str]) -> None:
    """Replaces the lines between those comments."""
    old = "\n".join(between(path, name))
    path.write_text(path.read_text().replace(f"<!-- {name} -->\n{old}\n",
                                             f"<!-- {name} -->\n" + "\n".join(lines) + "\n"))


def keys_of_benchmark(lines: list[str]) -> Keys:
    """Section, table and method of rows; the section alone of the line that says what ran."""
    section = case = ""
    for line in lines:
        if line.startswith("## "):
            section, case = line, ""
        elif line.startswith("**"):
            case = line
        row = line.startswith("| ") and (section, case, line.split("|")[1].strip())
        yield row or ((section,) if re.match(r"\d+ clips of ", line) else None)


def keys_of_readme(lines: list[str]) -> Keys:
    """Task and method of rows."""
    title = ""
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")]
        title = cells[1] or title
        yield (title, cells[2])


def renewed(path: Path, name: str, made: list[str],
            keys: Callable[[list[str]], Keys]) -> list[str]:
    """The lines between comments, with those that were made anew but for rows' first cells.

    Rows of ours in other than the default steps stay away where the page lacks them.

    Raises ValueError for another row that the page lacks, for a table of other columns, and for
    another number of clips.
    """
    lines = between(path, name)
    old, new = (dict(zip(keys(part), part, strict=True)) for part in (lines, made))
    for key, line in new.items():
        if key and key not in old and not re.fullmatch(r"ours, \d+ steps?", key[-1]):
            raise ValueError(f"{path}: has no row of {', '.join(key)}")
        if key and key[-1] == "method" and line != old[key]:
            raise ValueError(f"{path}: the columns of {', '.join(key[:-1])} differ")
        if key and len(key) == 1 and line.split()[0] != old[key].split()[0]:
            raise ValueError(f"{path}: {key[0]} is of {old[key].split()[0]} clips, not of "
                             f"{line.split()[0]}")
    for number, key in enumerate(keys(lines)):
        if key in new and key:
            first, rest = lines[number].split("|")[:2], new[key].split("|")[2:]
            lines[number] = "|".join(first + rest) if rest else new[key]
    return lines


def summary(cases: dict[str, list[dict]]) -> list[str]:
    """The README's table: default steps beside the baselines, of those cases that there are."""
    rows = []
    for case, (title, others) in README.items():
        shown = [row for row in cases.get(case, ())
                 if row["method"] in others or "(default)" in row["method"]]
        for number, row in enumerate(shown):
            method, told = row["method"].replace(" (default)", ""), "" if number else title
            rows.append({**row, "method": f"{told} | {method}"})
    columns = {key: COLUMNS[key] for key in ("si_snr", "lsd", "estoi", "pesq_wb")}
    lines = table(rows, columns)
    return [lines[0].replace("| method", "| task | method"), lines[1] + "---|", *lines[2:]]


def main(folder: Path, machine: str | None = None) -> None:
    """Writes the tables, or their rows, into both files.

    Raises ValueError where results are missing, and as `renewed` does.
    """
    files = {task: folder / f"{task}.json" for task in TASKS}
    results = {task: json.loads(file.read_text()) for task, file in files.items() if file.exists()}
    if not results or (machine and len(results) < len(TASKS)):
        raise ValueError(f"{folder}: lacks results of {', '.join(files.keys() - results.keys())}")
    sections = [f"\n## {task}\n\n{markdown(result)}" for task, result in results.items()]
    cases = {name: rows for result in results.values() for name, rows in result["cases"].items()}
    tables, rows = [f"Machine: {machine}.", *sections], summary(cases)
    benchmark, readme = ROOT / "docs" / "benchmark.md", ROOT / "README.md"
    if machine is None:
        tables = renewed(benchmark, "tables", "\n".join(sections).split("\n"), keys_of_benchmark)
        rows = renewed(readme, "figures", rows, keys_of_readme)
    replace_between(benchmark, "tables", tables)
    replace_between(readme, "figures", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("machine", nargs="?")
    main(**vars(parser.parse_args()))
