"""The verbs separate, enhance and dereverb with trained networks, as a person uses them."""

import json
import shutil
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import lfilter

import voxmend
from helpers.commands import bad_inputs, run
from helpers.pools import Here, samples, use_here
from helpers.speech import speech, voice
from voxmend import audio
from voxmend.audio import writing
from voxmend.audio.levels import Levels
from voxmend.audio.pair import Pair
from voxmend.cli import enhance, files
from voxmend.diffusion.chunked import NoiseStream
from voxmend.diffusion.samplers import SAMPLERS
from voxmend.models import hub
from voxmend.systems import diffiner, diffsep, separator
from voxmend.systems.postfilter import POWER, postfilter
from voxmend.systems.weights import WEIGHTS

LIGHT = dict(channels=8, blocks=1, kernel=3, dilations=[1], expansion=2, inputs=2)
TINY = dict(N=24, L=16, B=12, H=16, Sc=12, P=3, X=3, R=1)
FRAMES = dict(channels=64, blocks=1, kernel=3, dilations=[1], expansion=1, attention=1)
EARS = dict(channels=16, mixed=24, attention=8, squeeze=8)
PROCESS = {"sources": 2, "gamma": 2.0, "sigma_min": 0.05, "sigma_max": 0.5}


def save(folder, name, network, config, **card):
    torch.manual_seed(0)
    state = hub.build_network(network, config).state_dict()
    hub.save_prior(folder / f"{name}.safetensors",
                   {n: t + 0.02 * torch.randn(t.shape) for n, t in state.items()},
                   {"network": network, "config": config, **card})


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Folder of small random weights of every kind."""
    folder = tmp_path_factory.mktemp("weights")
    diffsep = {"prediction": "differences", "process": PROCESS}
    save(folder, "diffsep", "FrameConvNeXt", LIGHT, **diffsep, task="separate", local_noise=False,
         sample_rate=8000)
    save(folder, "diffsep_enhancement", "FrameConvNeXt", LIGHT, **diffsep, task="enhance",
         local_noise=True, sample_rate=16000)
    save(folder, "conv_tasnet", "ConvTasNet", TINY, prediction="sources", sources=2,
         sample_rate=16000)
    save(folder, "enhancer16k", "FrameConvNeXt", LIGHT, prediction="told", sample_rate=16000,
         sigma_min=0.002, sigma_max=2.0, sigma_data=0.1)
    save(folder, "frame_separator", "FrameSeparator", FRAMES, prediction="sources", sources=2,
         open_levels=False, sample_rate=16000, sampling={"polarities": 2, "segment_seconds": 6})
    save(folder, "ecapa", "ECAPATDNN", EARS, prediction="embedding", dim=192, sample_rate=16000)
    save(folder, "xvector", "XVector", dict(channels=16, mixed=24), prediction="embedding", dim=512,
         sample_rate=16000)
    save(folder, "segan", "SEGAN", {"channels": [4, 8, 8]}, prediction="speech", sample_rate=16000)
    return folder


@pytest.fixture
def bundled(weights, monkeypatch):
    """As if the weights were voxmend's own."""
    monkeypatch.setattr(hub, "WEIGHTS", weights)


QUICK = ["--steps", 2, "--device", "cpu"]
DIFFSEP = ["--method", "diffsep", *QUICK]


def test_enhance_writes_speech_noise_and_sidecar(bundled, wav, tmp_path, capsys):
    source = wav(rate=44100, channels=2)
    code, text = run(capsys, "enhance", source, tmp_path / "out.wav", "--keep-noise", *DIFFSEP)
    assert code == 0, text.err
    assert {p.name for p in tmp_path.iterdir()} == {"in.wav", "out.wav", "out.noise.wav",
                                                   "out.wav.voxmend.json"}
    speech, noise, whole = (soundfile.read(tmp_path / n)[0]
                            for n in ("out.wav", "out.noise.wav", "in.wav"))
    assert speech.shape == whole.shape and speech.any() and noise.any()
    np.testing.assert_allclose(speech + noise, whole, atol=1e-6)
    info = soundfile.info(tmp_path / "out.wav")
    assert (info.samplerate, info.subtype) == (44100, "FLOAT")
    entry = json.loads((tmp_path / "out.wav.voxmend.json").read_text())
    assert (entry["task"], entry["method"], entry["sampler"]) == ("enhance", "diffsep",
                                                                  "predictor_corrector")
    assert (entry["steps"], entry["seed"], entry["weights"]) == (2, 0, "diffsep_enhancement")
    assert len(entry["weights_sha256"]) == 16 and entry["inputs"][0]["name"] == "in.wav"


