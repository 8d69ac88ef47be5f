"""Slower judges against closed forms, edit distances counted by hand and releases."""

import sys
import tracemalloc
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend import audio, demo
from voxmend.metrics import FIDELITY, QUALITY, TRANSCRIPT, recogniser
from voxmend.metrics import speaker_similarity as similarity
from voxmend.metrics._common import WeightsError
from voxmend.metrics.plcmos import log_power

RATE = 16000
HEARD = {1.0: "She sells, sea-shells!", 2.0: "he sells shells", 3.0: ""}  # by a clip's first sample


@pytest.fixture
def listener(monkeypatch):
    """A recogniser whose words are known."""
    pytest.importorskip("jiwer")
    monkeypatch.setattr(recogniser, "load", lambda name: recogniser.Recogniser(
        name, lambda wave: HEARD[float(wave[0])]))
    monkeypatch.setenv(recogniser.VARIABLE, "known")
    recogniser._heard.clear()
    yield
    recogniser._heard.clear()


def test_words_and_characters_changed_are_edit_distances(listener):
    clean, restored, mute = (np.full(RATE, first) for first in HEARD)
    # she sells sea shells → he sells shells: one substituted, one deleted, of four
    assert FIDELITY["words_changed"](restored, clean, RATE) == pytest.approx(2 / 4)
    assert FIDELITY["words_changed"](clean, clean, RATE) == 0
    # an s and "sea " deleted, of the 20 characters of "she sells sea shells"
    assert FIDELITY["characters_changed"](restored, clean, RATE) == pytest.approx(5 / 20)
    assert FIDELITY["words_changed"](mute, clean, RATE) == 1
    assert np.isnan(FIDELITY["words_changed"](clean, mute, RATE))
    assert TRANSCRIPT["wer"](restored, "SHE SELLS SEA SHELLS.", RATE) == pytest.approx(2 / 4)
    assert TRANSCRIPT["cer"](restored, "he sells shells", RATE) == 0
    assert np.isnan(TRANSCRIPT["wer"](restored, "...", RATE))


def test_what_was_heard_is_remembered_without_the_signal(monkeypatch):
    heard = []
    monkeypatch.setattr(recogniser, "load", lambda name: recogniser.Recogniser(
        name, lambda wave: heard.append(len(wave)) or "shells"))
    monkeypatch.setenv(recogniser.VARIABLE, "known")
    recogniser._heard.clear()
    tracemalloc.start()
    for level in (1.0, 2.0, 3.0, 3.0):
        assert recogniser.hear(np.full(10 * RATE, level), RATE) == ["shells"]
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    recogniser._heard.clear()
    assert len(heard) == 3 and kept < 4 * 10 * RATE  # less than one of them in float32


@pytest.mark.parametrize("name", ["words_changed", "characters_changed", "speaker_similarity"])
def test_signals_must_be_mono_and_equally_long(name):
    for estimate, reference in ((3999, 4000), ((2, 4000), (2, 4000)), (0, 0)):
        with pytest.raises(ValueError, match="same length"):
            FIDELITY[name](np.ones(estimate), np.ones(reference), RATE)
    with pytest.raises(ValueError, match="without NaN"):
        FIDELITY[name](np.full(4000, np.nan), np.ones(4000), RATE)


