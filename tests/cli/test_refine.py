"""The verb refine, as a person uses it."""

import json
from typing import get_args, get_type_hints

import numpy as np
import pytest
import soundfile

from helpers.commands import bad_inputs, run
from helpers.speech import voice
from voxmend import audio
from voxmend.cli import enhance
from voxmend.models import hub
from voxmend.systems import diffiner

QUICK = ["--steps", 2, "--device", "cpu"]


@pytest.fixture
def files(tmp_path, prior):
    """Writes a noisy and an enhanced recording, and gives the command that refines them."""
    def write(rate=44100, channels=2, rate_of_it=None, delay=0):
        clean = voice(1.0, rate, channels)
        noise = 0.05 * np.random.default_rng(0).standard_normal(clean.shape)
        audio.save(tmp_path / "noisy.wav", clean + noise, rate, "PCM_24", overwrite=True)
        enhanced = np.pad(clean, ((0, 0), (delay, 0)))[:, :clean.shape[1]]
        audio.save(tmp_path / "enhanced.wav", audio.resample(enhanced, rate, rate_of_it or rate),
                   rate_of_it or rate, "FLOAT", overwrite=True)
        return ["refine", tmp_path / "noisy.wav", tmp_path / "enhanced.wav", tmp_path / "out.wav",
                "--prior", prior, *QUICK]
    return write


def test_refine_writes_speech_and_sidecar(files, tmp_path, capsys, prior):
    code, text = run(capsys, *files())
    assert code == 0, text.err
    info, (wave, _) = soundfile.info(tmp_path / "out.wav"), soundfile.read(tmp_path / "out.wav")
    assert (info.samplerate, info.subtype, wave.shape) == (44100, "PCM_24", (44100, 2))
    enhanced = soundfile.read(tmp_path / "enhanced.wav")[0]
    assert np.abs(wave - enhanced).max() > 1e-3
    entry = json.loads((tmp_path / "out.wav.voxmend.json").read_text())
    assert {k: entry[k] for k in ("task", "method", "steps", "seed")} == {
        "task": "refine", "method": "voxmend", "steps": 2, "seed": 0}
    assert [entry["name"] for entry in entry["inputs"]] == ["noisy.wav", "enhanced.wav"]
    assert entry["weights_sha256"] == hub.file_hash(prior) and entry["delay_samples"] == 0


def test_another_rate_and_a_delay_are_made_good(files, tmp_path, capsys):
    assert run(capsys, *files())[0] == 0
    plain = soundfile.read(tmp_path / "out.wav")[0]
    code, text = run(capsys, *files(delay=300), "--overwrite")
    assert code == 0 and "moved by -6.8 ms" in text.out
    moved = soundfile.read(tmp_path / "out.wav")[0]
    np.testing.assert_allclose(moved[:-3000], plain[:-3000], atol=3e-3)
    code, text = run(capsys, *files(rate_of_it=48000), "--overwrite")
    assert code == 0 and soundfile.info(tmp_path / "out.wav").samplerate == 44100
    np.testing.assert_allclose(soundfile.read(tmp_path / "out.wav")[0], plain, atol=0.02)


def test_methods_seeds_and_steps_differ(files, tmp_path, capsys):
    command, outs = files(16000, 1), {}
    for name in ("voxmend", "diffiner", "diffiner+", "diffiner-release", "diffiner+-release"):
        assert run(capsys, *command, "--method", name, "--overwrite")[0] == 0
        outs[name] = soundfile.read(tmp_path / "out.wav")[0]
        assert json.loads((tmp_path / "out.wav.voxmend.json").read_text())["method"] == name
    for name, option in (("seed", ["--seed", 1]), ("steps", ["--steps", 3]), ("again", [])):
        assert run(capsys, *command, *option, "--overwrite")[0] == 0
        outs[name] = soundfile.read(tmp_path / "out.wav")[0]
    np.testing.assert_array_equal(outs.pop("again"), outs["voxmend"])
    waves = list(outs.values())
    assert all(np.abs(a - b).max() > 1e-4 for i, a in enumerate(waves) for b in waves[:i])


def test_methods_of_the_command_are_those_there_are():
    assert get_args(get_type_hints(enhance.refine)["method"]) == tuple(diffiner.METHODS)


def test_folders_belong_together_by_name(files, tmp_path, capsys, prior):
    files(16000, 1)
    for folder in ("noisy", "enhanced"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        for name in ("a.wav", "deep/b.wav"):
            (tmp_path / folder / name).write_bytes((tmp_path / f"{folder}.wav").read_bytes())
    (tmp_path / "enhanced" / "a.wav").unlink()
    command = ["refine", tmp_path / "noisy", tmp_path / "enhanced", tmp_path / "out", "--prior",
               prior, *QUICK]
    code, text = run(capsys, *command)
    assert code == 2 and "enhanced/a.wav: no such file" in text.err and text.err.count("\n") == 1
    found = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")}
    assert found == {"deep/b.wav", "deep/b.wav.voxmend.json"}
    assert "1 of 2 files are finished already" in run(capsys, *command)[1].out
    command[2] = tmp_path / "enhanced.wav"
    code, text = run(capsys, *command)
    assert code == 2 and "name two recordings or two folders" in text.err


REFUSED = [(["--steps", 0], "at least 1"), (["--seed", -1], "0 or more"),
           (["--prior", "nothing"], "nothing: no such prior"),
           (["--prior", "diffsep_enhancement"], "separate and enhance take it as --weights")]


@pytest.mark.parametrize("options, word", REFUSED)
def test_options_that_do_not_fit(options, word, files, tmp_path, capsys):
    code, text = run(capsys, *files(16000, 1), *options)
    assert code == 2 and word in text.err and text.err.count("\n") == 1
    assert not (tmp_path / "out.wav").exists()


def test_pairs_that_are_none_are_refused(files, tmp_path, capsys):
    command = files(16000, 1)
    for wave, word in ((voice(0.5), "lasts 0.50 s"), (voice(1.0, channels=2), "channels are 2"),
                       (voice(1.0, seed=5)[:, ::-1], "hardly have anything")):
        audio.save(tmp_path / "enhanced.wav", np.ascontiguousarray(wave), 16000, overwrite=True)
        code, text = run(capsys, *command)
        assert code == 2 and word in text.err and text.err.count("\n") == 1
        assert "enhanced.wav" in text.err and "noisy.wav" in text.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["enhanced.wav", "noisy.wav"]


@pytest.mark.parametrize("place", [1, 2])
def test_bad_input_is_one_line_and_leaves_nothing(place, files, tmp_path, capsys):
    command = files(16000, 1)
    for name in bad_inputs(tmp_path):
        before = sorted(p.name for p in tmp_path.iterdir())
        code, text = run(capsys, *command[:place], tmp_path / name, *command[place + 1:])
        assert code == 2 and name in text.err and text.err.count("\n") == 1, text.err
        assert sorted(p.name for p in tmp_path.iterdir()) == before, name


def test_existing_output_is_kept(files, tmp_path, capsys):
    command = files(16000, 1)
    (tmp_path / "out.wav").write_text("mine")
    code, text = run(capsys, *command)
    assert code == 2 and "out.wav: exists already" in text.err
    assert (tmp_path / "out.wav").read_text() == "mine"