@pytest.mark.parametrize("task, method", WEIGHTS)
def test_a_soft_channel_and_a_soft_half_are_heard_as_well(task, method, bundled):
    """As each is alone and loud, by networks that hear one level otherwise than another."""
    steps = 1 if method == "diffsep" else None
    run = separator.load(task, method, steps=steps, device="cpu", precision="fp32")
    wave = speech()
    wave -= wave.mean()
    alone = run(wave[0], 16000)
    both = run(np.concatenate([wave, 0.03 * wave]), 16000)
    np.testing.assert_allclose(both[:, 1] / 0.03, alone, atol=2e-3 * np.abs(alone).max())
    loud, soft = np.tile(wave[0], 2), np.tile(wave[0], 2)
    soft[len(soft) // 2:] *= 10 ** (-30 / 20)
    quiet = np.s_[:, 8 * 16000:11 * 16000]
    expected, found = run(loud, 16000)[quiet], 10 ** (30 / 20) * run(soft, 16000)[quiet]
    error = np.square(found - expected).sum() / np.square(expected).sum()
    assert 10 * np.log10(error) < -15


@pytest.mark.parametrize("verb", ["enhance", "dereverb"])
def test_a_prior_that_listens_is_called_once(verb, bundled, wav, tmp_path, capsys):
    """At sigma_max, told the recording, with noise that a seed tells."""
    wave = voice(0.5)
    wave -= wave.mean()
    out = tmp_path / "out.wav"
    code, text = run(capsys, verb, wav("in.wav", wave), out, "--device", "cpu", "--seed", 3)
    assert code == 0, text.err
    prior = hub.load_prior("enhancer16k")
    level = Levels.running([wave], 16000)(0, wave.shape[1])
    y = torch.from_numpy(0.1 * wave / level)[None]
    noise = NoiseStream(3)(y)
    expected = prior(y + 2 * noise, 2.0, y)[0].numpy() * level / 0.1
    np.testing.assert_allclose(audio.load(out, 16000), expected, atol=1e-5)
    entry = json.loads((tmp_path / "out.wav.voxmend.json").read_text())
    assert (entry["task"], entry["method"], entry["weights"]) == (verb, "voxmend", "enhancer16k")
    assert (entry["precision"], entry["seed"]) == ("fp32", 3)
    assert run(capsys, verb, tmp_path / "in.wav", out, "--device", "cpu", "--seed", 3,
               "--overwrite", "--precision", "bf16")[0] == 0
    assert json.loads((tmp_path / "out.wav.voxmend.json").read_text())["precision"] == "bf16"
    error = audio.load(out, 16000) - expected
    assert 0 < np.sum(error**2) < 1e-3 * np.sum(expected**2)


@pytest.mark.parametrize("verb, options", [
    ("dereverb", {}), ("enhance", {}), ("separate", {}),
    ("separate", {"method": "conv-tasnet"}), ("separate", {"voice": "me.wav"})])
def test_functions_give_what_the_verbs_write(verb, options, bundled, wav, tmp_path, capsys):
    """Of both channels, at another rate than the network's."""
    wave, rate = voice(0.5, 22050, 2).astype(np.float32), 22050
    source, me = wav("in.wav", wave, rate), wav("me.wav", voice(4.0, rate, seed=3), rate)
    told = [str(part).replace("me.wav", str(me)) for key, value in options.items()
            for part in (f"--{'enrol' if key == 'voice' else key}", value)]
    out = tmp_path / ("voices" if verb == "separate" else "out.wav")
    code, text = run(capsys, verb, source, out, "--device", "cpu", *told)
    assert code == 0, text.err
    written = [soundfile.read(path, dtype="float32", always_2d=True)[0].T
               for path in (sorted(out.glob("*.wav")) if out.is_dir() else [out])]
    if "voice" in options:
        options = {"voice": audio.load(me, rate)}
    found = getattr(voxmend, verb)(audio.load(source, rate), rate, device="cpu", **options)
    found = found if verb == "separate" else found[None]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack(written), atol=2e-4)


