"""Makes a page of every task and system from results of `voxmend bench ... --out`.

    python tools/leaderboard.py docs/leaderboard.md RESULT.json ... [--sounds FOLDER]

A table of each case has the means of its rows with 95 % intervals, ordered by the figure that the
picture beside it shows. FOLDER is what `voxmend bench protocol ... --sounds FOLDER` has written;
the page links to it.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

from voxmend.benchmarks.plots import ranking
from voxmend.benchmarks.protocols import slug
from voxmend.metrics import COLUMNS, table

SHOWN = ("si_snr", "si_sdr", "pesq_wb", "pesq_nb", "estoi", "dnsmos", "lsd", "lsd_hann", "plcmos",
         "wer", "words_changed", "speaker_similarity", "speaker_similarity_ours",
         "real_time_factor")
RANKED = ("si_snr", "pesq_wb", "dnsmos")  # the first that a case has orders its table
INTRO = """# Leaderboard

Every figure is a mean over clips, in brackets its 95 % interval by bootstrap; figures of different
cases cannot be compared. This page is made by `tools/leaderboard.py` of the results that the
commands in `{folder}` wrote.
"""


def section(result: dict, case: str, rows: list[dict], page: Path) -> list[str]:
    """Lines of a case: what ran where, its picture and its table."""
    metric = next(name for name in RANKED if any(row.get(name) is not None for row in rows))
    picture = page.with_name(f"{page.stem}-{slug(case)}.png")
    ranking(rows, metric, picture)
    best = sorted(rows, key=lambda row: -(row.get(metric) or float("-inf")))
    lengths = f"clips of {result['seconds']} s" if result["seconds"] else "whole recordings"
    return ["", f"## {case}", "",
            f"{result['clips']} {lengths}, voxmend {result['version']}, {result['device']}, "
            f"{result['precision']}: {result['machine']}", "",
            f"![{COLUMNS[metric][0]} of every system]({picture.name})", "",
            *table(best, {name: COLUMNS[name] for name in SHOWN}, spread=True)]


def listen(folder: Path, case: str, page: Path) -> Iterator[str]:
    """Lines of links to what every system made of the clips that were kept."""
    systems = sorted(path for path in (folder / slug(case)).glob("*") if path.is_dir())
    if not systems:
        return
    yield from ("", "To listen to:", "")
    for system in systems:
        place = os.path.relpath(system, page.parent)
        links = [f"[{file.stem}]({place}/{file.name})" for file in sorted(system.glob("*.flac"))]
        yield f"- {system.name}: {', '.join(links)}"


def main(page: Path, files: list[Path], sounds: Path | None = None) -> None:
    """Writes the page and its pictures."""
    lines = [INTRO.format(folder="docs/rivals.md")]
    for file in files:
        result = json.loads(file.read_text())
        for case, rows in result["cases"].items():
            lines += section(result, case, rows, page)
            lines += listen(sounds, case, page) if sounds else []
            if published := result.get("published"):
                lines += ["", "As published, on the whole set:", "", *table(published), "",
                          result["source"]]
        lines += [line for note in result["notes"] for line in ("", note)]
    page.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--sounds", type=Path)
    main(**vars(parser.parse_args()))
