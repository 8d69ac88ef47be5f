"""Makes a page of every task and system from results of `voxmend bench ... --out`.

    python tools/leaderboard.py PAGE.md RESULT.json ... [--renew] [--sounds FOLDER] [--readme FILE]

A table of each case has the means of its rows with 95 % intervals, ordered by the figure that the
picture beside it shows. Rows that several runs measured on the same clips, sample by sample, stand
in one table, and above it which run had which. FOLDER is what `voxmend bench protocol ... --sounds
FOLDER` has written; the page links to it. In FILE a short table of the real recordings is written
anew between `<!-- rivals -->` and `<!-- end -->`. With --renew the page keeps the sections of cases
that the results lack, and in the others rows.
"""

import argparse
import json
import os
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from figures import replace_between
from voxmend.benchmarks.plots import ranking
from voxmend.benchmarks.protocols import slug
from voxmend.benchmarks.rivals import bare
from voxmend.metrics import COLUMNS, COSTS, table

SHOWN = ("si_snr", "si_sdr", "pesq_wb", "pesq_nb", "estoi", "dnsmos", "lsd", "lsd_hann", "plcmos",
         "wer", "cer", "words_changed", "characters_changed", "speaker_similarity",
         "speaker_similarity_ours", "better", "real_time_factor")
SHORT = ("si_snr", "pesq_wb", "estoi", "dnsmos", "words_changed", "speaker_similarity")
REAL = "VoiceBank-DEMAND, test"  # case of the short table
RANKED = ("si_snr", "pesq_wb", "dnsmos")  # the first that a case has orders its table
PHASELESS = ("vocode",)  # cases of which SI-SNR says nothing
INTRO = """# Leaderboard

Every figure is a mean over clips, with its 95 % bootstrap interval in brackets and the best of each
column in bold; do not compare figures of different cases. `tools/leaderboard.py` makes this page of
the results of the commands in `docs/rivals.md`; a table may hold rows of several runs on the same
clips. The time of "refined" is the refiner's alone; "refined by 20%" is a weighted mean of the
enhanced and the refined recording.
"""


@dataclass
class Section:
    """What runs measured on the same clips: rows by their method, and where they ran.

    Attributes:
        size: how many clips there are, and of which length.
        origins: which weights ran where, and the methods of that run.
        tail: lines that follow the table.
    """

    case: str
    size: str
    rows: dict[str, dict] = field(default_factory=dict)
    origins: dict[str, dict[str, None]] = field(default_factory=dict)
    tail: list[str] = field(default_factory=list)

    def add(self, result: dict, rows: list[dict]) -> None:
        """Takes in a run's rows; raises ValueError where one has other figures than before."""
        for row in rows:
            before = self.rows.setdefault(row["method"], {})
            other = [key for key in before.keys() & row.keys() & COLUMNS.keys() - COSTS
                     if before[key] != row[key]]
            if other:
                raise ValueError(f"{self.case}: {row['method']} of two runs differs in "
                                 f"{', '.join(sorted(other))}; leave one of them out")
            self.rows[row["method"]] = {
                **row, **before, "intervals": {**row["intervals"], **before.get("intervals", {})}}
        self.origins.setdefault(origin(result), {}).update(
            dict.fromkeys(bare(row["method"]) for row in rows))
        published = result.get("published")
        told = ["", "As published, on the whole set:", "", *table(published), "",
                result["source"]] if published else []
        self.tail = self.tail or told
        self.tail += [line for note in result["notes"] if note not in self.tail
                      for line in ("", note)]

    def keep(self, old: "Section") -> None:
        """Takes over what else a page has: other rows, where they ran, and what follows them."""
        others = {name: row for name, row in old.rows.items() if name not in self.rows}
        for place, methods in old.origins.items():
            left = dict.fromkeys(name for name in methods if name in map(bare, others))
            if left:
                self.origins.setdefault(place, {}).update(left)
        self.rows |= others
        self.tail = old.tail

    @property
    def metric(self) -> str:
        """The figure that orders the rows."""
        return next(name for name in RANKED[self.case in PHASELESS:]
                    if any(row.get(name) is not None for row in self.rows.values()))

    @property
    def ranked(self) -> list[dict]:
        """The rows, the best first."""
        known = [row for row in self.rows.values() if row.get(self.metric) is not None]
        others = [row for row in self.rows.values() if row.get(self.metric) is None]
        return sorted(known, key=lambda row: -row[self.metric]) + others


def size_of(result: dict) -> str:
    """How many clips a run heard, and of which length."""
    lengths = f"clips of {result['seconds']} s" if result["seconds"] else "whole recordings"
    return f"{result['clips']} {lengths}"


def sections(results: list[dict]) -> list[Section]:
    """The cases of results; those of one title and the same clips are one."""
    found: dict[tuple, Section] = {}
    for result in results:
        for case, rows in result["cases"].items():
            key = case, *sorted({row["examples"] for row in rows})
            found.setdefault(key, Section(case, size_of(result))).add(result, rows)
    return list(found.values())


def origin(result: dict) -> str:
    """Which weights ran where."""
    models = {f"prior {result['prior']}": result["sha256"], **result.get("models", {})}
    named = ", ".join(f"{name} ({digest})" for name, digest in models.items())
    return (f"voxmend {result['version']}, {named}, seed {result['seed']}, {result['device']}, "
            f"{result['precision']}: {result['machine']}")


