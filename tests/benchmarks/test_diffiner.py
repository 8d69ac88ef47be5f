"""Diffiner's tables: rows, calls and scores of known answers."""

import json

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend import audio, classical
from voxmend.benchmarks import diffiner, diffsep
from voxmend.cli.main import main
from voxmend.metrics import METRICS
from voxmend.models import hub
from voxmend.systems.diffiner import METHODS

LIGHT = dict(channels=8, blocks=1, kernel=3, dilations=[1], expansion=2, inputs=2)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Speech, noise, a pair of both, a bundled DiffSep and SEGAN, with DNSMOS out of reach."""
    for package in ("pesq", "pystoi"):
        pytest.importorskip(package)
    monkeypatch.setenv("VOXMEND_DNSMOS", str(tmp_path / "nowhere"))
    monkeypatch.setattr(diffsep, "SNRS", (5,))
    for folder in ("speech", "noise", "pairs/clean", "pairs/noisy", "weights"):
        (tmp_path / folder).mkdir(parents=True)
    noise = 0.1 * np.random.default_rng(0).normal(size=(1, 40000))
    audio.save(tmp_path / "speech" / "1-1-0.wav", voice(1.0), 16000)
    audio.save(tmp_path / "noise" / "white.wav", noise, 16000)
    audio.save(tmp_path / "pairs" / "clean" / "a.wav", voice(1.0), 16000, "FLOAT")
    audio.save(tmp_path / "pairs" / "noisy" / "a.wav", voice(1.0) + 0.1 * noise[:, :16000], 16000,
               "FLOAT")
    torch.manual_seed(0)
    state = hub.build_network("FrameConvNeXt", LIGHT).state_dict()
    hub.save_prior(tmp_path / "weights" / "diffsep_enhancement.safetensors", state, {
        "network": "FrameConvNeXt", "config": LIGHT, "sample_rate": 16000, "task": "enhance",
        "prediction": "differences", "local_noise": False,
        "process": {"sources": 2, "gamma": 2.0, "sigma_min": 0.05, "sigma_max": 0.5},
        "sampling": {"sampler": "dpmpp_2m", "steps": 2}})
    state = hub.build_network("SEGAN", {"channels": [4, 8]}).state_dict()
    hub.save_prior(tmp_path / "weights" / "segan.safetensors", state, {
        "network": "SEGAN", "config": {"channels": [4, 8]}, "sample_rate": 16000,
        "prediction": "speech"})
    monkeypatch.setattr(hub, "WEIGHTS", tmp_path / "weights")
    return tmp_path


def test_rows_calls_and_scores(data, prior, capsys):
    out = data / "tables.json"
    assert main(["bench", "refine", "--data", str(data / "speech"), "--noise",
                 str(data / "noise"), "--voicebank", str(data / "pairs"), "--prior", str(prior),
                 "--steps", "3", "--out", str(out)]) == 0
    cases = json.loads(out.read_text())["cases"]
    assert list(cases) == ["noise at 5 dB", "real pairs"]
    few = METHODS["voxmend"].steps
    ways = {f"refined, {few} calls": few, "Diffiner, 3 calls": 3, "Diffiner+, 3 calls": 3}
    expected = {"noisy": 0, "log-MMSE": 0, **{f"log-MMSE + {w}": n for w, n in ways.items()},
                "DiffSep": 2, **{f"DiffSep + {w}": n for w, n in ways.items()},
                "SEGAN": 1, **{f"SEGAN + {w}": n for w, n in ways.items()},
                **{f"true noise + {w}": n for w, n in ways.items()}}
    pair = diffsep.real_pairs(data / "pairs", None)[0]
    for rows in cases.values():
        assert {row["method"]: row["calls"] for row in rows} == expected
    rows = {row["method"]: row for row in cases["real pairs"]}
    clean = pair.clean.astype(float)
    for name, wave in (("noisy", pair.damaged),
                       ("log-MMSE", classical.log_mmse_denoise(pair.damaged, 16000))):
        assert rows[name]["si_snr"] == pytest.approx(METRICS["si_snr"](wave, clean), abs=1e-3)
    said = capsys.readouterr().out
    assert "**real pairs**" in said and "Not measured: dnsmos" in said
    assert "refining alone" in said and (data / "tables.md").is_file()


def test_refiners_get_what_the_front_end_made(data, prior, monkeypatch):
    """And the ideal one the speech itself."""
    seen = []

    class Spy:
        def __init__(self, *args):
            self.prior, self.steps = torch.nn.Identity(), 1

        def __call__(self, noisy, enhanced, rate):
            seen.append(enhanced)
            return noisy

    monkeypatch.setattr(diffiner, "Refiner", Spy)
    monkeypatch.setattr(diffiner, "REFINERS", {"refined": "voxmend"})
    monkeypatch.setattr(diffiner, "front_ends", lambda *args: {
        "half": (lambda e: e.damaged / 2, None)})
    diffiner.run(data / "speech", data / "noise", prior=str(prior), progress=False)
    example = diffsep.mixed_with_noise(data / "speech", data / "noise", None)[
        "noise at 5 dB"][0]
    np.testing.assert_allclose(seen[0], example.damaged / 2, atol=1e-6)
    np.testing.assert_allclose(seen[1], example.clean, atol=1e-6)


def test_wrong_options_are_named(data, prior, capsys):
    command = ["bench", "refine", "--data", str(data / "speech"), "--noise", str(data / "noise"),
               "--prior", str(prior)]
    for extra, message in ((["--clips", "0"], "at least 1"), (["--steps", "0"], "at least 1"),
                           (["--seed", "-1"], "0 or more"),
                           (["--segan", str(prior)], "no SEGAN; train one"),
                           (["--out", "a.txt"], ".json")):
        assert main(command + extra) == 2
        assert message in capsys.readouterr().err
