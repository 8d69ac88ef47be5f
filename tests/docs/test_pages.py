import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

import docs_tables
from helpers.blocks import FENCE, ROOT, blocks, commands, run_page, run_shell, understood
from voxmend import audio
from voxmend.benchmarks.restoration import mel_of
from voxmend.restore.tasks import TASKS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = [path for path in PAGES if blocks(path, "python", "sh")]
DEMO = ROOT / "src" / "voxmend" / "demo"
SAMPLES = 11200  # of the recordings that pages name
OTHER = re.compile(r"^(?!voxmend ).*(?<!\\)$", re.MULTILINE)  # lines of other commands
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")


def name(path):
    return str(path.relative_to(ROOT))


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A folder of the first 0.7 s of the recordings that pages name, as `make demo` leaves them."""
    def write(path, wave):
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.save(path, np.atleast_2d(wave), 16000)

    clean, damaged = (audio.load(DEMO / f"{name}.flac", 16000)[0, 8000:SAMPLES + 8000]
                      for name in ("clean", "damaged"))
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(clean))
    low = resample_poly(clean[::-1], 5, 4)[:len(clean)]
    write(tmp_path / "src/voxmend/demo/clean.flac", clean)
    write(tmp_path / "src/voxmend/demo/damaged.flac", damaged)
    here = tmp_path / "demo-output"
    for file, wave in {"clean.wav": clean, "damaged.wav": damaged, "old.wav": damaged,
                       "clipped.wav": np.clip(clean, -0.1, 0.1), "noisy.wav": clean + noise,
                       "hall.wav": clean, "both.wav": 0.5 * (clean + low),
                       "recordings/a.wav": clean, "recordings/b/c.wav": clean + noise}.items():
        write(here / file, wave)
    np.save(here / "mel.npy", mel_of(clean))
    for task in list(TASKS.values()):  # that a block runs is shown by few steps as well
        monkeypatch.setitem(TASKS, task.name, replace(task, steps=min(task.untold.steps, 2)))
    return here


@pytest.mark.parametrize("path", RUN, ids=name)
def test_blocks_run(path, reader, monkeypatch):
    top = path.name in ("README.md", "tutorial.md")  # their commands begin in the checkout
    monkeypatch.chdir(reader.parent if top else reader)
    if path.name == "README.md":
        shutil.copytree(reader, reader.parent, dirs_exist_ok=True)  # its Python, wherever you are
    for _, text, _ in blocks(path, "sh"):
        for words in commands(text):
            if words[:2] == ["voxmend", "degrade"]:  # what a page makes is not there before
                (reader / words[4]).unlink(missing_ok=True)
    run_page(path)


def test_commands_of_all_blocks_are_understood():
    shown = [words for path in [*PAGES, ROOT / "CONTRIBUTING.md"]
             for _, text, _ in blocks(path, "", "bash", "sh")
             for words in commands(OTHER.sub("", text)) if words[0] == "voxmend"]
    assert len(shown) > 50
    for words in shown:
        assert understood([word for word in words if word not in ("|", ">")]), words


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "examples/README.md"],
                         ids=name)
def test_links_between_files_resolve(path):
    for target in LINK.findall(FENCE.sub("", path.read_text())):
        file = target.partition("#")[0]
        made = ("sounds/" in file or "{{" in target or "/api/" in file or file.startswith("oper")
                or Path(file).name in ("command-line.md", "models.md", "contributing.md"))
        if file and not made and "://" not in target:
            assert (path.parent / file).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_tables_and_tools_that_pages_take_from_elsewhere_exist(path):
    text = path.read_text()
    for call in re.findall(r"<!-- \{\{ (table\(.*?\)) \}\} -->", text, re.DOTALL):
        assert eval(call, {"table": docs_tables.table})
    for tool in re.findall(r"tools/(\w+\.\w+)", text):
        assert (ROOT / "tools" / tool).exists(), tool


def test_a_command_that_is_not_known_is_noticed():
    with pytest.raises(AssertionError, match="not run"):
        run_shell("wget something")
    with pytest.raises(KeyError):
        understood(["voxmend", "mned", "a", "b"])
