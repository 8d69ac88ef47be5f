"""The tables of what separation depends on, on voices that are known."""

import json

import numpy as np
import pytest
import torch

from helpers.speech import CONFIG, voice
from voxmend import audio
from voxmend.benchmarks import restoration, separation
from voxmend.benchmarks.diffsep import HEARD, Comparison, is_quick, titled, told_the_mixture
from voxmend.cli.main import main
from voxmend.diffusion.told import Listener, ToldDenoiser
from voxmend.metrics import METRICS
from voxmend.models import hub

SEXES = "FMFFMM"  # so that mixtures are of F and F, M and M, F and M
FRAMES = dict(channels=64, blocks=1, kernel=3, dilations=[1], expansion=1, attention=1)


@pytest.fixture
def data(tmp_path):
    """Speech of six speakers with a manifest, and noise."""
    for number in range(6):
        audio.save(tmp_path / "test" / f"{number}-1-0.wav", voice(0.5, seed=number), 16000)
    (tmp_path / "manifest.csv").write_text("speaker,sex\n" + "\n".join(
        f"{number},{sex}" for number, sex in enumerate(SEXES)))
    rng = np.random.default_rng(0)
    audio.save(tmp_path / "noise" / "white.wav", 0.1 * rng.normal(size=(1, 16000)), 16000)
    return tmp_path


@pytest.fixture(autouse=True)
def folders(tmp_path):
    for name in ("test", "noise"):
        (tmp_path / name).mkdir()


@pytest.fixture
def mixtures(data):
    return restoration.mixtures(restoration.load_clips(data, None))


def as_it_is(wave):
    return wave


def test_sexes_come_from_the_manifest(data):
    assert separation.pairs_of_sexes(data, None) == ["FF", "MM", "FM"]
    assert separation.pairs_of_sexes(data, 4) == ["FF", "FM"]
    assert separation.pairs_of_sexes(data / "noise", None) == []
    rows = [{"method": "mixture", "si_snr_per_clip": [0.0, 1.0, None]},
            {"method": "good", "si_snr_per_clip": [5.0, 7.0, 9.0]}]
    table = separation.by_sexes(rows, ["FF", "FF", "MM"])
    (row,) = table["improvement by who speaks, dB (number of mixtures)"]
    assert row["two women (2)"] == 5.5 and row["two men (1)"] is None
    assert separation.by_sexes(rows, ["", "", ""]) == {}
    assert separation.by_sexes(rows[1:], ["FF", "FF", "MM"]) == {}  # without the mixture


@pytest.mark.parametrize("share, length", [(0.0, 16000), (0.25, 14000), (1.0, 8000)])
def test_voices_overlap_by_their_share(share, length, mixtures):
    made = separation.overlapped(mixtures[0], share)
    assert made.clean.shape == (2, length) and made.damaged.shape == (length,)
    np.testing.assert_array_equal(made.clean[0, :8000], mixtures[0].clean[0])
    np.testing.assert_array_equal(made.clean[1, -8000:], mixtures[0].clean[1])
    np.testing.assert_array_equal(made.damaged, made.clean.sum(0))
    assert not made.clean[0, 8000:].any() and not made.clean[1, :-8000].any()


def test_noise_stands_at_its_ratio(data, mixtures):
    for title, some in separation.in_noise(mixtures, data / "noise").items():
        for example, plain in zip(some, mixtures, strict=True):
            noise = example.damaged - plain.damaged
            ratio = 20 * np.log10(np.linalg.norm(plain.damaged) / np.linalg.norm(noise))
            assert f"{ratio:.0f} dB" == title.removeprefix("in noise, ")


def test_improvement_is_over_the_mixture_in_the_best_order(mixtures):
    example = mixtures[0]
    rough = example.clean[::-1] + 0.1 * example.damaged
    expected = np.mean([METRICS["si_snr"](r, c) - METRICS["si_snr"](example.damaged, c)
                        for r, c in zip(rough[::-1], example.clean, strict=True)])
    assert separation.improvement(example, rough, as_it_is) == pytest.approx(expected)
    rows = separation.improvements({"none": lambda e: np.stack([e.damaged] * 2)},
                                   {"all": mixtures}, as_it_is)
    assert rows == [{"method": "none", "all": pytest.approx(0)}]


def test_one_voice_is_heard_where_the_other_is_a_leak(mixtures):
    def leaks(gain):
        return lambda example: np.stack([gain * example.damaged, example.damaged])

    clips = [e.clean[0] for e in mixtures]
    good, bad, silent = separation.one_alone({"good": leaks(0.1), "bad": leaks(0.5),
                                              "silent": leaks(0.0)}, clips, as_it_is)
    heard, below, _ = list(good)[1:]
    assert (good[heard], bad[heard], silent[heard]) == (100, 0, 100)
    assert good[below] == pytest.approx(20, abs=1e-3) and silent[below] > 100