def row_of(line: str, keys: list[str]) -> dict:
    """A row of a page's table."""
    method, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
    row: dict = {"method": method, "intervals": {}}
    for key, cell in zip(keys, cells, strict=True):
        figure = re.fullmatch(r"\**(-?[\d.]+)\**(?: \((\S+)…(\S+)\))?", cell)
        row[key] = float(figure[1]) if figure else None
        if figure and figure[2]:
            row["intervals"][key] = [float(figure[2]), float(figure[3])]
    return row


def section_of(title: str, lines: list[str]) -> Section:
    """A section of a page, as `lines_of` writes it."""
    names = {name: key for key, (name, _) in COLUMNS.items()}
    top = next(k for k, line in enumerate(lines) if line.startswith("| method"))
    rows = [*takewhile(bool, lines[top + 2:])]
    keys = [names[cell.strip()] for cell in lines[top].strip("|").split("|")[1:]]
    size, _, place = lines[3].partition(", ")
    made = Section(title.partition(": ")[0], size, tail=lines[top + 2 + len(rows):])
    made.rows = {row["method"]: row for row in (row_of(line, keys) for line in rows)}
    if place.startswith("voxmend"):
        made.origins = {place: dict.fromkeys(map(bare, made.rows))}
    for line in lines[4:top]:
        if line.startswith("- "):
            place, methods = line[2:].rsplit(": ", 1)
            made.origins[place] = dict.fromkeys(listed(methods, map(bare, made.rows)))
    return made


def listed(text: str, names: Iterable[str]) -> list[str]:
    """Those of some names that a text lists, in its order, though names hold commas."""
    left, places = f", {text}, ", {}
    for name in sorted(names, key=len, reverse=True):
        if (place := left.find(f", {name}, ")) >= 0:
            places[name] = place
            left = left.replace(f", {name}, ", f", {' ' * len(name)}, ")
    return sorted(places, key=lambda name: places[name])


def table_of(section: Section, title: str, page: Path) -> list[str]:
    """Lines of a section: what ran where, its picture and its table."""
    picture = page.with_name(f"{page.stem}-{slug(title)}.png")
    ranking(section.ranked, section.metric, picture)
    told = ([f"{section.size}, {next(iter(section.origins))}"] if len(section.origins) == 1 else
            [f"{section.size}, in {len(section.origins)} runs:", "",
             *(f"- {place}: {', '.join(methods)}" for place, methods in section.origins.items())])
    return ["", f"## {title}", "", *told, "",
            f"![{COLUMNS[section.metric][0]} of every system]({picture.name})", "",
            *table(section.ranked, {name: COLUMNS[name] for name in SHOWN}, spread=True, bold=True)]


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


def short(section: Section) -> list[str]:
    """Lines of a table of what the systems are called and the figures that matter most."""
    rows = [{**row, "method": bare(row["method"])} for row in section.ranked
            if " + refined" not in row["method"]]
    return table(rows, {name: COLUMNS[name] for name in SHORT}, bold=True)


def titled(found: list[Section], known: Container[str] = ()) -> dict[str, Section]:
    """Sections by their titles: the case, and where others have the same its size.

    Args:
        known: titles of a page, of which the section's is one.

    Raises ValueError for two of one title.
    """
    cases, titles = [section.case for section in found], dict[str, Section]()
    for section in found:
        sized = f"{section.case}: {section.size}"
        title = sized if cases.count(section.case) > 1 or sized in known else section.case
        if title in titles:
            raise ValueError(f"{title}: results of other clips; leave one of them out")
        titles[title] = section
    return titles


def renew_from(page: Path, title: str, section: Section, old: list[str] | None) -> None:
    """Lets a section keep what else a page has; raises ValueError for none, and of other clips."""
    if old is None:
        raise ValueError(f"{page}: has no section {title}")
    before = section_of(title, old)
    if before.size != section.size:
        raise ValueError(f"{page}: {title} is of {before.size}, not of {section.size}")
    section.keep(before)


def lines_of(section: Section, title: str, page: Path, sounds: Path | None) -> list[str]:
    """All lines of a section."""
    links = listen(sounds, section.case, page) if sounds else ()
    return [*table_of(section, title, page), *links, *section.tail]


def sections_of(page: Path) -> dict[str, list[str]]:
    """The lines of a page's sections, by their titles."""
    found: dict[str, list[str]] = {}
    for part in page.read_text().split("\n## ")[1:]:
        found[part.partition("\n")[0]] = ["", *f"## {part}".rstrip("\n").split("\n")]
    return found


def main(page: Path, files: list[Path], sounds: Path | None = None,
         readme: Path | None = None, renew: bool = False) -> None:
    """Writes the page and its pictures, and the short table.

    Raises ValueError for a section that is to be renewed and is not there, or of other clips, and
    for a short table of which there is no section.
    """
    parts = sections_of(page) if renew else {}
    found = titled(sections([json.loads(file.read_text()) for file in files]), parts)
    real = [section for section in found.values() if section.case == REAL]
    if readme and not real:
        raise ValueError(f"{readme}: the short table is of {REAL}, of which there is no result")
    if renew:
        for title, section in found.items():
            renew_from(page, title, section, parts.get(title))
    for title, section in found.items():
        parts[title] = lines_of(section, title, page, sounds)
    lines = [INTRO, *(line for part in parts.values() for line in part), ""]
    page.write_text("\n".join(lines))
    if readme:
        replace_between(readme, "rivals",
                        short(max(real, key=lambda section: int(section.size.split()[0]))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--renew", action="store_true")
    parser.add_argument("--sounds", type=Path)
    parser.add_argument("--readme", type=Path)
    main(**vars(parser.parse_args()))
