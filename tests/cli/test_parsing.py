"""Arguments that a verb does not take are refused in one line, which says what to do."""

import pytest

from helpers.commands import run
from voxmend.cli import main, parsing


@pytest.mark.parametrize(("command", "said"), [
    ("declip a b --sed 1", "unknown: --sed, 1 (did you mean --seed INT?); see voxmend declip"),
    ("declip a b --stps 3", "unknown: --stps, 3 (did you mean --steps INT?); see voxmend declip"),
    ("info --nothing", "unknown: --nothing; see voxmend info"),
    ("declip a b --overwrite=1", "unknown: 1; see voxmend declip"),
    ("declip a b --seed x", "--seed x: give INT; see voxmend declip"),
    ("declip a b --seed 1.5", "--seed 1.5: give INT; see voxmend declip"),
    ("degrade clip a b --sdr x", "--sdr x: give FLOAT; see voxmend degrade"),
    ("separate a b --speakers x", "--speakers x: give INT; see voxmend separate"),
    ("declip a b --workers many", "--workers many: give INT|auto; see voxmend declip"),
    ("declip a b --seed", "--seed: give it a value; see voxmend declip"),
    ("declip a b --precision fp64",
     "--precision fp64: give one of auto, fp32, bf16; see voxmend declip"),
    ("degrade hum a b",
     "kind hum: give one of clip, lowpass, gaps, noise, quantise; see voxmend degrade"),
    ("speakers extract", "give FOLDER, --out NPZ; see voxmend speakers extract"),
    ("speakers steer --axis 1", "give --amount FLOAT, --out NPZ; see voxmend speakers steer"),
    ("train", "give RECIPE, --data FOLDER; see voxmend train"),
    ("bench separate", "give --data FOLDER; see voxmend bench separate"),
    ("declp a b", "declp: no such verb (did you mean declip?); see voxmend"),
    ("speakers extrat a", "extrat: no such verb (did you mean extract?); see voxmend speakers"),
    ("--nothing", "--nothing: no such verb; see voxmend"),
    ("", "name a verb; see voxmend"),
])
def test_a_mistake_is_told_in_a_line(command, said, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, text = run(capsys, *command.split())
    assert code == 2 and text.out == ""
    assert text.err.startswith("voxmend: ") and text.err.endswith(f"{said} --help\n"), text.err
    assert text.err.count("\n") == 1


def test_a_file_that_looks_like_an_option_is_one(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-a.wav").touch()
    assert "(of the file say ./-a.wav)" in run(capsys, "declip", "-a.wav", "b.wav")[1].err


@pytest.mark.parametrize("args", [
    ("declip", "", "o.wav"), ("declip", "a.wav", ""), ("mend", "a.wav", "o.wav", "--plot", ""),
    ("mend", "a.wav", "o.wav", "--plot="), ("speakers", "extract", "", "-o", "o.npz"),
    ("info", "")])
def test_an_empty_name_is_no_folder(args, capsys, tmp_path, monkeypatch):
    """pathlib takes it for the current one."""
    monkeypatch.chdir(tmp_path)
    code, text = run(capsys, *args)
    assert code == 2 and text.err.startswith("voxmend: '': an empty name or value; see voxmend ")
    assert text.err.count("\n") == 1 and not any(tmp_path.iterdir())


def test_colours_and_another_frame_change_nothing():
    """tyro draws so on a terminal, and where letters beyond ASCII cannot be printed."""
    said = "--seed 1.5: give INT"
    rows = ["Error parsing --seed: invalid literal: '1.5'", "-" * 20, "Argument helptext:",
            "    --seed INT", "    Same seed, same result.", "For full helptext, see x --help"]
    assert parsing.one_line("\n".join([" Value error", *(f"  {row}  " for row in rows)])) == said
    box = "\n".join(["╭─ Value error ─╮", *(f"\x1b[31m│\x1b[0m {row} \x1b[31m│\x1b[0m"
                                            for row in rows), "╰───╯"])
    assert parsing.one_line(box) == said


def test_a_box_of_another_kind_becomes_its_first_words():
    box = "╭─ Parsing error ──╮\n│ Something new is │\n│ wrong.           │\n│ ──────────────── │\n"
    box += "│ For full helptext, run x --help │\n╰──────────────────╯\n"
    assert parsing.one_line(box) == "Something new is wrong"


def test_what_a_verb_says_itself_is_not_held_back(capsys):
    """Only tyro's words are: a verb runs when its arguments are parsed."""
    call = parsing.parse(main.VERBS["info"], "voxmend info", ["speech16k"])
    assert capsys.readouterr() == ("", "")
    assert call() == 0
    assert "torch" in capsys.readouterr().out