def test_segan_is_the_network_itself(bundled, wav, tmp_path, capsys):
    wave = voice(0.5)
    wave -= wave.mean()
    code, text = run(capsys, "enhance", wav("in.wav", wave), tmp_path / "out.wav", "--method",
                     "segan", "--device", "cpu")
    assert code == 0, text.err
    scale = 0.1 / Levels.steady([wave], 16000)(0, wave.shape[1])
    noisy = torch.from_numpy(lfilter([1, -0.95], [1], scale * wave).astype(np.float32))
    path = hub.find_prior("segan")
    network = hub.load_network(path, hub.read_card(path))
    expected = lfilter([1], [1, -0.95], network(noisy[None])[0].numpy()) / scale
    np.testing.assert_allclose(audio.load(tmp_path / "out.wav", 16000), expected, atol=1e-5)
    entry = json.loads((tmp_path / "out.wav.voxmend.json").read_text())
    assert (entry["task"], entry["method"], entry["weights"]) == ("enhance", "segan", "segan")
    assert "refiner" not in entry


@pytest.mark.parametrize("method, options", [("voxmend", []), ("segan", []),
                                             ("diffsep", ["--steps", 2])])
def test_refining_at_once_is_refining_afterwards(method, options, weights, prior, monkeypatch, wav,
                                                 tmp_path, capsys):
    for file in weights.iterdir():
        shutil.copy(file, tmp_path)
    for suffix in (".safetensors", ".json"):
        shutil.copy(prior.with_suffix(suffix), tmp_path / f"speech16k{suffix}")
    monkeypatch.setattr(hub, "WEIGHTS", tmp_path)
    source = wav("in.wav", voice(0.3, 22050, 2), 22050)
    for how, out in ((method, "one.wav"), (f"{method}+refine", "both.wav")):
        code, text = run(capsys, "enhance", source, tmp_path / out, "--method", how, "--keep-noise",
                         "--device", "cpu", *options)
        assert code == 0, text.err
    noisy, one, both, rest = (soundfile.read(tmp_path / name, dtype="float32")[0].T
                              for name in ("in.wav", "one.wav", "both.wav", "both.noise.wav"))
    refiner = diffiner.Refiner(device="cpu")
    pair = Pair(*(audio.ArrayReader(wave, 22050) for wave in (noisy, one)), aligned=True)
    np.testing.assert_allclose(both, np.concatenate(list(refiner.stream(pair)), axis=1), atol=1e-6)
    assert np.abs(both - one).max() > 1e-3
    np.testing.assert_allclose(both + rest, noisy, atol=1e-6)
    entry = json.loads((tmp_path / "both.wav.voxmend.json").read_text())
    assert (entry["method"], entry["refiner"]) == (method, refiner.entry)


def test_what_is_refined_may_be_longer_than_a_wav(wav, tmp_path, monkeypatch):
    source, target = wav("in.wav", voice(10.0)), tmp_path / "out.flac"
    monkeypatch.setattr(writing, "WAV_LIMIT", 2 * writing.BLOCK)
    enhancer = SimpleNamespace(entry={"task": "enhance"}, stream=lambda reader, progress: (
        np.concatenate([block / 2, block / 2]) for block in reader.blocks()))
    refiner = SimpleNamespace(entry={}, stream=lambda pair, progress: (
        np.split(block, 2)[1] / 2 for block in pair.blocks()))
    files.enhance_file(source, [target], enhancer, refiner)
    np.testing.assert_allclose(audio.load(target, 16000), audio.load(source, 16000) / 4, atol=1e-4)


@pytest.mark.parametrize("refines", [False, True])
def test_a_long_file_by_workers_is_as_by_one(refines, weights, prior, monkeypatch, wav, tmp_path,
                                             capsys):
    for file in weights.iterdir():
        shutil.copy(file, tmp_path)
    for suffix in (".safetensors", ".json"):
        shutil.copy(prior.with_suffix(suffix), tmp_path / f"speech16k{suffix}")
    monkeypatch.setattr(hub, "WEIGHTS", tmp_path)
    use_here(monkeypatch)
    source = wav("in.wav", np.tile(voice(6.5, 8000, 2), 4), 8000)
    for name, workers in (("one.wav", 1), ("two.wav", 2)):
        code, text = run(capsys, "enhance", source, tmp_path / name, "--method",
                         "voxmend+refine" if refines else "voxmend", "--keep-noise", "--device",
                         "cpu", "--workers", workers)
        assert code == 0, text.err
    for end in (".wav", ".noise.wav"):
        assert samples(tmp_path / f"one{end}") == samples(tmp_path / f"two{end}")
    assert len(Here.last.messages) == 3 + 3 * refines  # of 10 s that share 2 s, or 1 s


