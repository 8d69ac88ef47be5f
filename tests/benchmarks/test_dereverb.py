"""Speech in synthetic rooms: the same every time, and what is better there counts as such."""

import json

import numpy as np
import pytest
import torch

from helpers.commands import run
from helpers.speech import CONFIG, voice
from voxmend import audio
from voxmend.benchmarks import dereverb
from voxmend.benchmarks import diffsep as tables
from voxmend.benchmarks.diffsep import enhanced_by
from voxmend.diffusion.told import Listener, ToldDenoiser
from voxmend.models import hub
from voxmend.systems import separator, weights
from voxmend.systems.hearing import over_speeds


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Small random weights of a prior that listens, as if they were voxmend's own."""
    for package in ("pesq", "pystoi"):
        pytest.importorskip(package)
    monkeypatch.setenv("VOXMEND_DNSMOS", str(tmp_path / "nowhere"))
    config = CONFIG | {"inputs": 2}
    torch.manual_seed(0)
    hub.save_prior(tmp_path / "enhancer16k.safetensors",
                   hub.build_network("FrameConvNeXt", config).state_dict(),
                   {"network": "FrameConvNeXt", "config": config, "sample_rate": 16000,
                    "prediction": "told", "sigma_min": 0.002, "sigma_max": 2.0, "sigma_data": 0.1})
    monkeypatch.setattr(hub, "WEIGHTS", tmp_path)
    for folder in ("speech", "noise"):
        (tmp_path / folder).mkdir()
    audio.save(tmp_path / "speech" / "a.wav", voice(1.0), 16000)
    hiss = 0.1 * np.random.default_rng(0).normal(size=(1, 20000))
    audio.save(tmp_path / "noise" / "white.wav", hiss, 16000)
    return tmp_path


def test_a_room_is_its_number_s():
    clean = voice(1.0)[0]
    one, again, other = (dereverb.in_room(clean, k) for k in (0, 0, 1))
    np.testing.assert_array_equal(one.damaged, again.damaged)
    assert one.damaged.shape == clean.shape and np.array_equal(one.clean, clean)
    ratios = [10 * np.log10(np.sum(clean**2) / np.sum((e.damaged - clean) ** 2))
              for e in (one, other)]
    assert ratios[0] != ratios[1] and all(-6 < ratio < 15 for ratio in ratios)


def test_better_is_better_than_the_input(told):
    example, score = dereverb.in_room(voice(1.0)[0], 0), dereverb.Scores()
    assert score(example, example.damaged)["better"] == 0
    assert score(example, example.clean)["better"] == 1
    assert score(example, 0.5 * example.damaged + 0.02)["better"] == 0
    assert dereverb.Scores()(example, example.clean)["better"] == 1  # of a table without the input


def test_the_command_prints_writes_and_counts(told, capsys):
    out = told / "rooms.json"
    code, text = run(capsys, "bench", "dereverb", "--data", told / "speech", "--device", "cpu",
                     "--out", out)
    assert code == 0, text.err
    rows, = json.loads(out.read_text())["cases"].values()
    assert [row["method"] for row in rows] == ["reverberant", "voxmend, 1 call"]
    assert [row["calls"] for row in rows] == [0, 1] and rows[0]["better"] == 0
    assert "share of clips bettered" in text.out and "enhancer16k" in text.out
    card = told / "enhancer16k.json"
    card.write_text(json.dumps(json.loads(card.read_text())
                               | {"sampling": {"speeds": [1.0, 0.9], "polarities": 2}}))
    code, text = run(capsys, "bench", "dereverb", "--data", told / "speech", "--device", "cpu",
                     "--out", out, "--overwrite")
    assert code == 0, text.err
    rows, = json.loads(out.read_text())["cases"].values()
    assert [(row["method"], row["calls"]) for row in rows[1:]] == [("voxmend, 1 call", 1),
                                                                  ("voxmend, 4 calls", 4)]
    assert run(capsys, "bench", "dereverb", "--data", told / "speech", "--weights",
               "speech16k")[0] == 2


class Known(ToldDenoiser):
    """Gives half of what it is told, of what is loud nothing."""

    def __init__(self):
        super().__init__(torch.nn.Linear(1, 1))

    def forward(self, x, sigma, recording=None):
        return recording / 2 * (recording.abs() < 2 * self.sigma_data)


def test_enhanced_by_is_the_verb_s_separator(told, monkeypatch):
    example = dereverb.in_room(voice(1.0)[0], 0)
    monkeypatch.setitem(weights.DIRECT, "voxmend", lambda path, device: Listener(Known()))
    found = enhanced_by(Listener(Known()))(example)
    expected = separator.load("enhance", device="cpu")(example.damaged, 16000)[0]
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found).max() > 0.1 * np.abs(example.damaged).max()


def test_a_card_says_at_which_speeds_a_prior_listens(told):
    card = told / "enhancer16k.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"sampling": {"speeds": [1.0, 0.9]}}))
    loaded, wave = separator.load("enhance", device="cpu", seed=4, precision="fp32"), voice(1.0)[0]
    assert (loaded.entry["speeds"], loaded.entry["seed"]) == ([1.0, 0.9], 4)
    listener = weights.load_listener(told / "enhancer16k.safetensors")
    listener.seed = 4
    scaled = torch.from_numpy(wave)[None, None]
    found = loaded.apart(scaled, [0], None)
    torch.testing.assert_close(found, over_speeds(listener, scaled, [1.0, 0.9], ordered=True))
    torch.testing.assert_close(found.sum(1, keepdim=True), scaled)


def test_bench_enhance_has_its_rows(told, prior, monkeypatch, capsys):
    """Beside those of the other methods, without a DiffSep where there is none."""
    monkeypatch.setattr(tables, "SNRS", (5,))
    out = told / "noise.json"
    code, text = run(capsys, "bench", "enhance", "--data", told / "speech", "--noise",
                     told / "noise", "--prior", prior, "--device", "cpu", "--out", out)
    assert code == 0, text.err
    result = json.loads(out.read_text())
    calls = {row["method"]: row["calls"] for row in result["cases"]["noise at 5 dB"]}
    assert calls.pop("ours (blind), 1 step") <= 1  # none where the noise is not white
    assert calls == {"noisy": 0, "Wiener": 0, "ours, 1 step (default)": 1, "voxmend, 1 call": 1}
    assert list(result["models"]) == ["enhancer16k"] and result["precision"] == "fp32"
