"""DiffSep's tables: known answers are scored as such, at the rate and with the calls they say."""

import json
import re

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from helpers.speech import voice
from voxmend import audio
from voxmend.benchmarks import diffsep as tables
from voxmend.benchmarks import restoration
from voxmend.benchmarks.diffsep import SAMPLINGS, Comparison, mixed_with_noise, real_pairs
from voxmend.cli.main import main
from voxmend.diffusion.processes import MixingSDE
from voxmend.metrics import METRICS
from voxmend.models import hub
from voxmend.systems import diffsep
from voxmend.systems.score_models import ScoreModel

LIGHT = dict(channels=8, blocks=1, kernel=3, dilations=[1], expansion=2, inputs=2)
PROCESS = {"sources": 2, "gamma": 2.0, "sigma_min": 0.05, "sigma_max": 0.5}
CALLS = [60, 2, 2, 5, 10, 20, 30]
EXACT = re.compile("small.*(ancestral|both polarities)")  # no error where sources are known


@pytest.fixture(autouse=True)
def no_judge(monkeypatch, tmp_path):
    """Tables are then the same whatever is installed, and come quickly."""
    for package in ("pesq", "pystoi"):
        pytest.importorskip(package)
    monkeypatch.setenv("VOXMEND_DNSMOS", str(tmp_path / "nowhere"))


@pytest.fixture
def data(tmp_path):
    """Speech of two speakers with noise, and both as a pair."""
    rng = np.random.default_rng(0)
    for folder in ("speech", "noise", "pairs/clean", "pairs/noisy"):
        (tmp_path / folder).mkdir(parents=True)
    for seed in range(2):
        audio.save(tmp_path / "speech" / f"{seed}-1-0.wav", voice(1.0, seed=seed), 16000)
    noise = 0.1 * rng.normal(size=(1, 40000))
    audio.save(tmp_path / "noise" / "white.wav", noise, 16000)
    audio.save(tmp_path / "pairs" / "clean" / "a.wav", voice(1.0), 16000, "FLOAT")
    audio.save(tmp_path / "pairs" / "noisy" / "a.wav", voice(1.0) + 0.1 * noise[:, :16000], 16000,
               "FLOAT")
    return tmp_path


@pytest.fixture
def weights(tmp_path):
    """Writes a small random DiffSep for a rate."""
    def write(rate, **changes):
        torch.manual_seed(0)
        network = hub.build_network("FrameConvNeXt", LIGHT)
        path = tmp_path / f"small{rate}.safetensors"
        hub.save_prior(path, network.state_dict(), {
            "network": "FrameConvNeXt", "config": LIGHT, "sample_rate": rate,
            "prediction": "differences", "process": PROCESS, "local_noise": False} | changes)
        return str(path)
    return write


@pytest.fixture
def separator(tmp_path):
    config = dict(N=16, L=16, B=8, H=16, Sc=8, X=2, R=1)
    path = tmp_path / "tasnet.safetensors"
    hub.save_prior(path, hub.build_network("ConvTasNet", config).state_dict(), {
        "network": "ConvTasNet", "config": config, "sample_rate": 16000, "prediction": "sources"})
    return path


class Oracle(torch.nn.Module):
    """The score of x_t for sources that are known."""

    def __init__(self, sources):
        super().__init__()
        self.sources = torch.nn.Parameter(torch.from_numpy(sources)[None], requires_grad=False)

    def forward(self, x, t):
        process, (y, _, deviation) = MixingSDE(**PROCESS), diffsep.normalise(
            self.sources.sum(1, keepdim=True))
        polarity = (x[:, 2:] * y).sum().sign()
        torch.testing.assert_close(x[:, 2:], polarity * y, atol=1e-3, rtol=0)
        sources = polarity * (self.sources - self.sources.mean(2, keepdim=True)) / deviation
        return process.whiten(process.whiten(process.mean(sources, t) - x[:, :2], t), t)


