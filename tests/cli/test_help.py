"""What `--help` and `--version` show: pages that fit a screen, soon, in the field's words."""

import subprocess
import sys

import pytest

import voxmend
from voxmend.cli import bench, main, pages, speakers

PAGES = {"": main.HOME, "bench": bench.PAGE, "speakers": speakers.PAGE}
VERBS = [[*filter(None, [name]), verb] for name, page in PAGES.items() for verb in page.verbs
         if verb not in PAGES]
HEAVY = {"torch", "scipy", "numpy", "soundfile", "matplotlib", "sklearn", "ray", "pyarrow", "upath"}


def shown(capsys, *args):
    """What the command prints, which may end in SystemExit as tyro does."""
    try:
        code = main.main([*args])
    except SystemExit as done:
        code = done.code
    assert code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_screen(name, option, capsys):
    text = shown(capsys, *filter(None, [name]), option)
    lines = text.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80, text
    for verb, entry in PAGES[name].entries.items():
        assert any(f" {verb} " in line and line.endswith(pages.summary(entry)) for line in lines)


def test_every_verb_says_what_it_does_in_a_line():
    for page in PAGES.values():
        lines = [pages.summary(entry) for entry in page.entries.values()]
        assert all(10 < len(line) < 70 for line in lines) and len(set(lines)) == len(lines)


def test_help_speaks_the_language_of_the_field(capsys):
    text = shown(capsys, "--help").lower()
    for words in ("restoration", "denoise", "declip", "bandwidth extension", "super-resolution",
                  "inpainting", "packet loss", "dropouts", "source separation", "enhancement",
                  "vocoder", "speaker embeddings", "clipping"):
        assert words in text


@pytest.mark.parametrize("command", VERBS, ids=" ".join)
def test_help_of_a_verb_is_no_wider_than_the_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = shown(capsys, *command, "--help").splitlines()
    assert max(map(len, lines)) <= 80 and lines[0].startswith(f"usage: voxmend {' '.join(command)}")


def test_help_is_whole_lines(capsys, monkeypatch):
    """Where a docstring breaks its lines is nothing to readers of another width."""
    monkeypatch.setenv("COLUMNS", "300")
    text = shown(capsys, "declip", "--help")
    assert ("the task (undiff) or as its release runs it (undiff-release), both by every step"
            in text)
    text = shown(capsys, "refine", "--help")
    assert "every time and frequency. Above 8 kHz ENHANCED is kept" in text
    assert "here (local), on this machine's cluster (auto) or that at ADDRESS" in text


@pytest.mark.parametrize("verb", ["enhance", "separate"])
def test_no_value_of_python_is_offered(verb, capsys):
    """An option that is left out is None, which is nothing to type."""
    assert "None" not in shown(capsys, verb, "--help")
    assert main.main([verb, "a.wav", "b", "--sampler", "x"]) == 2
    said = capsys.readouterr().err
    assert "--sampler x: give one of " in said and "heun" in said and "None" not in said


def test_speakers_alone_lists_its_verbs(capsys):
    assert shown(capsys, "speakers") == f"{speakers.PAGE}\n"


def test_version(capsys):
    assert shown(capsys, "--version") == f"voxmend {voxmend.__version__}\n"


@pytest.mark.parametrize("command", ["", "--version", "--help", "bench --help", "speakers --help",
                                     "declip --help", "bench separate --help"])
def test_help_starts_soon(command):
    """Nothing heavy is loaded: torch alone takes longer than a second."""
    code = "import sys, voxmend\n" + (command and (
        "from voxmend.cli import main\n"
        f"try: main.main({command.split()})\nexcept SystemExit: pass\n"))
    code += f"sys.exit(', '.join({HEAVY} & {{*sys.modules}}) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"loads {done.stderr}"
