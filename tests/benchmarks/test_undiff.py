"""UnDiff's tables repeat themselves, count calls and say what the paper says."""

import json
import shutil

import numpy as np
import pytest

from helpers.speech import voice
from voxmend import audio
from voxmend.benchmarks import restoration, undiff
from voxmend.cli.bench import UNDIFF_TABLES
from voxmend.cli.main import main
from voxmend.dsp.rms import rms
from voxmend.metrics import METRICS
from voxmend.models import hub


@pytest.fixture(autouse=True)
def no_judges(monkeypatch, tmp_path):
    """Tables are then the same whatever is installed, and come quickly."""
    for name in ("DNSMOS", "WVMOS", "DEEPSPEECH"):
        monkeypatch.setenv(f"VOXMEND_{name}", str(tmp_path / "nowhere"))


@pytest.fixture
def data(tmp_path):
    (tmp_path / "speech").mkdir()
    for seed in range(2):
        audio.save(tmp_path / "speech" / f"{seed}.wav", voice(2.0, seed=seed), 16000)
    return tmp_path / "speech"


def test_crops_are_of_one_second_and_never_of_a_pause(tmp_path):
    wave = np.zeros((1, 16000 * 20), np.float32)
    wave[:, 16000 * 9:16000 * 11] = voice(2.0)
    audio.save(tmp_path / "mostly-silent.wav", wave, 16000)
    crops = [undiff.random_crops(tmp_path, 1, seed)[0] for seed in range(10)]
    assert all(len(c) == 16000 and rms(c) > rms(wave) / 4 for c in crops)
    assert len({c.tobytes() for c in crops}) == 10
    again = undiff.random_crops(tmp_path, 1, 3)[0]
    assert np.array_equal(again, crops[3])


def test_crops_are_of_files_spread_over_all(tmp_path):
    """So of several speakers, whose files stand side by side."""
    for number in range(9):
        (tmp_path / f"{number // 3}").mkdir(exist_ok=True)
        level = np.full((1, 16000), 0.1 * (number + 1))
        audio.save(tmp_path / f"{number // 3}" / f"{number}.wav", level, 16000)
    levels = [round(10 * crop[0]) - 1 for crop in undiff.random_crops(tmp_path, 3, 0)]
    assert levels == [0, 3, 6]
    assert len(undiff.random_crops(tmp_path, 48, 0)) == 9


@pytest.mark.parametrize("wave, word", [(voice(0.9), "shorter than 1 s"),
                                        (np.zeros((1, 20000)), "but silence")])
def test_files_without_a_second_of_speech_are_named(wave, word, tmp_path):
    audio.save(tmp_path / "bad.wav", wave, 16000)
    with pytest.raises(audio.AudioError, match=f"bad.wav: .*{word}"):
        undiff.random_crops(tmp_path, 1, 0)


def test_priors_of_one_name_have_rows_of_their_own(data, prior, epsilon_prior, tmp_path):
    """As all have that `train` made."""
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    places = []
    for folder, made in (("one", prior), ("two", epsilon_prior)):
        (tmp_path / folder).mkdir()
        places.append(tmp_path / folder / "prior.safetensors")
        for suffix in (".safetensors", ".json"):
            shutil.copy(made.with_suffix(suffix), places[-1].with_suffix(suffix))
    result = undiff.run(data, tuple(map(str, places)), tables=("generate",), steps=1,
                        exact=False, progress=False)
    assert result["priors"] == {"one/prior": hub.file_hash(prior),
                                "two/prior": hub.file_hash(epsilon_prior)}
    methods = [row["method"] for row in result["tables"]["generate"]]
    assert methods[2:] == ["one/prior, 1 step", "two/prior, 1 step"]


def test_weights_for_another_rate_are_refused(data, prior, tmp_path):
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    card = hub.read_card(prior) | {"sample_rate": 8000, "prediction": "sources"}
    shutil.copy(prior, tmp_path / "slow.safetensors")
    (tmp_path / "slow.json").write_text(json.dumps(card))
    with pytest.raises(hub.PriorError, match="slow.* works at 8000 Hz"):
        undiff.run(data, (str(prior),), tmp_path / "slow.safetensors", progress=False)


