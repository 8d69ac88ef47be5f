"""Distances of sets of clips: closed forms, scipy, and DeepSpeech 2 written out."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch.nn import functional as F

from helpers.speech import voice
from voxmend.dsp import degrade
from voxmend.metrics import DISTRIBUTION, fdsd
from voxmend.metrics._common import WeightsError
from voxmend.metrics.frechet import frechet_distance
from voxmend.metrics.frechet_logmel import log_mel_frames

RATE = 16000


def sample(mean, covariance, n, seed=0):
    """Vectors whose sample mean and unbiased covariance are exactly those given."""
    x = np.random.default_rng(seed).normal(size=(n, len(mean)))
    x -= x.mean(0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ whiten @ np.linalg.cholesky(covariance).T + mean


def test_frechet_of_diagonal_gaussians():
    mean_1, mean_2 = np.array([0.0, 1.0, -2.0]), np.array([0.5, 1.0, 3.0])
    std_1, std_2 = np.array([1.0, 2.0, 0.5]), np.array([3.0, 0.1, 0.5])
    a, b = sample(mean_1, np.diag(std_1**2), 50), sample(mean_2, np.diag(std_2**2), 70, seed=1)
    expected = ((mean_1 - mean_2) ** 2).sum() + ((std_1 - std_2) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_frechet_matches_the_square_root_of_scipy():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(n, 20)) @ rng.normal(size=(20, 20)) + m for n, m in ((60, 0), (90, 1)))
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift, root = a.mean(0) - b.mean(0), scipy.linalg.sqrtm(one @ two)
    expected = shift @ shift + np.trace(one + two - 2 * root.real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_singular_covariances():
    """Fewer vectors than numbers in them: in a basis of the space they span, all is regular."""
    rng = np.random.default_rng(0)
    low_a, low_b = rng.normal(size=(12, 5)), rng.normal(size=(9, 5)) + 2
    basis = np.linalg.qr(rng.normal(size=(300, 5)))[0]
    inside = frechet_distance(low_a, low_b)
    assert frechet_distance(low_a @ basis.T, low_b @ basis.T) == pytest.approx(inside, rel=1e-10)
    assert frechet_distance(low_a @ basis.T, low_a @ basis.T) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("shapes", [((1, 3), (5, 3)), ((5, 3), (5, 4)), ((5,), (5,)),
                                    ((0,), (5, 3))])
def test_frechet_needs_two_sets_of_vectors(shapes):
    with pytest.raises(ValueError, match="two or more vectors"):
        frechet_distance(*map(np.zeros, shapes))


def test_frechet_needs_finite_vectors():
    with pytest.raises(ValueError, match="without NaN or infinity"):
        frechet_distance(np.eye(3), np.where(np.eye(3), np.nan, 0))


@pytest.fixture(scope="module")
def clips():
    return [voice(2.0, seed=seed)[0] for seed in range(12)]


def test_log_mel_frames(clips):
    frames = log_mel_frames(clips[0].astype(np.float64))
    assert frames.shape == (32000 // 256 - 1, 160)
    np.testing.assert_allclose(np.diff(frames[:, :80], axis=0), frames[1:, 80:], atol=1e-9)
    np.testing.assert_allclose(log_mel_frames(5 * clips[0].astype(np.float64)), frames, atol=1e-6)


def test_frechet_logmel_grows_with_the_damage(clips):
    distance, half = DISTRIBUTION["frechet_logmel"], len(clips) // 2
    assert distance(clips, clips, RATE) == pytest.approx(0, abs=1e-6)
    same, *noisy = [distance([degrade.white_noise(c, snr, seed=1) for c in clips[:half]],
                             clips[half:], RATE) for snr in (100.0, 30.0, 10.0)]
    assert 0 < same < noisy[0] < noisy[1]


def test_frechet_logmel_resamples(clips):
    wide = [voice(2.0, rate=48000, seed=seed)[0] for seed in range(12)]
    narrow = [degrade.lowpass(c, 4000, RATE) for c in clips]
    measure = DISTRIBUTION["frechet_logmel"]
    direct = measure(narrow, clips, RATE)
    resampled = measure([degrade.lowpass(c, 4000, 48000) for c in wide], wide, 48000)
    assert resampled == pytest.approx(direct, rel=0.2)


def lstm(x, state, name):
    """One direction of an LSTM (Hochreiter & Schmidhuber, gates i, f, g, o) over `[T, in]`."""
    w_x, w_h, b_x, b_h = (state[name.format(k)] for k in ("weight_ih", "weight_hh", "bias_ih",
                                                          "bias_hh"))
    h = c = torch.zeros(w_h.shape[1], dtype=x.dtype)
    out = []
    for frame in x:
        i, f, g, o = (w_x @ frame + b_x + w_h @ h + b_h).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        out.append(h)
    return torch.stack(out)


def deepspeech(x, state):
    """deepspeech.pytorch's network up to the last recurrent layer, from its state dict alone."""
    x = x[None, None]
    for conv, norm, stride, padding in ((0, 1, (2, 2), (20, 5)), (3, 4, (2, 1), (10, 5))):
        weights = {k: state[f"conv.seq_module.{norm}.{k}"]
                   for k in ("running_mean", "running_var", "weight", "bias")}
        x = F.conv2d(x, state[f"conv.seq_module.{conv}.weight"],
                     state[f"conv.seq_module.{conv}.bias"], stride, padding)
        x = F.batch_norm(x, **weights).clamp(0, 20)
    x = x[0].permute(2, 0, 1).flatten(1)
    for layer in range(2):
        if layer:
            mean, var, weight, bias = (state[f"rnns.1.batch_norm.module.{k}"] for k in (
                "running_mean", "running_var", "weight", "bias"))
            x = (x - mean) / (var + 1e-5).sqrt() * weight + bias
        name = f"rnns.{layer}.rnn.{{}}_l0"
        x = lstm(x, state, name) + lstm(x.flip(0), state, name + "_reverse").flip(0)
    return x


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small DeepSpeech 2 in deepspeech.pytorch's layout and age of file, and its state dict."""
    torch.manual_seed(0)
    shapes = {"conv.seq_module.0": (32, 1, 41, 11), "conv.seq_module.3": (32, 32, 21, 11)}
    state = {}
    for name, shape in shapes.items():
        state |= {f"{name}.weight": torch.randn(shape) / 20, f"{name}.bias": torch.randn(32)}
    for name, size in (("conv.seq_module.1", 32), ("conv.seq_module.4", 32),
                       ("rnns.1.batch_norm.module", 6), ("fc.0.module.0", 6)):
        state |= {f"{name}.{k}": torch.rand(size) + 0.5
                  for k in ("weight", "bias", "running_mean", "running_var")}
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)
    for layer, size in ((0, 32 * 41), (1, 6)):
        for end in ("", "_reverse"):
            for name, shape in (("weight_ih", (24, size)), ("weight_hh", (24, 6)),
                                ("bias_ih", (24,)), ("bias_hh", (24,))):
                state[f"rnns.{layer}.rnn.{name}_l0{end}"] = torch.randn(shape) / size**0.5
    state["fc.0.module.1.weight"] = torch.randn(29, 6)
    path = tmp_path_factory.mktemp("ds2") / "small.pth"
    torch.save({"state_dict": state, "hidden_size": 6, "hidden_layers": 2, "rnn_type": "lstm",
                "labels": "_'ABC ", "audio_conf": {"window": "hamming"}, "bidirectional": True},
               path, _use_new_zipfile_serialization=False)
    return path, state


