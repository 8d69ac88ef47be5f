"""The command as a person uses it: every verb, bad input, nothing half-written."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from typing import get_type_hints

import numpy as np
import pytest
import soundfile

from helpers.commands import bad_inputs, run
from helpers.speech import voice
from voxmend import audio, undiff
from voxmend.audio import formats
from voxmend.cli import main as cli
from voxmend.cli import restore, sidecars
from voxmend.dsp import degrade
from voxmend.restore.damage import Clipping, Damage
from voxmend.restore.restorer import Restorer
from voxmend.restore.tasks import TASKS


def quick(prior):
    return ["--prior", prior, "--steps", 2, "--device", "cpu"]


@pytest.fixture
def damaged(wav):
    wave = degrade.clip(voice(), 0.1)
    return wav("damaged.wav", degrade.gaps(wave, 16000)[0])


@pytest.mark.parametrize("verb", ["mend", "declip", "extend", "inpaint", "denoise", "vocode"])
def test_verbs_write_output_and_sidecar(verb, damaged, prior, tmp_path, capsys):
    out = tmp_path / "out.wav"
    code, text = run(capsys, verb, damaged, out, *quick(prior))
    assert code == 0, text.err
    assert soundfile.info(out).frames == soundfile.info(damaged).frames
    entry = json.loads((tmp_path / "out.wav.voxmend.json").read_text())
    assert entry["task"] == verb and entry["steps"] == 2 and entry["seed"] == 0
    assert len(entry["weights_sha256"]) == 16
    assert {p.name for p in tmp_path.iterdir()} == {"damaged.wav", "out.wav",
                                                    "out.wav.voxmend.json"}


@pytest.mark.parametrize("told, waiting", [({}, "PASSIVE"),
                                           ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_told_otherwise(told, waiting):
    code = ("import os, sys; from voxmend.cli.main import command\n"
            "assert 'torch' not in sys.modules, 'which reads it when it is loaded'\n"
            "sys.argv[1:] = ['--version']\n"
            "try: command()\n"
            "finally: print(os.environ['OMP_WAIT_POLICY'])")
    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    said = subprocess.run([sys.executable, "-c", code], env=clean | told, check=True,
                          capture_output=True, text=True).stdout
    assert said.split()[-1] == waiting


def test_mels_of_a_folder_become_wavs(prior, wav, tmp_path, capsys):
    mels, out = tmp_path / "mels", tmp_path / "out"
    (mels / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        np.save(mels / f"{name}.npy", np.full((80, 30), 0.1, np.float32))
    wav("mels/c.flac", voice(0.5))
    code, text = run(capsys, "vocode", mels, out, *quick(prior))
    assert code == 0, text.err
    made = {str(path.relative_to(out)) for path in out.rglob("*") if path.suffix != ".json"}
    assert made == {"a.wav", "sub", "sub/b.wav", "c.flac"}
    assert soundfile.info(out / "sub" / "b.wav").frames == 30 * 256
    np.save(mels / "c.npy", np.full((80, 30), 0.1, np.float32))
    wav("mels/c.wav", voice(0.5))
    code, text = run(capsys, "vocode", mels, out, *quick(prior))
    assert code == 2 and "give it another name" in text.err


def test_mend_says_what_it_found(damaged, prior, tmp_path, capsys):
    code, text = run(capsys, "mend", damaged, tmp_path / "out.wav", "--dry-run")
    assert code == 0 and "clipped at 0.1" in text.out and "4 gaps" in text.out
    assert not (tmp_path / "out.wav").exists()


def test_mend_leaves_what_it_is_told_to(damaged, prior, tmp_path, capsys):
    code, text = run(capsys, "mend", damaged, tmp_path / "out.wav", "--leave",
                     "clicks,clipping,cutoff,gaps,noise,low_cutoff,coloured", "--prior", prior)
    assert code == 0 and "clipped at" in text.out  # told of, and passed on untouched
    assert (tmp_path / "out.wav").read_bytes() == damaged.read_bytes()
    told = json.loads((tmp_path / "out.wav.voxmend.json").read_text())["options"]["leave"]
    assert told == [kind for kind in TASKS["mend"].finds if kind != "hum"]  # in one order
    for kinds in ("clipping,rain", ",".join(TASKS["mend"].finds)):
        code, text = run(capsys, "mend", damaged, tmp_path / "new.wav", "--leave", kinds)
        assert code == 2 and "--leave" in text.err and text.err.count("\n") == 1
    code, text = run(capsys, "mend", damaged, tmp_path / "new.wav", *quick(prior))
    assert code == 0  # as sidecars of versions before it have it
    assert "leave" not in json.loads((tmp_path / "new.wav.voxmend.json").read_text())["options"]


def test_dry_run_of_a_folder_goes_on_after_a_bad_file(wav, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("in/a.wav", "in/c.wav"):
        wav(name, degrade.clip(voice(), 0.1))
    (tmp_path / "in" / "b.wav").write_text("this is text")
    code, text = run(capsys, "mend", tmp_path / "in", tmp_path / "out", "--dry-run")
    assert code == 2 and text.out.count("clipped at 0.1") == 2
    assert "b.wav" in text.err and text.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_told_damage_is_used(wav, prior, tmp_path, capsys):
    run(capsys, "inpaint", wav(), tmp_path / "a.wav", "--gaps", "0.5-0.6,1-1.05", *quick(prior))
    [found] = json.loads((tmp_path / "a.wav.voxmend.json").read_text())["damage"]
    assert found["gaps"] == [[0.5, 0.6], [1.0, 1.05]]
    run(capsys, "extend", wav("second.wav"), tmp_path / "b.wav", "--cutoff", 3000, *quick(prior))
    assert json.loads((tmp_path / "b.wav.voxmend.json").read_text())["damage"][0]["cutoff"] == 3000


def test_the_sidecar_tells_the_guidance(wav, prior, tmp_path, capsys):
    run(capsys, "denoise", wav(), tmp_path / "a.wav", "--noise", 0.01, *quick(prior))
    guidance = json.loads((tmp_path / "a.wav.voxmend.json").read_text())["guidance"]
    assert guidance == "NoisyObservation(otherwise=Imputation())"


def test_training_resumes_and_its_prior_mends(damaged, tmp_path, capsys):
    for split, seed in (("train", 0), ("val", 1)):
        (tmp_path / "speech" / split).mkdir(parents=True)
        audio.save(tmp_path / "speech" / split / "a.wav", voice(seed=seed), 16000)
    recipe = tmp_path / "tiny.py"
    recipe.write_text("from voxmend.training.recipes import PriorRecipe\n"
                      "recipe = PriorRecipe(name='tiny', network='FrameConvNeXt', steps=2, batch=2,"
                      " seconds=0.25, config=dict(channels=8, blocks=1))\n")
    command = ["train", recipe, "--data", tmp_path / "speech", "--out", tmp_path / "run",
               "--device", "cpu"]
    code, text = run(capsys, *command)
    assert code == 0 and "prior.safetensors: use it with --prior" in text.out
    code, text = run(capsys, *command)
    assert code == 2 and "--resume" in text.err
    recipe.write_text("boo\n" + recipe.read_text())
    code, text = run(capsys, *command, "--resume")
    assert code == 2 and "tiny.py: NameError: name 'boo' is not defined" in text.err
    recipe.write_text(recipe.read_text().removeprefix("boo\n"))
    assert "--minutes nan: give 0 or more" in run(capsys, *command, "--minutes", "nan")[1].err
    assert run(capsys, *command, "--resume", "--steps", 4)[0] == 0
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log if "loss" in line] == [1, 2, 3, 4]
    trained = tmp_path / "run" / "prior.safetensors"
    assert run(capsys, "inpaint", damaged, tmp_path / "out.wav", *quick(trained))[0] == 0


def test_extend_of_8_khz_gives_16_khz(wav, prior, tmp_path, capsys):
    source = wav("phone.wav", rate=8000)
    assert run(capsys, "extend", source, tmp_path / "wide.wav", *quick(prior))[0] == 0
    assert soundfile.info(tmp_path / "wide.wav").samplerate == 16000


def test_draws_write_the_uncertainty(damaged, prior, tmp_path, capsys):
    run(capsys, "inpaint", damaged, tmp_path / "out.wav", "--draws", 2, *quick(prior))
    assert soundfile.read(tmp_path / "out.uncertainty.wav")[0].max() > 0


def test_folder_keeps_its_structure_and_skips_finished(wav, prior, tmp_path, capsys):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/a.wav", "in/deep/b.wav"):
        wav(name, degrade.clip(voice(), 0.1))
    (tmp_path / "in" / "bad.wav").write_text("this is text")
    code, text = run(capsys, "declip", tmp_path / "in", tmp_path / "out", *quick(prior))
    assert code == 2 and "bad.wav" in text.err and text.err.count("\n") == 1
    assert (tmp_path / "out" / "deep" / "b.wav").exists() and (tmp_path / "out" / "a.wav").exists()
    before = (tmp_path / "out" / "a.wav").stat().st_mtime_ns
    _, text = run(capsys, "declip", tmp_path / "in", tmp_path / "out", *quick(prior))
    assert "2 of 3 files are finished already" in text.out
    assert (tmp_path / "out" / "a.wav").stat().st_mtime_ns == before


def test_separate_generate_and_mel(wav, prior, tmp_path, capsys):
    assert run(capsys, "separate", wav(channels=2), tmp_path / "s", "--method", "voxmend",
               *quick(prior))[0] == 0
    assert soundfile.info(tmp_path / "s" / "speaker2.wav").channels == 2
    assert run(capsys, "generate", tmp_path / "g", "-n", 2, "--seconds", 0.5, *quick(prior))[0] == 0
    first, second = (soundfile.read(tmp_path / "g" / f"000{i}.wav")[0] for i in (1, 2))
    assert len(first) == 8000 and np.abs(first - second).max() > 0
    np.save(tmp_path / "mel.npy", np.abs(np.random.default_rng(0).normal(size=(80, 30))))
    assert run(capsys, "vocode", tmp_path / "mel.npy", tmp_path / "m.wav", *quick(prior))[0] == 0
    assert soundfile.info(tmp_path / "m.wav").frames == 30 * 256


@pytest.mark.parametrize("kind", ["clip", "lowpass", "gaps", "noise", "quantise"])
def test_degrade(kind, wav, tmp_path, capsys):
    source = wav()
    assert run(capsys, "degrade", kind, source, tmp_path / "d.wav")[0] == 0
    assert np.abs(audio.load(source, 16000) - audio.load(tmp_path / "d.wav", 16000)).max() > 0.01


@pytest.mark.parametrize("kind, seconds, level, said", [
    ("clip", 1.0, 0.0, "silence cannot be clipped"),
    ("lowpass", 0.2, 1.0, "does not fit in"),
    ("gaps", 0.2, 1.0, "ends before the first gap, at 0.25 s")])
def test_degrade_names_the_file_that_it_cannot_damage(kind, seconds, level, said, wav, tmp_path,
                                                      capsys):
    (tmp_path / "in").mkdir()
    wav("in/good.wav", voice(1.0))
    wav("in/odd.wav", level * voice(seconds, 8000), 8000)
    code, text = run(capsys, "degrade", kind, tmp_path / "in", tmp_path / "out")
    assert code == 2 and (tmp_path / "out" / "good.wav").exists()
    assert not (tmp_path / "out" / "odd.wav").exists()
    assert f"{tmp_path / 'in' / 'odd.wav'}: " in text.err and said in text.err


def test_the_share_of_clipped_samples_is_of_the_level_told(wav, prior, tmp_path, capsys):
    wave = voice(1.0)
    source, level = wav("in.wav", wave), float(np.sort(np.abs(wave[0]))[-160])
    for told, share in ((level / 0.995, 1.0), (1.0, 0.0)):
        code, text = run(capsys, "declip", source, tmp_path / f"{share}.wav", "--level", told,
                         *quick(prior))
        assert code == 0 and ("(1.0% of the samples)" in text.out) == (share > 0)
        assert ("no sample reaches the clip level" in text.err) == (share == 0)


def test_the_channel_that_reaches_no_level_is_named(wav, prior, tmp_path, capsys):
    wave = voice(1.0, channels=2)
    wave[1] = wave[1].clip(-0.05, 0.05)
    source = wav("in.wav", wave)
    for level, said in (("L:1", "no sample of L reaches"), ("1", "no sample of L and R reaches")):
        code, text = run(capsys, "declip", source, tmp_path / "out.wav", "--level", level,
                         "--overwrite", *quick(prior))
        assert code == 0 and said in text.err


@pytest.mark.parametrize("kind, option, value, said", [
    ("clip", "--sdr", -1, "no clip level gives -1 dB SDR"),
    ("quantise", "--bits", 1, "give 2 to 32"), ("quantise", "--bits", 40, "give 2 to 32"),
    ("gaps", "--every", 20, "do not fit"), ("noise", "--snr", 900, "from -200 to 200")])
def test_degrade_blames_no_file_for_an_option(kind, option, value, said, wav, tmp_path, capsys):
    source = wav()
    code, text = run(capsys, "degrade", kind, source, tmp_path / "d.wav", option, value)
    assert code == 2 and said in text.err and str(source) not in text.err


def test_a_level_that_no_sample_reaches_leaves_the_recording(wav, prior, tmp_path, capsys):
    source, out = wav(), tmp_path / "out.wav"
    code, text = run(capsys, "declip", source, out, "--level", 1, *quick(prior))
    assert code == 0 and "no sample reaches" in text.err
    assert "passed on unchanged" in text.out and "clipped at" not in text.out
    assert out.read_bytes() == source.read_bytes()


def test_what_is_salvaged_is_told(wav, prior, tmp_path, capsys):
    whole, cut = wav(), tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[:-8000])
    for source, said in ((whole, ""), (cut, "breaks off after")):
        code, text = run(capsys, "mend", source, tmp_path / f"out-{source.name}", "--salvage",
                         *quick(prior))
        seconds = soundfile.info(tmp_path / f"out-{source.name}").duration
        assert code == 0 and said in text.err
        assert (f"{seconds:.2f} s are salvaged" in text.err) == bool(said)


def test_a_loud_mel_spectrogram_is_not_limited(prior, tmp_path, capsys):
    mel = np.random.default_rng(0).uniform(0, 1, (80, 60)).astype(np.float32)
    for factor, subtype in ((1e-3, "PCM_16"), (30, "FLOAT")):
        np.save(tmp_path / "mel.npy", factor * mel)
        code, text = run(capsys, "vocode", tmp_path / "mel.npy", tmp_path / "out.wav",
                         "--overwrite", *quick(prior))
        assert code == 0 and text.err == "", text.err
        info = soundfile.info(tmp_path / "out.wav")
        assert info.subtype == subtype
    assert np.abs(soundfile.read(tmp_path / "out.wav")[0]).max() > 1


def test_the_recording_itself_is_no_output_by_chance(wav, prior, tmp_path, capsys):
    source, link = wav(), tmp_path / "link.wav"
    link.symlink_to(source)
    before = source.read_bytes()
    for out in (source, link):
        code, text = run(capsys, "mend", source, out, *quick(prior))
        assert code == 2 and "is the recording itself" in text.err
    assert source.read_bytes() == before


def test_a_picture_that_cannot_be_written_is_refused_before_the_work(wav, prior, tmp_path, capsys,
                                                                     monkeypatch):
    pytest.importorskip("matplotlib")

    def refuse(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("voxmend.audio.paths.TemporaryFile", refuse)
    code, text = run(capsys, "mend", wav(), tmp_path / "out.wav", "--plot", tmp_path / "p.png",
                     *quick(prior))
    assert code == 2 and "p.png: cannot be written (Permission denied)" in text.err
    assert text.out == "" and {path.suffix for path in tmp_path.iterdir()} == {".wav"}


def test_a_recording_of_several_that_may_not_be_read_is_named(wav, prior, tmp_path, capsys,
                                                              monkeypatch):
    (tmp_path / "in").mkdir()
    wav("in/a.wav")
    secret, digest = wav("in/b.wav"), sidecars.describe_all

    def describe(paths):
        if secret in paths:
            raise PermissionError(errno.EACCES, "Permission denied", str(secret))
        return digest(paths)

    monkeypatch.setattr(sidecars, "describe_all", describe)
    code, text = run(capsys, "mend", tmp_path / "in", tmp_path / "out", *quick(prior))
    assert code == 2 and text.err == f"voxmend: {secret}: permission denied\n"
    assert (tmp_path / "out" / "a.wav").exists()


def test_gaps_at_other_places_are_told_of_each_channel(wav, prior, tmp_path, capsys):
    source = wav("in.wav", voice(1.5, channels=2))
    for gaps, said in (("L:0.4-0.44,R:1-1.04", 2), ("0.4-0.44", 1)):
        code, text = run(capsys, "inpaint", source, tmp_path / "out.wav", "--overwrite",
                         "--gaps", gaps, *quick(prior))
        assert code == 0 and text.out.count("1 gap, 0.04 s in all") == said


def test_what_is_left_though_found_is_said(damaged, prior, tmp_path, capsys):
    for more in (["--dry-run"], quick(prior)):
        code, text = run(capsys, "mend", damaged, tmp_path / "out.wav", *more, "--leave",
                         "gaps,noise")
        assert code == 0 and "gaps, 0.20 s in all, left as told" in text.out, text.err
        assert text.out.count("left as told") == 1  # there is no noise
    told = json.loads((tmp_path / "out.wav.voxmend.json").read_text())
    assert told["left"] == [["gaps"]] and len(told["damage"][0]["gaps"]) == 4


def test_gaps_told_beyond_the_end_are_cut_or_refused(wav, prior, tmp_path, capsys):
    source = wav("in.wav", voice(1.0))
    code, text = run(capsys, "inpaint", source, tmp_path / "a.wav", "--gaps", "0.5-0.6,1.1-1.2",
                     *quick(prior))
    assert code == 2 and "give one before it" in text.err and text.err.count("\n") == 1
    code, text = run(capsys, "inpaint", source, tmp_path / "b.wav", "--gaps", "0.9-3",
                     *quick(prior))
    assert code == 0 and "the gap 0.9-3 s passes its end and is cut there" in text.err
    assert "1 gap, 0.10 s in all" in text.out
    told = json.loads((tmp_path / "b.wav.voxmend.json").read_text())
    assert told["damage"][0]["gaps"] == [[0.9, 1.0]]


def test_what_reads_nothing_takes_no_option_of_reading(prior, tmp_path, capsys):
    code, text = run(capsys, "generate", tmp_path / "out", "--salvage")
    assert code == 2 and "unknown: --salvage" in text.err and not (tmp_path / "out").exists()
    for folder, more in (("a", []), ("b", ["--headroom", 6])):
        code, text = run(capsys, "generate", tmp_path / folder, "-n", 1, "--seconds", 0.5, *more,
                         *quick(prior))
        assert code == 0, text.err
    loud, soft = (audio.load(tmp_path / name / "0001.wav", 16000) for name in "ab")
    assert np.abs(10 ** (-6 / 20) * loud - soft).max() < 1e-4


def test_degrade_takes_no_option_of_another_damage(wav, tmp_path, capsys):
    code, text = run(capsys, "degrade", "clip", wav(), tmp_path / "out.wav", "--snr", 3)
    assert code == 2 and "--snr: is of noise; clip takes --sdr" in text.err


def test_extend_does_not_advise_itself(wav, prior, tmp_path, capsys):
    source = wav("in.wav", voice(1.0, 8000), 8000)
    for verb, advised in (("extend", False), ("declip", True)):
        code, text = run(capsys, verb, source, tmp_path / f"{verb}.wav", *quick(prior))
        assert code == 0 and "sampled at 8000 Hz" in text.out
        assert ("extend makes it" in text.out) == advised


def test_only_what_a_verb_takes_is_offered(wav, tmp_path, capsys):
    code, text = run(capsys, "mend", wav(), tmp_path / "out.wav", "--prior", "none")
    assert code == 2 and "speech16k" in text.err and "ecapa" not in text.err
    code, text = run(capsys, "info", "none")
    assert code == 2 and "no such network" in text.err and "ecapa" in text.err and not text.out


def test_a_told_level_lies_about_the_offset(wav, prior, tmp_path, capsys):
    wave = degrade.clip(voice(2.0), 0.1) + np.float32(0.3)
    code, text = run(capsys, "declip", wav("in.wav", wave), tmp_path / "out.wav", "--level", 0.1,
                     *quick(prior))
    assert code == 0 and "DC offset of 0.3" in text.out and "clipped at 0.2 and 0.4" in text.out
    [told] = json.loads((tmp_path / "out.wav.voxmend.json").read_text())["damage"]
    assert told["clipping"][0]["offset"] == pytest.approx(0.3, abs=1e-3)
    assert told["clipping"][0]["level"] == 0.1


def test_bad_input_is_one_line_and_leaves_nothing(prior, tmp_path, capsys):
    for name in bad_inputs(tmp_path):
        before = sorted(p.name for p in tmp_path.iterdir())
        code, text = run(capsys, "mend", tmp_path / name, tmp_path / "out.wav", *quick(prior))
        assert code == 2, name
        assert text.err.startswith("voxmend: ") and text.err.count("\n") == 1, text.err
        assert name in text.err
        assert sorted(p.name for p in tmp_path.iterdir()) == before, name


@pytest.mark.filterwarnings("error::RuntimeWarning")  # numpy's, which would stand on stderr
@pytest.mark.parametrize("wave", [np.zeros((1, 16000)), np.array([[0.5]]), np.zeros((1, 1)),
                                  0.1 * np.ones((1, 700))], ids=["zeros", "one", "zero", "short"])
def test_odd_but_lawful_input_passes(wave, wav, prior, tmp_path, capsys):
    source = wav("odd.wav", wave.astype(np.float32))
    code, text = run(capsys, "mend", source, tmp_path / "out.wav", *quick(prior))
    assert code == 0, text.err
    assert soundfile.info(tmp_path / "out.wav").frames == wave.shape[1]


@pytest.mark.parametrize("verb, rate", [("declip", 16000), ("declip", 8000), ("inpaint", 8000)])
def test_what_is_not_mended_is_copied(verb, rate, wav, prior, tmp_path, capsys):
    """A lossy codec would change it."""
    code, text = run(capsys, verb, wav("in.ogg", voice(1.0, rate), rate), tmp_path / "out.ogg",
                     *quick(prior))
    assert code == 0, text.err
    assert (tmp_path / "out.ogg").read_bytes() == (tmp_path / "in.ogg").read_bytes()


def test_what_is_not_of_its_name_s_format_is_not_copied(wav, prior, tmp_path, capsys):
    """A suffix does not make a file of its format."""
    for name, real in (("a.wav", "m.m4a"), ("b.flac", "b.wav"), ("c.m4a", "c.flac")):
        wav(real).rename(tmp_path / name)
        out = tmp_path / f"out-{name}"
        code, text = run(capsys, "declip", tmp_path / name, out, *quick(prior))
        assert code == 0 and "passed on" not in text.out
        assert formats.is_called_as(out, audio.Reader(out).container)
        assert not formats.is_called_as(out, audio.Reader(tmp_path / name).container)


def test_every_suffix_that_is_written_has_its_container(tmp_path):
    for suffix, form in formats.FORMATS.items():
        path = tmp_path / f"a{suffix}"
        audio.save(path, voice(0.3, 48000), 48000)
        assert formats.is_called_as(path, audio.Reader(path).container), form


def test_only_what_is_copied_is_said_to_be(wav, prior, tmp_path, capsys):
    for options, out, copied in ((["--headroom", 6], "a.wav", False), ([], "a.flac", False),
                                 ([], "b.wav", True)):
        _, text = run(capsys, "declip", wav(f"in-{out}.wav"), tmp_path / out, *quick(prior),
                      *options)
        assert "nothing to mend found" in text.out
        assert ("passed on unchanged" in text.out) == copied
    assert "passed on" not in run(capsys, "mend", "--dry-run", tmp_path / "a.wav")[1].out


def test_a_dry_run_of_nothing_is_refused(capsys):
    code, text = run(capsys, "mend", "--dry-run")
    assert code == 2 and "name IN" in text.err


def test_degrade_gives_no_advice_that_it_does_not_take(wav, tmp_path, capsys):
    code, text = run(capsys, "degrade", "noise", wav(), tmp_path / "a.flac", "--snr", -20)
    assert code == 0 and "were limited" in text.err and "headroom" not in text.err


def test_a_folder_is_not_mended_into_itself(wav, prior, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    wav("in/a.wav")
    code, text = run(capsys, "mend", tmp_path / "in", tmp_path / "in" / "out", *quick(prior))
    assert code == 2 and "name a folder elsewhere" in text.err
    code, text = run(capsys, "mend", tmp_path / "in", wav("file.wav"), *quick(prior))
    assert code == 2 and "file.wav: the name of one file; name a folder" in text.err


@pytest.mark.parametrize("verb, options, word", [
    ("inpaint", ["--gaps", "100-200"], "beyond its end at 2.00 s"),
    ("inpaint", ["--gaps", "1-inf"], "START-END"),
    ("denoise", ["--noise", "0.9"], "cannot be in a recording of RMS"),
    ("extend", ["--cutoff", "20"], "does not fit a rate of 16000 Hz"),
    ("declip", ["--level", "2"], "at most 1"), ("mend", ["--seed", "-1"], "0 or more"),
    ("mend", ["--plot", "a.txt"], "ends in .png"),
    ("mend", ["--plot", "none/a.png"], "no such folder as none")])
def test_impossible_options_are_refused(verb, options, word, wav, prior, tmp_path, capsys):
    code, text = run(capsys, verb, wav(), tmp_path / "out.wav", *options, *quick(prior))
    assert code == 2 and word in text.err and text.err.count("\n") == 1, text.err
    assert [p.name for p in tmp_path.iterdir()] == ["in.wav"]


def mels(tmp_path):
    """Name and path of every kind of bad mel-spectrogram, and what is said of it."""
    good = np.ones((80, 30))
    for name, mel in (("transposed", good.T), ("complex", 1j * good), ("log", -good),
                      ("text", good.astype(str)), ("huge", 1e30 * good), ("nan", np.nan * good),
                      ("object", np.array([{}], dtype=object))):
        np.save(tmp_path / f"{name}.npy", mel)
    (tmp_path / "junk.npy").write_text("junk")
    return {"transposed": "[80, frames]", "complex": "is real", "log": "below 0",
            "text": "is real", "huge": "huge", "nan": "NaN", "object": "not a .npy array",
            "junk": "not a .npy array", "missing": "no such file"}


def test_bad_mels_are_refused(prior, tmp_path, capsys):
    for name, word in mels(tmp_path).items():
        code, text = run(capsys, "vocode", tmp_path / f"{name}.npy", tmp_path / "out.wav",
                         *quick(prior))
        assert code == 2 and f"{name}.npy" in text.err and word in text.err, text.err
        assert text.err.count("\n") == 1 and not (tmp_path / "out.wav").exists()


def test_plots_are_of_one_recording(wav, prior, tmp_path, capsys):
    source, plot = wav(), ["--plot", tmp_path / "a.png", *quick(prior)]
    np.save(tmp_path / "mel.npy", np.ones((80, 30)))
    for paths, word in (([source, source, tmp_path / "out"], "draws one file"),
                        ([tmp_path, tmp_path.with_name("out")], "draws one file"),
                        ([tmp_path / "mel.npy", tmp_path / "o.wav"], "no picture before")):
        code, text = run(capsys, "vocode", *paths, *plot)
        assert code == 2 and word in text.err and text.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"in.wav", "mel.npy"}


def test_vocode_writes_the_uncertainty_of_a_mel(prior, tmp_path, capsys):
    np.save(tmp_path / "mel.npy", np.abs(np.random.default_rng(0).normal(size=(80, 30))))
    run(capsys, "vocode", tmp_path / "mel.npy", tmp_path / "m.wav", "--draws", 2, *quick(prior))
    assert soundfile.read(tmp_path / "m.uncertainty.wav")[0].max() > 0
    (tmp_path / "n.uncertainty.wav").write_text("mine")
    code, text = run(capsys, "vocode", tmp_path / "mel.npy", tmp_path / "n.wav", "--draws", 2,
                     *quick(prior))
    assert code == 2 and "n.uncertainty.wav: exists already" in text.err
    assert not (tmp_path / "n.wav").exists()


def test_existing_output_is_kept(wav, prior, tmp_path, capsys):
    (tmp_path / "out.wav").write_text("mine")
    code, text = run(capsys, "mend", wav(), tmp_path / "out.wav", *quick(prior))
    assert code == 2 and "--overwrite" in text.err
    assert (tmp_path / "out.wav").read_text() == "mine"


def test_bad_options_and_weights(wav, prior, tmp_path, capsys):
    source, out = wav(), tmp_path / "out.wav"
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(prior.read_bytes()[:5000])
    broken.with_suffix(".json").write_text(prior.with_suffix(".json").read_text())
    np.save(tmp_path / "mel.npy", np.zeros((40, 30)))
    listed = tmp_path / "listed.safetensors"
    listed.write_bytes(prior.read_bytes())
    listed.with_suffix(".json").write_text("[1]")
    for args, word in ((["--prior", broken], "damaged"), (["--prior", "none"], "no such prior"),
                       (["--prior", listed], "no card of a prior"),
                       (["--device", "cuda"], "cuda"), (["--draws", 0], "at least 1"),
                       (["--gaps", "3"], "START-END")):
        verb = "inpaint" if "--gaps" in args else "mend"
        options = args if "--prior" in args else ["--prior", prior, *args]
        code, text = run(capsys, verb, source, out, *options)
        assert code == 2 and word in text.err and text.err.count("\n") == 1, text.err
    code, text = run(capsys, "vocode", tmp_path / "mel.npy", out, *quick(prior))
    assert code == 2 and "[80, frames]" in text.err
    code, text = run(capsys, "mend", source, tmp_path / "mel.npy" / "out.wav", *quick(prior))
    assert code == 2 and text.err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_nothing(number, wav, prior, tmp_path):
    source = wav("long.wav", degrade.clip(np.tile(voice(10.0), 6), 0.1))
    (tmp_path / "out").mkdir()
    child = subprocess.Popen(
        [sys.executable, "-m", "voxmend", "declip", source, tmp_path / "out" / "o.wav",
         "--prior", prior, "--steps", "500"], stderr=subprocess.PIPE, text=True,
        # in the background, where a shell ignores SIGINT, the child would inherit that
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))  # noqa: PLW1509, no threads yet

    def in_work():  # not only claimed
        return [path for path in (tmp_path / "out").glob(".*/*") if path.name != "lock"]

    deadline = time.time() + 240
    while not in_work() and child.poll() is None and time.time() < deadline:
        time.sleep(0.1)
    assert in_work(), "it takes too long to begin, or has ended"
    os.kill(child.pid, number)
    error = child.communicate(timeout=60)[1]
    assert child.returncode == 130 and "Traceback" not in error and "interrupted" in error
    assert not any((tmp_path / "out").iterdir())


def test_a_closed_pipe_ends_the_command_quietly():
    child = subprocess.Popen([sys.executable, "-m", "voxmend", "info"], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.close()
    error = child.stderr.read()
    assert (child.wait(), error) == (141, "")


@pytest.mark.parametrize(("closed", "out", "status"), [
    (">&-", "out.wav", 0), ("2>&-", "out.wav", 0), (">&- 2>&- <&-", "out.wav", 0),
    (">&-", "-", 2)])
def test_closed_streams_end_no_command(closed, out, status, wav, tmp_path):
    """But what is to go through one is refused."""
    line = f"{sys.executable} -m voxmend degrade clip {wav()} {out} {closed}"
    done = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, check=False, capture_output=True,
                          text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    assert (tmp_path / "out.wav").exists() == (out == "out.wav")
    assert ("stdout: cannot be written" in done.stderr) == (status == 2)


def test_help_is_light():
    """--help must not load torch, which alone takes longer than a second."""
    code = ("import sys; from voxmend.cli import main as cli\ntry: cli.main(['--help'])\n"
            "except SystemExit: pass\nassert 'torch' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in cli.VERBS)


@pytest.mark.parametrize("verb, method, tasks", [
    ("extend", "undiff", undiff.PAPER), ("declip", "undiff", undiff.PAPER),
    ("declip", "undiff-release", undiff.RELEASE)])
def test_method_runs_undiff_s_task(verb, method, tasks, wav, epsilon_prior, tmp_path, capsys):
    source, out = wav("in.wav", voice(0.5)), tmp_path / "out.wav"
    told = {"extend": ["--cutoff", 4000], "declip": ["--level", 0.05]}[verb]
    code, text = run(capsys, verb, source, out, "--prior", epsilon_prior, "--method", method,
                     "--device", "cpu", *told)
    assert code == 0, text.err
    entry = json.loads((tmp_path / "out.wav.voxmend.json").read_text())
    assert entry["guidance"] == repr(tasks[verb].guidance)
    assert (entry["start"], entry["steps"]) == ("noise", 5)  # the prior's own
    wave = audio.load(source, 16000)
    [channel] = entry["damage"]
    clipping = tuple(Clipping(**part) for part in channel["clipping"])
    damage = Damage(**channel | {"clipping": clipping})
    direct = Restorer(tasks[verb], epsilon_prior, device="cpu")(wave, 16000, damage)
    assert np.allclose(audio.load(out, 16000), direct, atol=1e-4)


def test_method_has_its_own_number_of_steps(wav, prior, tmp_path, capsys):
    code, text = run(capsys, "declip", wav("in.wav", voice(0.5)), tmp_path / "out.wav", "--method",
                     "undiff", *quick(prior))
    assert code == 2 and "leave out --steps" in text.err


def test_a_verb_has_the_prior_of_its_task():
    verbs = {name: getattr(restore, name) for name in TASKS if hasattr(restore, name)}
    assert len(verbs) > 6
    for name, verb in verbs.items():
        assert get_type_hints(verb)["common"].prior == TASKS[name].prior, name
