"""Paired metrics against closed forms and their bounds."""

import subprocess
import sys

import numpy as np
import pytest

from voxmend.metrics import METRICS, SEPARATION

RATE = 16000
PACKAGES = {"estoi": "pystoi", "pesq_wb": "pesq", "pesq_nb": "pesq"}


@pytest.fixture(scope="module")
def voiced():
    """Two seconds of a harmonic tone with a gliding pitch and a syllabic envelope."""
    t = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * (120 * t + 10 * np.sin(2 * np.pi * 0.7 * t))
    tone = sum(np.sin(k * phase) / k for k in range(1, 40))
    return 0.1 * tone * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * t))


def noisy(wave, snr_db):
    noise = np.random.default_rng(0).normal(size=len(wave))
    return wave + noise * np.linalg.norm(wave) / np.linalg.norm(noise) * 10 ** (-snr_db / 20)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 20.0])
def test_si_snr_of_orthogonal_noise_is_its_snr(snr_db):
    n = np.arange(1000)
    signal, noise = np.sin(2 * np.pi * n / 50), np.sin(2 * np.pi * n / 20)
    estimate = 3 * (signal + noise * 10 ** (-snr_db / 20)) + 0.7  # gain and offset do not count
    assert METRICS["si_snr"](estimate, signal - 0.2, RATE) == pytest.approx(snr_db, abs=1e-9)


def test_si_snr_at_its_ends():
    wave = np.array([1.0, -2.0, 1.0])
    assert METRICS["si_snr"](wave, wave, RATE) == np.inf
    assert np.isnan(METRICS["si_snr"](wave, 0 * wave, RATE))


@pytest.mark.parametrize("offset", [0.1, 1 / 3, 2 / 3])  # whose mean over samples is another
def test_si_snr_of_a_constant_has_no_meaning(offset):
    wave, constant = np.random.default_rng(0).normal(size=RATE), np.full(RATE, offset)
    assert np.isnan(METRICS["si_snr"](wave, constant, RATE))
    assert np.isnan(METRICS["si_snr"](constant, wave, RATE))


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_lsd_of_a_gain_is_the_gain(rate):
    wave = np.random.default_rng(0).normal(size=rate)
    assert METRICS["lsd"](wave, wave, rate) == pytest.approx(0, abs=1e-6)
    assert METRICS["lsd"](wave / 10, wave, rate) == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("name, best, tolerance", [
    ("estoi", 1.0, 1e-6), ("pesq_wb", 4.64, 0.01), ("pesq_nb", 4.55, 0.01)])
def test_perceptual_metrics_fall_from_their_best_with_noise(name, best, tolerance, voiced):
    pytest.importorskip(PACKAGES[name])
    clean, light, heavy = (METRICS[name](estimate, voiced, RATE)
                           for estimate in (voiced, noisy(voiced, 20), noisy(voiced, 0)))
    assert clean == pytest.approx(best, abs=tolerance)
    assert best > light > heavy > -1


@pytest.mark.parametrize("name, best", [("pesq_wb", 4.64), ("pesq_nb", 4.55)])
def test_pesq_resamples_and_finds_no_utterance_in_silence(name, best, voiced):
    pytest.importorskip("pesq")
    assert METRICS[name](voiced, voiced, 22050) == pytest.approx(best, abs=0.01)
    assert np.isnan(METRICS[name](voiced, 0 * voiced, RATE))
    assert np.isnan(METRICS[name](0 * voiced, voiced, RATE))


@pytest.mark.parametrize("name, rate", [("pesq_wb", 16000), ("pesq_nb", 8000)])
def test_pesq_of_more_utterances_than_the_package_holds_is_a_mean_of_parts(name, rate):
    package = pytest.importorskip("pesq")
    rng = np.random.default_rng(0)
    clean = 0.1 * (rng.normal(size=(66, rate)) * (np.arange(rate) < rate / 2)).flatten()
    noisy = clean + 0.003 * rng.normal(size=len(clean))
    parts = [package.pesq(rate, c, n, name[-2:])
             for c, n in zip(np.split(clean, 3), np.split(noisy, 3))]
    assert METRICS[name](noisy, clean, rate) == pytest.approx(np.mean(parts), abs=1e-6)
    noisy[:22 * rate] = 0  # than which nothing is worse
    least = {"pesq_wb": 1.04, "pesq_nb": 1.02}[name]
    assert METRICS[name](noisy, clean, rate) == pytest.approx(
        np.mean([least, *parts[1:]]), abs=2e-3)
    clean[:22 * rate] = 0  # nobody speaks there: it does not count
    assert METRICS[name](noisy, clean, rate) == pytest.approx(np.mean(parts[1:]), abs=1e-6)