def test_known_voices_are_scored_at_the_model_s_rate(data, prior, weights, separator, monkeypatch):
    example = restoration.mixtures(restoration.load_clips(data / "speech", None))[0]
    slow = audio.resample(example.clean, 16000, 8000)
    oracle = ScoreModel(Oracle(slow[::-1].copy()), MixingSDE(**PROCESS), 8000)
    monkeypatch.setattr(diffsep, "load_model", lambda path, device, task: oracle)
    monkeypatch.setattr(tables.separation, "breakdown", lambda *args: {})  # of other mixtures
    comparison = Comparison("separate", [weights(8000)], [separator], str(prior), progress=False)
    result = comparison.separation(data / "speech", steps=(1,))
    rows = {row["method"]: row for row in result["cases"]["separate"]}
    assert list(rows) == ["mixture", "ours, 1 step", "ours, 32 steps (default)", "Conv-TasNet",
                          "Conv-TasNet, both polarities", "Conv-TasNet, three speeds",
                          *(f"small8000, {sampling}" for sampling in SAMPLINGS)]
    assert [row["calls"] for row in rows.values()] == [0, 1, 32, 1, 2, 3, *CALLS]
    exact = [row for name, row in rows.items() if EXACT.search(name)]
    assert all(row["si_snr"] > 60 and row["pesq_nb"] > 4.5 and row["estoi"] > 0.999
               for row in exact)
    own = rows["small8000, predictor-corrector, 60 calls"]
    assert 15 < own["si_snr"] < 60 and own["swap_rate"] == 0  # what its finite steps leave of noise
    low = resample_poly(example.damaged.astype(float), 1, 2)
    expected = [METRICS["si_snr"](low, resample_poly(v.astype(float), 1, 2)) for v in example.clean]
    assert rows["mixture"]["si_snr"] == pytest.approx(np.mean(expected), abs=0.05)
    text = restoration.markdown(result)
    assert "Scored at 8000 Hz" in text and "PESQ-NB" in text and "PESQ-WB" not in text
    assert "Not measured: dnsmos" in text and "one speaker" not in text
    assert result["models"] == {"small8000": hub.file_hash(weights(8000)),
                                "tasnet": hub.file_hash(separator)}


def test_known_speech_is_scored_without_its_noise(data, prior, weights, monkeypatch):
    """At 16 kHz: of the two sources the first counts."""
    pair = real_pairs(data / "pairs", None)[0]
    sources = np.stack([pair.clean, pair.damaged - pair.clean])
    oracle = ScoreModel(Oracle(sources), MixingSDE(**PROCESS), 16000)
    monkeypatch.setattr(diffsep, "load_model", lambda path, device, task: oracle)
    monkeypatch.setattr(tables, "mixed_with_noise", lambda *args: {"pair": [pair]})
    comparison = Comparison("enhance", [weights(16000)], prior=str(prior), progress=False)
    result = comparison.enhancement(data / "speech", data / "noise")
    rows = {row["method"]: row for row in result["cases"]["pair"]}
    assert list(rows) == ["noisy", "Wiener", "ours, 1 step (default)", "ours (blind), 1 step",
                          *(f"small16000, {sampling}" for sampling in SAMPLINGS)]
    assert [row["calls"] for row in rows.values()][4:] == CALLS
    for name, row in rows.items():
        assert (row["pesq_wb"] > 4.6) == (row["si_snr"] > 60) == bool(EXACT.search(name))
    assert rows["noisy"]["si_snr"] == pytest.approx(18.1, abs=0.1)
    assert "Hz, the lowest" not in restoration.markdown(result)


def test_noise_stands_at_its_ratio_and_is_the_same_everywhere(data):
    examples = mixed_with_noise(data / "speech", data / "noise", None)
    assert list(examples) == ["noise at 0 dB", "noise at 5 dB", "noise at 10 dB"]
    for snr, some in zip((0, 5, 10), examples.values()):
        for example, loudest in zip(some, examples["noise at 0 dB"]):
            noise = example.damaged - example.clean
            ratio = 20 * np.log10(np.linalg.norm(example.clean) / np.linalg.norm(noise))
            assert ratio == pytest.approx(snr, abs=1e-3)
            first = loudest.damaged - loudest.clean
            np.testing.assert_allclose(noise, first * 10 ** (-snr / 20), atol=1e-6)
            assert example.damage.noise == pytest.approx(noise.std(), rel=1e-3)
    noises = [example.damaged - example.clean for example in examples["noise at 0 dB"]]
    assert abs(np.corrcoef(noises)[0, 1]) < 0.1
    again = mixed_with_noise(data / "speech", data / "noise", 1)
    np.testing.assert_array_equal(again["noise at 5 dB"][0].damaged,
                                  examples["noise at 5 dB"][0].damaged)


