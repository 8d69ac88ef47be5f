"""Metrics without a reference: DNSMOS against Microsoft's code, WV-MOS on a small random model."""

import importlib.metadata
import sys

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend.metrics import QUALITY, wvmos
from voxmend.metrics._common import WeightsError
from voxmend.metrics.dnsmos import log_mel

RATE = 16000
TINY = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            conv_dim=(8,) * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2)


@pytest.fixture
def speechmos():
    pytest.importorskip("onnxruntime")
    try:
        importlib.metadata.distribution("speechmos")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("speechmos, which has the models, is not installed")


def slaney(sample_rate, n_fft, bands):
    """Mel filters by the words of Slaney's Auditory Toolbox, one bin at a time."""
    def hertz(mel):
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    top = 15 + 27 * np.log(sample_rate / 2000) / np.log(6.4)
    corners = [hertz(top * i / (bands + 1)) for i in range(bands + 2)]
    filters = np.zeros((bands, n_fft // 2 + 1))
    for band, (low, centre, high) in enumerate(zip(corners, corners[1:], corners[2:])):
        for k in range(n_fft // 2 + 1):
            f = k * sample_rate / n_fft
            side = (f - low) / (centre - low) if f < centre else (high - f) / (high - centre)
            filters[band, k] = max(side, 0) * 2 / (high - low)
    return filters


def test_p808_features_have_their_closed_form():
    segment = voice(9.01)[0].astype(np.float64)
    ours, n = log_mel(segment), np.arange(321)
    assert ours.shape == (900, 120) and ours.max() == 1 and ours.min() >= -1
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(161), n) / 321)
    padded = np.concatenate([np.zeros(160), segment[:-160], np.zeros(160)])
    windowed = np.array([padded[t:t + 321] * np.sin(np.pi * n / 321) ** 2
                         for t in range(0, 144000, 160)])
    mel = np.abs(windowed @ fourier.T) ** 2 @ slaney(RATE, 321, 120).T
    decibels = 10 * np.log10(np.maximum(mel, 1e-10) / mel.max())
    expected = (decibels.clip(-80) + 40) / 40
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("seconds, ovrl, sig, bak, p808", [
    (3.0, 1.1913922, 1.1577868, 1.1316814, 2.4595826),
    (9.01, 1.2101427, 1.1657891, 1.1423271, 2.4853773),
    (12.5, 1.1976466, 1.1650714, 1.1273868, 2.5274155),
    (20.0, 1.1847787, 1.1516784, 1.1224052, 2.5207322)])
def test_dnsmos_matches_the_release(seconds, ovrl, sig, bak, p808, speechmos):
    """Figures of speechmos 0.0.1.1 with librosa 0.11: repeated, one segment, several, but some."""
    scores = QUALITY["dnsmos"](voice(seconds)[0], RATE)
    assert scores == pytest.approx({"sig": sig, "bak": bak, "ovrl": ovrl, "p808": p808}, abs=1e-4)


def test_dnsmos_resamples(speechmos):
    same = QUALITY["dnsmos"](voice(9.2)[0], RATE)
    other = QUALITY["dnsmos"](voice(9.2, rate=48000)[0], 48000)
    assert other == pytest.approx(same, abs=0.2)


def test_dnsmos_without_models_or_runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXMEND_DNSMOS", str(tmp_path))
    with pytest.raises(WeightsError, match="sig_bak_ovr.onnx: no such weights.*speechmos"):
        QUALITY["dnsmos"](np.ones(RATE), RATE)
    for name in ("sig_bak_ovr.onnx", "model_v8.onnx"):
        (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'voxmend\[metrics\]'"):
        QUALITY["dnsmos"](np.ones(RATE), RATE)


@pytest.mark.parametrize("name", QUALITY)
def test_a_clip_is_mono_and_not_empty(name):
    with pytest.raises(ValueError, match="mono"):
        QUALITY[name](np.ones((2, RATE)), RATE)
    with pytest.raises(ValueError, match="samples at 16 kHz, not 0"):
        QUALITY[name](np.ones(0), RATE)


class Callback:
    """What a trainer pickles beside the weights; making one again would count."""

    made = 0

    def __reduce__(self):
        return _make, (3,)


def _make(value):
    Callback.made += 1
    return Callback()


@pytest.fixture
def checkpoint(tmp_path):
    """A small WV-MOS in the published layout, and its weights."""
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    state = wvmos.build(**TINY).state_dict()
    old = {"parametrizations.weight.original0": "weight_g",  # names of PyTorch before 2.0
           "parametrizations.weight.original1": "weight_v"}
    for new, name in old.items():
        state = {key.replace(new, name): value for key, value in state.items()}
    path = tmp_path / "wv_mos.ckpt"
    torch.save({"state_dict": {"model." + key: value for key, value in state.items()},
                "callbacks": {"stopping": Callback()}}, path)
    return path, state


def test_wvmos_loads_weights_and_runs_no_code(checkpoint):
    path, state = checkpoint
    model = wvmos.load(path, **TINY)
    assert Callback.made == 0
    encoder = model["encoder"]
    gain = encoder.encoder.pos_conv_embed.conv.parametrizations.weight.original0
    assert torch.equal(gain, state["encoder.encoder.pos_conv_embed.conv.weight_g"])
    wave = voice(1.0)[0].astype(np.float64)
    x = torch.from_numpy((wave - wave.mean()) / wave.std()).float()
    hidden = encoder(x[None]).last_hidden_state[0]
    relu = (hidden @ state["dense.0.weight"].T + state["dense.0.bias"]).clamp(min=0)
    expected = (relu @ state["dense.3.weight"].T + state["dense.3.bias"]).mean().item()
    assert wvmos.predict(model, wave) == pytest.approx(expected, abs=1e-5)
    assert wvmos.predict(model, 0.1 * wave + 0.3) == pytest.approx(expected, abs=1e-4)


def test_wvmos_refuses_other_weights(checkpoint, tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="wv_mos.ckpt: not the weights of WV-MOS"):
        wvmos.load(checkpoint[0], **{**TINY, "hidden_size": 32})
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(checkpoint[0].read_bytes()[:1000])
    monkeypatch.setenv("VOXMEND_WVMOS", str(broken))
    with pytest.raises(WeightsError, match="broken.ckpt: not a checkpoint"):
        QUALITY["wvmos"](np.ones(RATE), RATE)


def test_wvmos_names_the_missing_weights():
    with pytest.raises(WeightsError, match=r"missing.ckpt: no such weights.*\$VOXMEND_WVMOS"):
        QUALITY["wvmos"](np.ones(RATE), RATE, "missing.ckpt")


def test_the_architecture_is_wav2vec2_base():
    """94.37 million parameters, as published (counted without making them)."""
    pytest.importorskip("transformers")
    with torch.device("meta"):
        model = wvmos.build()
    assert sum(p.numel() for p in model["encoder"].parameters()) == 94_371_712
    assert model["dense"][0].in_features == 768
