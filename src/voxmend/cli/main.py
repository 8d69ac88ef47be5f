"""The command `voxmend`: its verbs, errors and exit codes."""

import os
import signal
import sys

import tyro

from . import bench, enhance, restore, speakers, train


def speakers_() -> int:
    """Make, learn, draw, compare and steer embeddings of speakers; has verbs of its own."""
    return main(["speakers", "--help"])


VERBS = {verb.__name__.rstrip("_").replace("_", "-"): verb for verb in (
    restore.mend, restore.declip, restore.extend, restore.inpaint, restore.denoise,
    enhance.enhance, enhance.refine, restore.vocode, enhance.separate, restore.generate,
    restore.degrade, train.dataset, train.train, train.import_, bench.bench, bench.bench_separate,
    bench.bench_enhance, bench.bench_refine, bench.bench_undiff, bench.bench_speakers,
    bench.bench_embeddings, speakers_, train.info)}


def _terminate(signum, frame):
    raise KeyboardInterrupt


def main(args: list[str] | None = None) -> int:
    """Runs the command; 0 when done, 2 with one line on stderr for a bad input or option."""
    signal.signal(signal.SIGTERM, _terminate)  # so temporary files are removed then as well
    args = sys.argv[1:] if args is None else args
    if args[:1] == ["bench"] and "-".join(args[:2]) in VERBS:  # a verb with options of its own
        args = ["-".join(args[:2]), *args[2:]]
    verbs, prog, description = VERBS, "voxmend", (
        "Mend damaged speech with a diffusion prior, a network trained on clean speech. Start "
        "with: voxmend mend IN OUT")
    if args[:1] == ["speakers"] and args[1:]:
        verbs, prog, args = speakers.VERBS, "voxmend speakers", args[1:]
        description = speakers.DESCRIPTION
    try:
        status = tyro.extras.subcommand_cli_from_dict(
            verbs, prog=prog, args=args, description=description,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, head for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed at exit
        return 141  # as a shell calls SIGPIPE
    except KeyboardInterrupt:
        print("voxmend: interrupted; nothing half-written was left", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError, MemoryError, ImportError) as error:
        message = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.filename and error.strerror:
            message = f"{error.filename}: {error.strerror.lower()}"
        print("voxmend: " + " ".join(message.split()), file=sys.stderr)
        return 2