@pytest.mark.parametrize("package", ["pocketsphinx", "faster_whisper"])
def test_a_missing_recogniser_says_what_to_install(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    recogniser.load.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'voxmend\[judges\]'"):
        recogniser.load("pocketsphinx" if package == "pocketsphinx" else "base.en")


def test_si_sdr_counts_an_offset_as_an_error():
    """s without a mean and an offset c: 10 log10(mean s² / c²), where SI-SNR is infinite."""
    wave = np.sin(2 * np.pi * np.arange(1000) / 50)
    assert FIDELITY["si_sdr"](wave + 0.1, wave, RATE) == pytest.approx(10 * np.log10(0.5 / 0.01))
    assert FIDELITY["si_sdr"](3 * wave, wave, RATE) > 200


def test_lsd_of_a_gain_is_the_gain_in_decibels():
    wave = np.random.default_rng(0).normal(size=RATE)
    assert FIDELITY["lsd_hann"](wave, wave, RATE) == 0
    assert FIDELITY["lsd_hann"](wave / 10, wave, RATE) == pytest.approx(20, abs=1e-3)


def test_similarity_is_the_cosine_of_what_an_encoder_says():
    wave = voice(0.5)[0]
    vectors = iter([np.array([1.0, 0.0]), np.array([3.0, 4.0])])
    assert FIDELITY["speaker_similarity"](wave, wave, RATE,
                                          lambda wave: next(vectors)) == pytest.approx(0.6)
    assert np.isnan(FIDELITY["speaker_similarity"](0 * wave, wave, RATE))


def test_similarity_by_an_encoder_s_file(tmp_path, monkeypatch):
    """A gain does not count below −30 dBFS, and the same clip is the same voice."""
    torch.manual_seed(0)
    torch.save({"model_state": similarity.VoiceEncoder().state_dict()}, tmp_path / "a.pt")
    monkeypatch.setenv("VOXMEND_RESEMBLYZER", str(tmp_path / "a.pt"))
    wave = 0.01 * voice(2.5)[0]
    assert FIDELITY["speaker_similarity"](wave, wave / 2, RATE) == pytest.approx(1, abs=1e-6)
    (tmp_path / "b.pt").write_text("nothing")
    monkeypatch.setenv("VOXMEND_RESEMBLYZER", str(tmp_path / "b.pt"))
    with pytest.raises(WeightsError, match=r"b\.pt: not the encoder of resemblyzer"):
        FIDELITY["speaker_similarity"](wave, wave, RATE)
    monkeypatch.setenv("VOXMEND_RESEMBLYZER", str(tmp_path / "c.pt"))
    with pytest.raises(WeightsError, match=r"c\.pt: no such weights.*resemblyzer"):
        FIDELITY["speaker_similarity"](wave, wave, RATE)


@pytest.mark.parametrize("length, count", [(1600, 1), (25600, 1), (31519, 1), (31520, 2),
                                           (43839, 2), (43840, 3), (64000, 4)])
def test_the_last_window_is_heard_if_three_quarters_of_it_are_there(length, count):
    """Windows of 25600 samples every 12320."""
    seen = []

    def network(mels):
        seen.append(mels)
        return torch.eye(256)[:len(mels)]

    similarity.embed(network, voice(4.0)[0][:length])
    assert seen[0].shape == (count, 160, 40)


@pytest.mark.parametrize("length", [1600, 25600, 25601, 30000, 37000, 45000, 64000])
def test_embeddings_are_those_of_resemblyzer(length):
    """Of its own code and weights, which pad the last window or leave it out."""
    for package in ("librosa", "resemblyzer"):
        pytest.importorskip(package, exc_type=ImportError)
    import resemblyzer

    wave = audio.load(Path(demo.__file__).with_name("clean.flac"), RATE)[0, 8000:8000 + length]
    soft = 0.1 * wave / wave.std() * 10 ** (-30 / 20)
    level = resemblyzer.normalize_volume(soft, -30, increase_only=True)
    theirs = resemblyzer.VoiceEncoder("cpu", verbose=False).embed_utterance(level)
    weights = Path(resemblyzer.__file__).with_name("pretrained.pt")
    np.testing.assert_allclose(similarity.embed(similarity.load(weights), soft), theirs, atol=1e-5)


def test_plcmos_features_have_their_closed_form():
    """ln of the power of Hamming frames that begin 256 samples early; silence lies 120 dB below."""
    wave = np.zeros(2000)
    wave[600:1400] = np.random.default_rng(0).normal(size=800)
    found, padded = log_power(wave), np.pad(wave, (256, 1000))
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(512) / 512)
    power = np.array([np.abs(np.fft.rfft(padded[t:t + 512] * window)) ** 2
                      for t in range(0, 256 * 9, 256)])
    heard = power > 0
    assert found.shape == (9, 257) and not heard.all()
    np.testing.assert_allclose(found[heard], np.log(power[heard]) / 20, atol=1e-5)
    least = np.log(power[heard].min()) - 12 * np.log(10)
    np.testing.assert_allclose(found[~heard], least / 20, rtol=1e-5)


def test_plcmos_hears_what_is_missing():
    pytest.importorskip("onnxruntime")
    try:
        distribution("speechmos")
    except PackageNotFoundError:
        pytest.skip("speechmos, which has the model, is not installed")
    wave = voice(2.0)[0]
    holes = wave.copy().reshape(-1, 1600)
    holes[::3] = 0
    whole, broken = (QUALITY["plcmos"](w, RATE)["plcmos"] for w in (wave, holes.ravel()))
    assert 1 <= broken < whole <= 5
