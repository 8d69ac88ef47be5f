"""Options that the verbs of `voxmend bench` share, and their checks, before minutes of work."""

from typing import get_type_hints

import pytest

from helpers.commands import run
from voxmend.cli import bench
from voxmend.cli.options import Measuring, Report

COMMANDS = {"TASK": ["declip"], **{verb: [verb] for verb in bench.VERBS},
            "protocol": ["protocol", "dns-2020"]}
NOISY = ("enhance", "refine")


def command(verb, tmp_path):
    noise = ["--noise", tmp_path] if verb in NOISY else []
    return ["bench", *COMMANDS[verb], "--data", tmp_path, *noise]


@pytest.mark.parametrize("verb", COMMANDS)
def test_verbs_share_their_options(verb):
    kind = get_type_hints(bench.VERBS.get(verb, bench.bench))["common"]
    assert issubclass(kind, Report if verb == "embeddings" else Measuring)


@pytest.mark.parametrize("verb", COMMANDS)
def test_mistakes_are_one_line(verb, tmp_path, capsys):
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "other.md").write_text("mine")
    cases = [(["--seed", -1], "0 or more"), (["--out", tmp_path / "a.txt"], "ends in .json"),
             (["--out", tmp_path / "mine.json"], "mine.json: exists already"),
             (["--out", tmp_path / "other.json"], "other.md: exists already")]
    if verb not in ("enhance", "dereverb", "speakers", "protocol"):
        cases.append((["--steps", 0], "--steps must be at least"))
    if verb != "embeddings":
        fewest = 2 if verb in ("undiff", "speakers") else 1
        cases.append((["--clips", fewest - 1], f"--clips must be at least {fewest}"))
    if verb in ("separate", "enhance", "undiff"):
        cases.append((["--plot", tmp_path / "a.txt"], "ends in .png"))
    for options, word in cases:
        code, text = run(capsys, *command(verb, tmp_path), *options)
        assert code == 2 and word in text.err and text.err.count("\n") == 1, text.err
    assert {path.name for path in tmp_path.iterdir()} == {"mine.json", "other.md"}