def test_deepspeech_features(checkpoint):
    path, state = checkpoint
    spectrogram = fdsd.log_spectrogram(voice(0.5)[0])
    assert spectrogram.shape == (161, 51)
    with torch.no_grad():
        features = fdsd.load(path)(spectrogram)
    state = {key: value.double() for key, value in state.items()}
    expected = deepspeech(spectrogram.double(), state)
    assert features.shape == (26, 6)
    torch.testing.assert_close(features.double(), expected, atol=1e-5, rtol=1e-4)


def test_log_spectrogram_of_a_tone():
    """A sine on bin 32 of amplitude a has |S| = 80a there and 40a beside it under a Hann window."""
    tone = 0.5 * np.sin(2 * np.pi * 1600 * np.arange(RATE) / RATE)
    spectrogram = fdsd.log_spectrogram(tone)
    assert spectrogram.mean().item() == pytest.approx(0, abs=1e-5)
    assert spectrogram.std().item() == pytest.approx(1, abs=1e-4)
    level = spectrogram[:, 50] - spectrogram[100, 50]
    ratio = np.log1p(80 * 0.5) / np.log1p(40 * 0.5)
    assert (level[32] / level[33]).item() == pytest.approx(ratio, rel=1e-4)


def test_fdsd(checkpoint, clips, monkeypatch):
    monkeypatch.setenv("VOXMEND_DEEPSPEECH", str(checkpoint[0]))
    noisy = [degrade.white_noise(clip, 0.0, seed=1) for clip in clips]
    short = [clip[:RATE // 2] for clip in clips]
    distance = DISTRIBUTION["fdsd"]
    assert distance(short, short, RATE) == pytest.approx(0, abs=1e-9)
    assert distance(noisy, clips, RATE) > distance(short, clips, RATE) > 0


def test_fdsd_refuses_other_weights(checkpoint, clips, tmp_path):
    with pytest.raises(WeightsError, match=r"none.pth: no such weights.*\$VOXMEND_DEEPSPEECH"):
        DISTRIBUTION["fdsd"](clips, clips, RATE, "none.pth")
    one_way = {key: value for key, value in checkpoint[1].items() if "reverse" not in key}
    for name, state in (("one_way.pth", one_way), ("empty.pth", {})):
        torch.save({"state_dict": state}, tmp_path / name)
        with pytest.raises(WeightsError, match=f"{name}: not a bidirectional DeepSpeech 2"):
            DISTRIBUTION["fdsd"](clips, clips, RATE, tmp_path / name)


@pytest.mark.parametrize("name", DISTRIBUTION)
def test_clips_are_mono_and_long_enough(name):
    for clip, message in ((np.ones((2, RATE)), "mono"), (np.ones(100), "samples at 16 kHz"),
                          (np.full(RATE, np.nan), "without NaN"), (np.full(RATE, np.inf), "NaN")):
        with pytest.raises(ValueError, match=message):
            DISTRIBUTION[name]([clip] * 2, [clip] * 2, RATE)