@pytest.mark.parametrize("method", ["frame-separator", "diffsep", "conv-tasnet"])
def test_separate_writes_voices(method, bundled, wav, tmp_path, capsys):
    options = QUICK if method == "diffsep" else ["--device", "cpu"]
    code, text = run(capsys, "separate", wav(rate=22050, channels=2), tmp_path / "v", "--method",
                     method, *options)
    assert code == 0, text.err
    for name in ("speaker1.wav", "speaker2.wav"):
        wave, rate = soundfile.read(tmp_path / "v" / name)
        assert wave.shape == (44100, 2) and rate == 22050 and wave.any()
    entry = json.loads((tmp_path / "v" / "speaker1.wav.voxmend.json").read_text())
    assert (entry["task"], entry["method"], entry["voices_heard"]) == ("separate", method, 2)
    assert [output["name"] for output in entry["outputs"]] == ["speaker1.wav", "speaker2.wav"]


@pytest.mark.parametrize("method, options, rate, channels, segments", [
    ("frame-separator", [], 16000, 1, 7), ("frame-separator", ["--enrol", "ME"], 22050, 2, 7),
    ("frame-separator", ["--batch", 4], 16000, 1, 2), ("diffsep", ["--steps", 1], 16000, 2, 4),
    ("conv-tasnet", [], 8000, 1, 4),
    ("voxmend", ["--steps", 1, "--prior", "PRIOR"], 8000, 2, 2)])
def test_the_voices_of_a_long_file_by_workers_are_as_by_one(
        method, options, rate, channels, segments, bundled, prior, monkeypatch, wav, tmp_path,
        capsys):
    use_here(monkeypatch)
    told = {"PRIOR": prior, "ME": wav("me.wav", voice(4.0, seed=3))}
    wave = np.tile(voice(5.0, rate, channels), 6)
    wave += np.tile(voice(3.0, rate, channels, seed=1), 10)
    source = wav("in.wav", wave.astype(np.float32), rate)
    for name, workers in (("one", 1), ("three", 3)):
        code, text = run(capsys, "separate", source, tmp_path / name, "--method", method,
                         *[told.get(option, option) for option in options], "--device", "cpu",
                         "--workers", workers)
        assert code == 0, text.err
    names = [path.name for path in (tmp_path / "one").glob("*.wav")]
    assert len(names) == (1 if "--enrol" in options else 2)
    for name in names:
        assert samples(tmp_path / "one" / name) == samples(tmp_path / "three" / name)
    assert len(Here.last.messages) == segments


def test_the_voice_of_a_person_alone_is_written(bundled, wav, tmp_path, capsys):
    source, person = wav(), wav("me.wav", voice(4.0, seed=3), 44100)
    command = ("separate", source, tmp_path / "v", "--device", "cpu", "--enrol")
    code, text = run(capsys, *command, person)
    assert code == 0, text.err
    assert {p.name for p in (tmp_path / "v").iterdir()} == {"speaker1.wav",
                                                            "speaker1.wav.voxmend.json"}
    entry = json.loads((tmp_path / "v" / "speaker1.wav.voxmend.json").read_text())
    assert (entry["encoder"], entry["enrol_encoder"]) == ("ecapa", "ecapa+xvector")
    assert (entry["enrol"], entry["voices_heard"]) == ("me.wav", 1)
    for wrong, said in ((wav("short.wav", voice(0.2)), "short.wav: 0.20 s is too short"),
                        (wav("silent.wav", np.zeros((1, 16000))), "silent.wav: silence"),
                        (tmp_path / "none.wav", "none.wav: no such file")):
        code, text = run(capsys, *command, wrong, "--overwrite")
        assert code == 2 and said in text.err and text.err.count("\n") == 1