def test_pairs_that_are_none_are_named(data):
    audio.save(data / "pairs" / "noisy" / "a.wav", voice(0.9), 16000, overwrite=True)
    with pytest.raises(audio.AudioError, match="noisy/a.wav: 14400 samples .* 16000"):
        real_pairs(data / "pairs", None)
    (data / "pairs" / "noisy" / "a.wav").unlink()
    with pytest.raises(audio.AudioError, match="noisy/a.wav: no such file"):
        real_pairs(data / "pairs", None)


def test_weights_for_three_voices_are_refused(prior, weights):
    three = weights(8000, process=PROCESS | {"sources": 3})
    with pytest.raises(hub.PriorError, match="small8000.* for 3 sources"):
        Comparison("separate", [three], prior=str(prior))


def test_commands_write_and_draw(data, prior, weights, separator, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(tables, "SNRS", (0,))
    out, picture, drawn = data / "tables.json", data / "curves.png", []
    monkeypatch.setattr("voxmend.benchmarks.plots._save", lambda figure, path: drawn.append(figure))
    common = ["--prior", str(prior), "--out", str(out), "--plot", str(picture), "--overwrite"]
    for task, options, cases in (
            ("separate", ["--weights", weights(8000), "--steps", "1", "--only", "small",
                          "--separators", str(separator)], ["separate"]),
            ("enhance", ["--weights", weights(16000, task="enhance"),
                         "--noise", str(data / "noise"),
                         "--voicebank", str(data / "pairs"), "--clips", "1"],
             ["noise at 0 dB", "real pairs"])):
        assert main(["bench", task, "--data", str(data / "speech"), *common, *options]) == 0
        assert f"**{cases[-1]}**" in capsys.readouterr().out
        assert list(json.loads(out.read_text())["cases"]) == cases
        curves = {line.get_label(): list(line.get_xdata()) for line in drawn[-1].axes[0].lines}
        name = f"small{8000 if task == 'separate' else 16000}"
        assert curves[f"{name}, ancestral"] == CALLS[2:]
        assert curves[f"{name}, predictor-corrector"] == CALLS[:1]
        assert len(drawn[-1].axes) == 3 * len(cases)


def test_wrong_options_are_named(data, prior, weights, capsys):
    command = ["bench", "separate", "--data", str(data / "speech"), "--prior", str(prior)]
    for extra, message in ((["--clips", "1"], "mixtures need two"), (["--clips", "0"], "--clips"),
                           (["--steps", "0"], "--steps"), (["--plot", "a.txt"], ".png"),
                           (["--weights", str(prior)], "no DiffSep"),
                           (["--weights", "nothing"], "nothing: no such prior"),
                           (["--weights", weights(16000, task="enhance")], "made to enhance"),
                           (["--separators", weights(8000)], "not a separator")):
        assert main(command + extra) == 2
        assert message in capsys.readouterr().err


def test_rivals_have_rows_and_judges_columns(data, prior, monkeypatch):
    """On the same clips; --quick leaves the prior's own task out."""
    class Panel:
        notes = ("Judged by one.",)

        def __init__(self, device):
            self.notes = list(self.notes)

        def __call__(self, example, estimate, rate):
            return {"words_changed": float(np.abs(estimate - example.damaged).max())}

    pair = real_pairs(data / "pairs", None)[0]
    monkeypatch.setattr(tables, "Panel", Panel)
    monkeypatch.setattr(tables, "mixed_with_noise", lambda *args: {"pair": [pair]})
    monkeypatch.setattr(tables.rivals, "installed", lambda task, rate: (
        {"Rival (a 1, MIT)": lambda e: e.clean}, ["Left out: Other"]))
    comparison = Comparison("enhance", prior=str(prior), progress=False, judges=True, compared=True)
    result = comparison.enhancement(data / "speech", data / "noise", quick=True)
    rows = {row["method"]: row for row in result["cases"]["pair"]}
    assert list(rows) == ["noisy", "Wiener", "Rival (a 1, MIT)"]
    assert rows["Rival (a 1, MIT)"]["pesq_wb"] > 4.6 and rows["noisy"]["words_changed"] == 0
    text = restoration.markdown(result)
    assert "Left out: Other" in text and "Judged by one." in text and "words changed" in text