class Echo(ToldDenoiser):
    """A prior that believes all that it is told, and knows nothing else."""

    def __init__(self):
        super().__init__(torch.nn.Linear(1, 1))

    def forward(self, x, sigma, recording=None):
        return torch.zeros_like(x) if recording is None else recording


def test_a_prior_is_told_the_mixture_less_the_other_voice(mixtures):
    """Of voices that are known the other one, at first of none: then it is told the mixture."""
    example, listener = mixtures[0], Listener(Echo())
    voices = told_the_mixture(listener, lambda mixture: example.clean)(example)
    np.testing.assert_allclose(voices, example.clean, atol=1e-3)  # but for the mean
    alone = told_the_mixture(listener)(example)
    np.testing.assert_allclose(alone, np.stack([example.damaged / 2] * 2), atol=1e-4)


def test_rows_that_are_quick():
    assert all(map(is_quick, ("mixture", "Conv-TasNet", "x, both polarities, 2 calls",
                              "frame separator, both polarities", "x, ancestral, 2 calls",
                              "told after frame separator")))
    assert not any(map(is_quick, ("ours, 8 steps", "told, 32 steps", "x, ancestral, 20 calls",
                                  "x, predictor-corrector, 60 calls")))


def test_the_bundled_separator_has_a_row_as_it_is_run():
    card = hub.read_card(hub.find_prior("frame_separator"))
    assert card["sampling"] == HEARD[", three speeds"]


def test_networks_have_titles_and_labels_where_there_are_several(tmp_path):
    cards = [{"network": name} for name in ("ConvTasNet", "FrameSeparator", "ConvTasNet", "Mine")]
    files = [tmp_path / f"{name}.safetensors" for name in "abcd"]
    assert [title for title, *_ in titled("abcd", files, cards)] == [
        "Conv-TasNet (a)", "frame separator", "Conv-TasNet (c)", "d"]


def test_the_command_prints_every_table(data, prior, monkeypatch, capsys):
    for package in ("pesq", "pystoi"):
        pytest.importorskip(package)
    monkeypatch.setenv("VOXMEND_DNSMOS", str(data / "nowhere"))
    monkeypatch.setattr(hub, "WEIGHTS", data)  # no DiffSep is bundled there
    torch.manual_seed(0)
    hub.save_prior(data / "mine.safetensors",
                   hub.build_network("FrameSeparator", FRAMES).state_dict(),
                   {"network": "FrameSeparator", "config": FRAMES, "sample_rate": 16000,
                    "prediction": "sources", "open_levels": False})
    command = ["bench", "separate", "--data", data, "--prior", prior, "--noise", data / "noise",
               "--separators", data / "mine.safetensors", "--quick", "--device", "cpu"]
    assert main(list(map(str, command))) == 0
    tables = [line for line in capsys.readouterr().out.splitlines() if line.startswith("**")]
    assert tables == [
        "**separate**", "**improvement by who speaks, dB (number of mixtures)**",
        "**improvement by the share of each voice that the other speaks over, dB**",
        "**improvement in recorded noise, dB**", "**one voice alone (medians)**"]
    hub.save_prior(data / "told.safetensors",
                   hub.build_network("FrameConvNeXt", CONFIG | {"inputs": 2}).state_dict(),
                   {"network": "FrameConvNeXt", "config": CONFIG | {"inputs": 2},
                    "sample_rate": 16000, "sigma_min": 0.002, "sigma_max": 2.0, "sigma_data": 0.1,
                    "prediction": "told", "sources": 2})
    comparison = Comparison("separate", separators=[data / "mine.safetensors"], prior=str(prior),
                            progress=False, enhancer=data / "told.safetensors",
                            only=("mixture", "frame", "told"))
    result = comparison.separation(data)
    rows = {row["method"]: row["calls"] for row in result["cases"]["separate"]}
    assert rows == {"mixture": 0, "frame separator": 1, "frame separator, both polarities": 2,
                    "frame separator, three speeds": 3,
                    "told after frame separator": 2, "told, 32 steps": 64}
    assert len(result["breakdown"]) == 3
    *_, one_alone = result["breakdown"].values()
    assert [row["method"] for row in one_alone] == ["frame separator"]  # as separate runs it
    card = hub.read_card(data / "mine.safetensors")
    (data / "mine.json").write_text(json.dumps(card | {"sampling": {"polarities": 2}}))
    comparison = Comparison("separate", separators=[data / "mine.safetensors"], prior=str(prior))
    assert comparison.usual == {"frame separator, both polarities"}