def test_the_default_is_the_frame_separator(bundled, wav, tmp_path, capsys):
    source = wav("in.wav", voice(0.5))
    assert run(capsys, "separate", source, tmp_path / "v", "--device", "cpu")[0] == 0
    entry = json.loads((tmp_path / "v" / "speaker1.wav.voxmend.json").read_text())
    assert (entry["method"], entry["weights"]) == ("frame-separator", "frame_separator")
    assert entry["polarities"] == 2 and "seed" not in entry
    loaded = separator.load("separate", device="cpu")
    assert loaded.segment == 6
    assert separator.load("separate", "conv-tasnet").segment == separator.SEGMENT_SECONDS
    found = postfilter(loaded(audio.load(source, 16000), 16000), 16000)
    assert entry["postfilter"] == POWER
    for voice_of, number in zip(found, "12", strict=True):
        np.testing.assert_allclose(audio.load(tmp_path / "v" / f"speaker{number}.wav", 16000),
                                   voice_of, atol=1e-6)


def test_sampler_steps_and_seed(bundled, wav, tmp_path, capsys):
    source, outputs = wav("in.wav", voice(0.5)), {}
    for name, options in {"a": [], "again": [], "seed": ["--seed", 1], "steps": ["--steps", 3],
                          "heun": ["--sampler", "heun"]}.items():
        out = tmp_path / f"{name}.wav"
        assert run(capsys, "enhance", source, out, *DIFFSEP, *options)[0] == 0
        outputs[name] = audio.load(out, 16000)
    assert np.array_equal(outputs["a"], outputs["again"])
    assert all(np.abs(outputs["a"] - outputs[name]).max() > 1e-4
               for name in ("seed", "steps", "heun"))
    entry = json.loads((tmp_path / "heun.wav.voxmend.json").read_text())
    assert (entry["sampler"], entry["steps"]) == ("heun", 2)
    loaded = separator.load("enhance", "diffsep", steps=2, device="cpu")
    np.testing.assert_allclose(loaded(audio.load(source, 16000), 16000)[0], outputs["a"], atol=1e-6)


def test_weights_say_how_to_sample_them(weights, monkeypatch, wav, tmp_path, capsys):
    for file in weights.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(hub, "WEIGHTS", tmp_path)
    card = json.loads((tmp_path / "diffsep_enhancement.json").read_text())
    card["sampling"] = {"sampler": "dpmpp_2m", "steps": 3, "polarities": 2}
    (tmp_path / "diffsep_enhancement.json").write_text(json.dumps(card))
    source = wav("in.wav", voice(0.5))
    for options, used in (([], ("dpmpp_2m", 3, 2)), (["--steps", 2], ("dpmpp_2m", 2, 2)),
                          (["--sampler", "euler"], ("euler", diffsep.STEPS, 1))):
        assert run(capsys, "enhance", source, tmp_path / "out.wav", "--method", "diffsep", *options,
                   "--device", "cpu", "--overwrite")[0] == 0
        entry = json.loads((tmp_path / "out.wav.voxmend.json").read_text())
        assert (entry["sampler"], entry["steps"], entry["polarities"]) == used


def test_samplers_of_the_command_are_those_there_are():
    assert get_args(enhance.Sampler) == (diffsep.PAPER, *SAMPLERS)


def test_folders_keep_their_structure_and_skip_what_is_finished(bundled, wav, tmp_path, capsys):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/a.wav", "in/deep/b.c.flac"):
        wav(name, 0.1 * voice(0.3))
    (tmp_path / "in" / "bad.wav").write_text("this is text")
    made = {"enhance": ["a.wav", "deep/b.c.flac"],
            "separate": ["a/speaker1.wav", "a/speaker2.wav", "deep/b.c/speaker1.wav",
                         "deep/b.c/speaker2.wav"]}
    for verb, outputs in made.items():
        command = [verb, tmp_path / "in", tmp_path / verb, "--method", "diffsep", *QUICK]
        code, text = run(capsys, *command)
        assert code == 2 and "bad.wav" in text.err and text.err.count("\n") == 1
        found = {str(p.relative_to(tmp_path / verb)) for p in (tmp_path / verb).rglob("*.*")
                 if p.is_file()}
        assert found == {*outputs, *(f"{name}.voxmend.json" for name in outputs
                                     if "speaker2" not in name)}
        before = {name: (tmp_path / verb / name).stat().st_mtime_ns for name in outputs}
        text = run(capsys, *command)[1]
        assert "2 of 3 files are finished already" in text.out
        assert before == {n: (tmp_path / verb / n).stat().st_mtime_ns for n in outputs}
        next((tmp_path / verb / "deep").rglob("*.voxmend.json")).unlink()
        text = run(capsys, *command, "--overwrite")[1]
        assert "finished" not in text.out
        assert all(before[n] < (tmp_path / verb / n).stat().st_mtime_ns for n in outputs)