def test_narrow_band_pesq_does_not_hear_the_upper_band(voiced):
    pytest.importorskip("pesq")
    high = 0.05 * np.sin(2 * np.pi * 6000 * np.arange(len(voiced)) / RATE)
    assert METRICS["pesq_nb"](voiced + high, voiced, RATE) > 4.4
    assert METRICS["pesq_wb"](voiced + high, voiced, RATE) < 4


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_not_finite_has_no_score(name, bad, voiced):
    pytest.importorskip(PACKAGES.get(name, "numpy"))
    spoilt = np.where(np.arange(len(voiced)) == 100, bad, voiced)
    for pair in ((spoilt, voiced), (voiced, spoilt), (bad + voiced, voiced)):
        assert np.isnan(METRICS[name](*pair, RATE))


@pytest.mark.parametrize("name", ["lsd", "estoi", "pesq_wb", "pesq_nb"])
def test_a_rate_is_a_whole_number(name, voiced):
    pytest.importorskip(PACKAGES.get(name, "numpy"))
    light = noisy(voiced, 20)
    assert METRICS[name](light, voiced, 16000.0) == METRICS[name](light, voiced, RATE)
    for rate in (16000.5, 0, np.nan, "16000"):
        with pytest.raises(ValueError, match="^sample_rate: "):
            METRICS[name](light, voiced, rate)


@pytest.mark.parametrize("name", METRICS)
def test_signals_must_be_mono_and_equally_long(name):
    for estimate, reference in ((999, 1000), ((2, 1000), (2, 1000)), (0, 0)):
        with pytest.raises(ValueError, match="same length"):
            METRICS[name](np.ones(estimate), np.ones(reference), RATE)


def test_unknown_names_list_the_known():
    with pytest.raises(KeyError, match="si_snr, lsd, estoi, pesq_wb, pesq_nb"):
        METRICS["mos"]


def test_estoi_has_no_meaning_on_too_little_speech():
    pytest.importorskip("pystoi")
    wave = np.zeros(RATE)
    wave[-3500:] = np.random.default_rng(0).normal(size=3500)  # 219 ms
    assert np.isnan(METRICS["estoi"](wave, wave, RATE))
    assert np.isnan(METRICS["estoi"](wave[-200:], wave[-200:], RATE))
    assert np.isnan(METRICS["estoi"](wave, 0 * wave, RATE))
    wave[-8000:] = np.random.default_rng(0).normal(size=8000)
    assert METRICS["estoi"](wave, wave, RATE) == pytest.approx(1)


def test_estoi_is_the_same_every_time_and_draws_no_number_of_others(voiced):
    pytest.importorskip("pystoi")
    state = np.random.get_state
    key, place = state()[1:3]
    silent = METRICS["estoi"](0 * voiced, voiced, RATE)
    assert METRICS["estoi"](0 * voiced, voiced, RATE) == silent
    assert np.array_equal(state()[1], key) and state()[2] == place


@pytest.mark.parametrize("name, package", PACKAGES.items())
def test_a_missing_extra_says_what_to_install(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"pip install 'voxmend\[metrics\]'"):
        METRICS[name](np.ones(RATE), np.ones(RATE), RATE)


def test_importing_the_package_imports_no_metric():
    code = ("import sys, voxmend.metrics as m; "
            "print(len(m.METRICS), {'pesq', 'pystoi', 'torch', 'scipy'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5", "set()"]


def test_swap_rate_counts_the_frames_in_another_order():
    swap_rate = SEPARATION["swap_rate"]
    voices = np.random.default_rng(0).normal(size=(3, 5 * RATE))
    swapped = voices[[2, 0, 1]].copy()  # an order of the whole is no swap
    assert swap_rate(swapped, voices, RATE) == 0
    swapped[:2, :3 * RATE // 2] = swapped[1::-1, :3 * RATE // 2].copy()  # three frames of ten
    assert swap_rate(3 * swapped, voices, RATE) == pytest.approx(0.3)
    voices[1, :RATE] *= 1e-3  # two of them do not count: one voice is silent there
    assert swap_rate(swapped, voices, RATE) == pytest.approx(1 / 8)


def test_swap_rate_has_no_meaning_without_an_order():
    voices = np.random.default_rng(0).normal(size=(2, RATE))
    assert np.isnan(SEPARATION["swap_rate"](np.stack([voices.sum(0)] * 2), voices, RATE))
    assert np.isnan(SEPARATION["swap_rate"](voices, 0 * voices, RATE))
    with pytest.raises(ValueError, match="voices"):
        SEPARATION["swap_rate"](voices, voices[:1], RATE)


def test_swap_rate_of_what_is_not_finite_is_none():
    voices = np.random.default_rng(0).normal(size=(2, RATE))
    spoilt = voices.copy()
    spoilt[0, 5] = np.nan
    for pair in ((spoilt, voices), (voices, spoilt), (np.nan * voices, voices)):
        assert np.isnan(SEPARATION["swap_rate"](*pair, RATE))


@pytest.mark.parametrize("seconds", [0, -1, np.nan, np.inf])
def test_swap_rate_needs_frames(seconds):
    voices = np.random.default_rng(0).normal(size=(2, RATE))
    with pytest.raises(ValueError, match="^seconds=.*a sample or more"):
        SEPARATION["swap_rate"](voices, voices, RATE, seconds)
