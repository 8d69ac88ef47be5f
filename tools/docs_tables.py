"""What pages of the site take from elsewhere, so that every figure stands in one place.

Pages call these functions as in `{{ table("benchmark.md", "**declip**", "SI-SNR dB") }}`.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def cells(line: str) -> list[str]:
    """The cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows_below(text: str, line: str) -> list[list[str]]:
    """The first table below a line of a page, its head first and without the rule.

    Raises ValueError where the line or the table is missing.
    """
    lines = text.splitlines()
    if line not in lines:
        raise ValueError(f"no line {line!r}")
    below = lines[lines.index(line) + 1:]
    start = next((i for i, row in enumerate(below) if row.startswith("|")), None)
    if start is None:
        raise ValueError(f"no table below {line!r}")
    stop = next((i for i, row in enumerate(below[start:], start) if not row.startswith("|")),
                len(below))
    found = [cells(row) for row in below[start:stop]]
    return [found[0], *found[2:]]


def table(page: str, line: str, *columns: str, rows: str = "") -> str:
    """Columns of the first table below a line of a page in docs/, and where they are from.

    Args:
        columns: their titles; by default all. The first column is always there.
        rows: a regular expression that the first cell of every row shown matches at its start.

    Raises ValueError where line, table, column or rows are missing.
    """
    text = (DOCS / page).read_text(encoding="utf-8")
    head, *body = rows_below(text, line)
    chosen = [0, *(head.index(column) for column in columns)] if columns else range(len(head))
    shown = [row for row in body if re.match(rows, row[0])]
    if not shown:
        raise ValueError(f"{page}: no rows {rows!r} below {line!r}")
    lines = ["| " + " | ".join(row[i] for i in chosen) + " |" for row in (head, *shown)]
    lines.insert(1, "|---" * len(chosen) + "|")
    title = text.splitlines()[0].removeprefix("# ")
    source = f"From [{title}](../{page}), with all rows and the command that prints them."
    return "\n".join([*lines, "", f"<small>{source}</small>"])


def listen(task: str, folder: Path, up: str = "../") -> str:
    """Players and spectrograms of a task's sounds, as tools/docs_sounds.py left them in a folder.

    Args:
        up: from the page to the site's root.
    """
    figures = []
    for sound in json.loads((folder / "sounds.json").read_text(encoding="utf-8"))[task]:
        told = (f" · SI-SNR {sound['si_snr']:.1f} dB, LSD {sound['lsd']:.2f}"
                if "si_snr" in sound else "")
        figures.append(
            f'<figure><figcaption>{sound["title"]}<small>{told}</small></figcaption>'
            f'<audio controls preload="metadata" aria-label="{task}: {sound["title"]}" '
            f'src="{up}sounds/{sound["file"]}"></audio></figure>')
    return (f'<div class="sounds">{"".join(figures)}</div>\n\n<div class="scroll" markdown>\n'
            f"![spectrograms of these]({up}sounds/{task}.png)\n</div>")


def model(name: str) -> str:
    """The card of bundled weights as a section, from weights/NAME.json."""
    path = ROOT / "src" / "voxmend" / "weights" / f"{name}.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card.pop("loss_curve", None)
    card["file"] = f"{path.with_suffix('.safetensors').stat().st_size / 1e6:.1f} MB"
    card["parameters"] = f"{card['parameters'] / 1e6:.2f} M"
    head, *rows = (f"| {key.replace('_', ' ')} | {spelt(value)} |" for key, value in card.items())
    return "\n".join([f"## {name}", "", head, "|---|---|", *rows])


def spelt(value: object) -> str:
    """A value of a card in a cell: of several their names, and lists by commas."""
    if isinstance(value, dict):
        return "<br>".join(f"{key.replace('_', ' ')}: {spelt(item)}"
                           for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(spelt, value))
    return str(value)


def models() -> str:
    """The cards of all bundled weights."""
    found = sorted((ROOT / "src" / "voxmend" / "weights").glob("*.json"))
    return "\n\n".join(model(path.stem) for path in found)