def test_voices_of_two_files_do_not_go_to_one_folder(bundled, wav, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("in/a.wav", "in/a.flac"):
        wav(name, voice(0.3))
    code, text = run(capsys, "separate", tmp_path / "in", tmp_path / "out", "--method", "diffsep",
                     *QUICK)
    assert code == 2 and "a.wav: goes to " in text.err and "a.flac; give" in text.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("voices, heard, said", [
    ((1.0, 0.05), 1, "only 1 of 2 voices heard, speaker1: the rest is more than 13 dB below"),
    ((0.05, -1.0), 1, "only 1 of 2 voices heard, speaker1"), ((1.0, 0.4), 2, ""),
    ((0.0, 0.0), 0, "silence, no voice is heard")])
def test_a_single_voice_is_said_to_be_one(voices, heard, said, bundled, wav, tmp_path, capsys,
                                          monkeypatch):
    monkeypatch.setattr(diffsep, "draw", lambda model, mixture, *rest: torch.cat(
        [gain * mixture for gain in voices], dim=1))
    code, text = run(capsys, "separate", wav(), tmp_path / "v", "--method", "diffsep", *QUICK)
    assert code == 0 and said in text.err and text.err.count("\n") == bool(said)
    entry = json.loads((tmp_path / "v" / "speaker1.wav.voxmend.json").read_text())
    assert entry["voices_heard"] == heard


REFUSED = [
    ("enhance", ["--method", "diffsep", "--weights", "diffsep"],
     "made to separate, not to enhance"),
    ("separate", ["--method", "diffsep", "--weights", "diffsep_enhancement"],
     "made to enhance, not to separate"),
    ("enhance", ["--method", "segan", "--weights", "diffsep"], "no SEGAN; train one with recipes/"),
    ("enhance", ["--method", "diffsep", "--weights", "segan"], "no DiffSep; train one"),
    ("enhance", ["--weights", "segan"], "a separator, not a prior"),
    ("enhance", ["--weights", "PRIOR"], "does not listen to recordings; train one with recipes/"),
    ("enhance", ["--steps", 2], "--method voxmend takes no sampler; leave out --steps"),
    ("dereverb", ["--weights", "diffsep"], "a separator, not a prior"),
    ("enhance", ["--method", "segan", "--steps", 5], "segan takes no sampler; leave out"),
    ("enhance", ["--method", "segan+refine"], "speech16k: no such prior"),
    ("separate", ["--method", "voxmend", "--enrol", "x.wav"], "belong to networks trained to"),
    ("separate", ["--method", "conv-tasnet", "--weights", "segan"], "not a separator; train one"),
    ("enhance", ["--method", "diffsep", "--weights", "PRIOR"],
     "no DiffSep; train one with recipes/diffsep/diffsep.py"),
    ("separate", ["--weights", "conv_tasnet"], "use it with voxmend separate --method conv-tasnet"),
    ("separate", ["--weights", "diffsep"], "use it with voxmend separate --method diffsep"),
    ("separate", ["--weights", "PRIOR"], "train one with recipes/separation/frame_separator.py"),
    ("separate", ["--weights", "none"], "train some by recipes/separation/frame_separator.py"),
    ("separate", ["--method", "diffsep", "--weights", "frame_separator"],
     "no DiffSep; use it with voxmend separate --method frame-separator"),
    ("separate", ["--steps", 5], "frame-separator takes no sampler; leave out"),
    ("separate", ["--speakers", 3], "these weights separate 2; --method voxmend takes 2 to 4"),
    ("separate", ["--method", "diffsep", "--weights", "PRIOR"], "no DiffSep; train one"),
    ("separate", ["--method", "conv-tasnet", "--weights", "PRIOR"], "not a separator; train one"),
    ("separate", ["--method", "conv-tasnet", "--weights", "diffsep"], "not a separator"),
    ("separate", ["--method", "conv-tasnet", "--steps", 5], "takes no sampler; leave out --steps"),
    ("separate", ["--method", "diffsep", "--prior", "PRIOR"], "--weights instead of --prior"),
    ("separate", ["--prior", "PRIOR"], "or --method voxmend"),
    ("separate", ["--method", "voxmend", "--weights", "diffsep"], "leave out --weights"),
    ("separate", ["--method", "voxmend", "--sampler", "heun"], "belong to networks trained"),
    ("separate", ["--method", "diffsep", "--speakers", 3], "these weights separate 2"),
    ("separate", ["--method", "voxmend", "--prior", "diffsep"],
     "separate and enhance take it as --weights"),
    ("enhance", ["--weights", "none.safetensors"], "no such weights; leave --weights out for "),
    ("enhance", ["--steps", 0], "at least 1"), ("enhance", ["--seed", -1], "0 or more")]


@pytest.mark.parametrize("verb, options, word", REFUSED)
def test_weights_and_options_that_do_not_fit(verb, options, word, bundled, prior, wav, tmp_path,
                                             capsys):
    options = [prior if option == "PRIOR" else option for option in options]
    target = tmp_path / ("voices" if verb == "separate" else "out.wav")
    code, text = run(capsys, verb, wav(), target, *options, "--device", "cpu")
    assert code == 2 and word in text.err and text.err.count("\n") == 1, text.err
    assert [p.name for p in tmp_path.iterdir()] == ["in.wav"]


@pytest.mark.parametrize("verb", ["enhance", "separate"])
def test_bad_input_is_one_line_and_leaves_nothing(verb, bundled, tmp_path, capsys):
    for name in bad_inputs(tmp_path):
        before = sorted(p.name for p in tmp_path.iterdir())
        target = tmp_path / ("voices" if verb == "separate" else "out.wav")
        code, text = run(capsys, verb, tmp_path / name, target, "--method", "diffsep", *QUICK)
        assert code == 2 and name in text.err, name
        assert text.err.startswith("voxmend: ") and text.err.count("\n") == 1, text.err
        assert sorted(p.name for p in tmp_path.iterdir()) == before, name


@pytest.mark.parametrize("verb", ["enhance", "segan", "separate"])
@pytest.mark.parametrize("wave", [np.zeros((1, 16000)), np.array([[0.5]]), np.zeros((1, 1)),
                                  0.1 * np.ones((1, 700)), np.array([[0.1, -0.1]])],
                         ids=["zeros", "one", "zero", "constant", "two"])
def test_odd_but_lawful_input_passes(verb, wave, bundled, wav, tmp_path, capsys):
    source = wav("odd.wav", wave.astype(np.float32))
    how = (["enhance", "--method", "segan", "--device", "cpu"] if verb == "segan" else
           [verb, "--method", "diffsep", *QUICK])
    target = tmp_path / ("voices" if verb == "separate" else "out.wav")
    code, text = run(capsys, *how, source, target)
    assert code == 0, text.err
    found = soundfile.read(target / "speaker1.wav" if verb == "separate" else target)[0]
    assert len(found) == wave.shape[1] and np.isfinite(found).all()
    if verb == "separate":
        assert found.any() == (wave.shape[1] == 2)
    else:  # too short to tell speech from noise, or silence: as it is
        np.testing.assert_allclose(found, wave[0], atol=1e-4)


@pytest.mark.parametrize("verb, name", [("enhance", "out.noise.wav"), ("separate", "speaker2.wav")])
def test_existing_output_is_kept(verb, name, bundled, wav, tmp_path, capsys):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / name).write_text("mine")
    options = ["--keep-noise"] if verb == "enhance" else []
    out = tmp_path / "o" / "out.wav" if verb == "enhance" else tmp_path / "o"
    code, text = run(capsys, verb, wav(), out, *options, *DIFFSEP)
    assert code == 2 and f"{name}: exists already" in text.err and text.err.count("\n") == 1
    assert [p.name for p in (tmp_path / "o").iterdir()] == [name]
    assert (tmp_path / "o" / name).read_text() == "mine"