def test_voices_stand_in_the_figure_in_their_references_order(data, prior, tmp_path, monkeypatch):
    for package in ("matplotlib", "pesq", "pystoi"):
        pytest.importorskip(package)
    drawn = {}
    monkeypatch.setattr("voxmend.benchmarks.plots.spectrograms",
                        lambda waves, *args: drawn.update(waves))
    tables = undiff.Tables(data, (str(prior),), None, 2, 1, False, 0, "cpu", False)
    swapped = restoration.mixtures(tables.clips)[0].clean[::-1]
    monkeypatch.setattr(tables, "restorers",
                        lambda task: iter([("", None, lambda *args: swapped)]))
    tables.figure(tmp_path / "figure1.png")
    for number in "12":
        assert np.array_equal(drawn[f"separated {number}"], drawn[f"reference {number}"])


def test_rows_calls_and_figures(data, epsilon_prior, tmp_path, hasty_spade):
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    pytest.importorskip("matplotlib")
    picture = tmp_path / "figure1.png"
    some = ("generate", "extend-4k", "declip", "separate")
    result = undiff.run(data, (str(epsilon_prior),), tables=some, steps=2, plot=picture,
                        progress=False)
    assert tuple(result["tables"]) == some
    for name, rows in result["tables"].items():
        calls = {row["method"]: row["calls"] for row in rows}
        assert calls["ddpm, all steps"] == 5 and calls["ddpm, 2 steps"] == 2, name
        assert rows[0]["method"] == "ground truth" and calls["ground truth"] == 0
    declip = {row["method"]: row for row in result["tables"]["declip"]}
    crops = undiff.random_crops(data, 2, 0)
    scores = [METRICS["si_snr"](restoration.clipped(c, 0).damaged, c) for c in crops]
    assert declip["input"]["si_snr"] == pytest.approx(np.mean(scores), abs=1e-3)
    assert declip["ground truth"]["lsd"] == pytest.approx(0, abs=0.01)
    generated = {row["method"]: row["frechet_logmel"] for row in result["tables"]["generate"]}
    assert generated["ground truth"] < 0.2 * generated["Gaussian noise"]
    text = undiff.markdown(result)
    assert "| *paper, other data: A-SPADE* |" in text and " 8.48 |" in text
    assert "Not measured: dnsmos" in text and "nowhere" in text
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_command_knows_every_table():
    assert tuple(undiff.PAPER) == UNDIFF_TABLES


def test_command_and_its_errors(data, prior, tmp_path, capsys):
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    out = tmp_path / "tables.json"
    command = ["bench", "undiff", "--data", str(data), "--priors", str(prior), "--tables",
               "extend-4k", "--steps", "1", "--skip-exact", "--out", str(out)]
    assert main(command) == 0
    assert "Table 2" in capsys.readouterr().out and out.with_suffix(".md").is_file()
    for extra, message in (([], "exists already"), (["--overwrite", "--clips", "1"], "--clips"),
                           (["--overwrite", "--separator", str(prior)], "not a separator"),
                           (["--overwrite", "--priors"], "at least one prior"),
                           (["--overwrite", "--tables"], "name some of generate, ")):
        assert main(command + extra) == 2
        assert message in capsys.readouterr().err


def test_conv_tasnet_has_a_row(data, prior, tmp_path):
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    config = dict(N=16, L=16, B=8, H=16, Sc=8, X=2, R=1)
    network = hub.build_network("ConvTasNet", config)
    path = tmp_path / "separator.safetensors"
    hub.save_prior(path, network.state_dict(), {
        "network": "ConvTasNet", "config": config, "sample_rate": 16000, "prediction": "sources"})
    result = undiff.run(data, (str(prior),), path, tables=("separate",), steps=1,
                        exact=False, progress=False)
    rows = {row["method"]: row for row in result["tables"]["separate"]}
    assert {"mixture", "Conv-TasNet", "small, 1 step"} <= set(rows)
    assert rows["mixture"]["swap_rate"] is None and rows["ground truth"]["swap_rate"] == 0
    assert 0 <= rows["Conv-TasNet"]["swap_rate"] <= 0.5
