"""What stands beside an output: a JSON that says how it was made, of what, and what it is.

    out.wav.voxmend.json   verb, options, inputs, outputs, task, weights, ..., version, seconds

It appears last, so outputs that its sidecar describes are finished.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__, audio
from ..audio import urls
from .folders import SIDECAR, Job, fit_name, real_name

ELSEWHERE = {"overwrite", "plot", "report", "device", "workers", "ray",
             "batch"}  # options that change no sample


def sidecar(target: Path) -> Path:
    """Where the JSON of an output stands: its name with `.voxmend.json` added, if that fits."""
    return target.with_name(fit_name(target.name, SIDECAR))


def settings(common: Any, **others: Any) -> dict[str, Any]:
    """The options that decide an output, as JSON has them; weights and files with size and time.

    Args:
        common: a dataclass of options.
    """
    def told(value: Any) -> Any:
        named = isinstance(value, Path) or str(value).endswith(".safetensors")
        if named and Path(value).is_file():
            return describe(Path(value)) | {"name": str(value)}
        return value

    options = {name: told(value) for name, value in {**asdict(common), **others}.items()
               if name not in ELSEWHERE}
    found: dict[str, Any] = json.loads(json.dumps(options, default=str))
    return found


def describe(path: Path) -> dict[str, Any]:
    """Name, bytes and time (nanoseconds since 1970) of a file."""
    if urls.is_remote(path):
        return urls.describe(path)
    status = path.stat()
    return {"name": path.name, "bytes": status.st_size, "modified": status.st_mtime_ns}


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_as_written(path: Path, told: dict[str, Any] | None) -> bool:
    """Whether a file is what a sidecar says: its size and time, or its size and hash."""
    found = describe(path)
    if told is None or found["bytes"] != told["bytes"]:
        return False
    return found["modified"] == told["modified"] or hash_file(path) == told["sha256"]


def read(target: Path) -> dict[str, Any] | None:
    """What the sidecar of an output says; None without one, or where it says nothing."""
    try:
        found = json.loads(sidecar(target).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(found, dict) and {"verb", "options", "inputs", "outputs"} <= found.keys()
    return found if known else None


def describe_all(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Name, bytes and time of those files that exist."""
    return [describe(path) for path in paths if path.is_file()]


def why_made(job: Job, verb: str, options: dict[str, Any], overwrite: bool,
             resumes: bool) -> str | None:
    """Why a job is to be done: "" the first time, else what has changed; None if it is finished.

    Args:
        overwrite: outputs that exist are replaced.
        resumes: else outputs that exist may be as voxmend wrote them.

    Raises AudioError for other outputs that exist.
    """
    told = read(job.outputs[0])
    known = {entry["name"]: entry for entry in told["outputs"]} if told else {}
    there = [path for path in job.outputs if path.is_file()]
    if overwrite:
        return ""
    for path in there:
        if real_name(path) in map(real_name, job.inputs):
            raise audio.AudioError(f"{path}: is the recording itself, which --overwrite would "
                                   "replace; use another name")
        if is_unfinished(job.outputs[0]):
            return "it was not finished"
        if not resumes or not is_as_written(path, known.get(path.name)):
            raise audio.AudioError(f"{path}: exists already; add --overwrite or use another name")
    if told is None:
        return ""
    if told["verb"] != verb:
        return f"it was made by {told['verb']}"
    if told["options"] != options:
        differ = sorted(name for name in {*options, *told["options"]}
                        if options.get(name) != told["options"].get(name))
        return f"it was made with other options ({', '.join(differ)})"
    for path in job.outputs:
        if path not in there:
            return f"{path.name} is gone"
    if told["inputs"] != describe_all(job.inputs):
        return f"{job.inputs[0].name if job.inputs else 'its input'} has changed"
    return None


def unfinished(target: Path) -> Path:
    """What stands beside an output by URL from before it is sent until its sidecar is there."""
    return target.with_name(fit_name(f".{target.name}", ".unfinished.json"))


def is_unfinished(target: Path) -> bool:
    """Whether an output by URL may be there without its sidecar, since something was killed."""
    return urls.is_remote(target) and unfinished(target).exists()


def compose(job: Job, made: Sequence[Path], entry: dict[str, Any]) -> dict[str, Any]:
    """What a sidecar says.

    Args:
        made: the outputs where they are now.
        entry: what is to be said beside outputs and version.
    """
    outputs = [describe(now) | {"name": path.name, "sha256": hash_file(now)}
               for path, now in zip(job.outputs, made, strict=True)]
    return {**entry, "outputs": outputs, "version": __version__}
