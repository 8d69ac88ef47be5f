"""The verb that shows recordings in a page."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from .options import Place, Workers

PathsOfPage = Annotated[tuple[str, ...], Positional,
                        arg(name="paths", metavar="IN ... OUT.html", help_behavior_hint="")]


@dataclass(frozen=True)
class Showing:
    """Options of `report`."""

    restored: Annotated[Place, arg(metavar="FILE|FOLDER", help_behavior_hint="")] = None
    """What was made of IN, to be shown beside it; of a folder, one with files of the same names."""
    overwrite: bool = False
    """Replace pages that exist already."""
    workers: Workers = None
    """Processes that share files; auto: one for each core."""
    salvage: bool = False
    """Read what is there of a recording that breaks off or whose header says that it is empty."""


def report(paths: PathsOfPage, common: Annotated[Showing, arg(name="")]) -> int:
    """Show and play what is wrong with recordings, in a page.

    The page needs no network and no other file: waveforms with marks, spectrograms, and a player
    that switches between tracks in place, at equal loudness. Of several recordings OUT.html is a
    table, the worst first, with their pages beside it in OUT.pages.

    Args:
        paths: A recording, or several or folders of them, and the page. - is stdin.
    """
    from . import html

    return html.report_files(paths, common.restored, common.salvage, common.overwrite,
                             common.workers)
