"""The command `voxmend`: its verbs, errors and exit codes."""

import io
import os
import signal
import sys
from contextlib import nullcontext
from typing import NoReturn

from .. import __version__
from . import app, bench, enhance, report, restore, speakers, train
from .pages import HELP, Page, join_lines, paths_first, wrapped
from .parsing import parse, unknown_verb
from .stopping import INTERRUPTED, SAID

HOME = Page(
    "voxmend", "[-h] [--version] VERB ...  (VERB --help shows what it takes)",
    "Speech restoration by diffusion models.",
    "voxmend mend IN OUT", {
        "Restore": restore.VERBS,
        "Enhance, separate": enhance.VERBS,
        "Speakers": {"speakers": speakers.PAGE},
        "Browser": app.VERBS,
        "Train, models": train.VERBS,
        "Measure": {"report": report.report, "bench": bench.PAGE, "degrade": restore.degrade}})
VERBS = HOME.verbs


def _run(args: list[str]) -> int:
    if args[:1] == ["--version"]:
        print(f"voxmend {__version__}")
        return 0
    page, args = HOME.choose(args)
    if args and args[0] in HELP:
        return page.show()
    name, rest = (args[0], args[1:]) if args else ("", [])
    if name not in page.verbs:
        raise unknown_verb(name, page.verbs, page.prog)
    verb = page.verbs[name]
    join_lines(verb)
    with wrapped() if set(HELP) & set(rest) else nullcontext():
        call = parse(verb, f"{page.prog} {name}", paths_first(verb, rest))
    return call()


def command() -> NoReturn:
    """Runs the command as a process; an interrupted one ends without Python's own tidying up."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # one that spins loses a shared core's turn
    _stand_in()
    status = main()
    if status == INTERRUPTED:  # what has been loaded takes seconds to unload
        os._exit(status)
    sys.exit(status)


def _stand_in() -> None:
    """Gives closed standard streams something that takes text, and keeps files off their numbers.

    What is written to the numbers themselves, as a recording to `-`, is refused as before.
    """
    closed = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    for _ in closed:
        os.open(os.devnull, os.O_RDONLY)
    for name in {*closed} - {"stdin"}:
        setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def main(args: list[str] | None = None) -> int:
    """Runs the command; 0 when done, 2 with one line on stderr for a bad input or option."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which removes temporary files
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # of names that are no UTF-8
    try:
        status = _run(sys.argv[1:] if args is None else args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, head for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed at exit
        return 141  # as a shell calls SIGPIPE
    except KeyboardInterrupt:
        print(SAID, file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError, RuntimeError, MemoryError, ImportError) as error:
        from .folders import line_of

        print(line_of(error), file=sys.stderr)
        return 2
