"""Pieces of HTML that the page is filled with; whatever comes from outside is escaped."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from .examine import PAGE as FOUND
from .examine import Found


def link(secret: str, path: str) -> str:
    """Where a browser finds a file of a recording."""
    return f"files/{secret}/{quote(path)}"


def failure(text: str) -> str:
    """A line that says what went wrong.

    >>> failure("a<b.wav: empty")
    '<p class="error" role="alert">a&lt;b.wav: empty</p>'
    """
    return f'<p class="error" role="alert">{escape(text)}</p>'


def note(text: str) -> str:
    """A line that says how things are."""
    return f'<p role="status">{escape(text)}</p>' if text else ""


def progress(what: str, share: float, seconds: float) -> str:
    """A bar; as long as nothing is known of how far it is, one that only moves."""
    value = f'value="{share:.2f}" ' if share else ""
    said = f"{what or 'loading'}, {share:.0%}" if share else what or "loading"
    return (f'<div class="work"><progress {value}max="1" aria-label="{escape(said)}"></progress>'
            f"<span>{escape(said)}, {seconds:.0f} s</span></div>")


def command(lines: Sequence[str]) -> str:
    """Lines of the command, to be copied."""
    return (f'<div class="command"><label>The same on the command line<textarea readonly '
            f'rows="{len(lines)}">{escape(chr(10).join(lines))}</textarea></label>'
            '<button type="button" class="copy">Copy</button></div>')


def frame(secret: str, path: str, title: str) -> str:
    """A report, which can reach nothing of the page that it stands in."""
    return (f'<iframe class="shown" sandbox="allow-scripts" title="{escape(title)}" '
            f'src="{link(secret, path)}"></iframe>')


def finding(secret: str, name: str, found: Found) -> str:
    """What is wrong with a recording, and where."""
    lines = [*found.mendable.values(), *found.others]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    head = (f"{name}: {found.seconds:.1f} s, {found.sample_rate} Hz, {found.channels} "
            f"channel{'s' if found.channels > 1 else ''}")
    body = f"<ul>{items}</ul>" if lines else "<p>Nothing to mend was found.</p>"
    return (f'<div class="found"><h2>What is wrong</h2><p>{escape(head)}</p>{body}'
            '<details open><summary>Waveform and spectrogram</summary>'
            f'{frame(secret, FOUND, "The recording, with marks")}</details></div>')


def made(secret: str, folder: str, outputs: Sequence[str], others: Sequence[tuple[str, str]],
         notes: Sequence[str], page: str | None, players: Sequence[str] = ()) -> str:
    """What a run made: files to keep, and a page to look at.

    Args:
        folder: of the run, in that of the recording.
        outputs: files.
        others: more files, with what each is.
        notes: what the command said.
        page: the report, in the recording's folder.
        players: names of outputs that get a player each, in their order.
    """
    def item(file: str, text: str) -> str:
        place = link(secret, f"{folder}/{file}")
        return f'<li><a href="{place}?keep" download>{escape(text)}</a></li>'

    items = [item(file, f"Download {file}") for file in outputs]
    items += [item(file, text) for file, text in others]
    if page:
        items.append(f'<li><a href="{link(secret, page)}?keep" download>This comparison (HTML)</a>'
                     "</li>")
    sounds = "".join(
        f'<figure><figcaption>{escape(name)}</figcaption><audio controls preload="metadata" '
        f'aria-label="{escape(name)}" src="{link(secret, f"{folder}/{file}")}"></audio></figure>'
        for name, file in zip(players, outputs, strict=False))
    said = "".join(map(note, notes))
    shown = frame(secret, page, "Before and after") if page else ""
    return (f'<div class="made">{said}<div class="players">{sounds}</div><ul>{"".join(items)}</ul>'
            f"{shown}</div>")
