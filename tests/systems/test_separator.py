"""Separation and enhancement of whole recordings: order, seams, level, channels, odd signals."""

import tracemalloc

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from helpers.diffsep import exact_model
from helpers.speech import voice
from voxmend import audio
from voxmend.audio.levels import Levels
from voxmend.diffusion.chunked import NoiseStream
from voxmend.models import hub
from voxmend.networks.conv_tasnet import ConvTasNet
from voxmend.systems import conv_tasnet, diffsep, enhance, separator, weights
from voxmend.systems.separator import Separator, by_diffsep, by_network

RATE = 8000


def talk(seconds, seed):
    """A voice that pauses now and then."""
    time = np.arange(round(seconds * RATE)) / RATE
    return voice(seconds, RATE, seed=seed)[0] * (np.sin(2 * np.pi * time / (3.3 + seed)) > -0.5)


def low_and_high(wave):
    """A signal in two by a filter of 0.1 ms."""
    low = lfilter([0.5, 0.5], [1], wave).astype(np.float32)
    return np.stack([low, wave - low], axis=-2)


@pytest.mark.parametrize("speakers, channels", [(2, 1), (2, 2), (3, 1)])
def test_voices_are_consistent_to_the_end(speakers, channels):
    """Of a model that gives them in another order in every segment and channel, with leaks.

    Every channel is heard at its own level; the second is of the other polarity.
    """
    voices = np.stack([talk(45, seed) for seed in range(1, speakers + 1)])
    loud = np.linspace(1, -0.2, channels)[:, None]
    rng, orders, scale = np.random.default_rng(0), [], None

    def apart(mixture, starts, callback):
        nonlocal scale
        mixture = mixture.numpy()
        part = voices[:, starts[0]:starts[0] + mixture.shape[-1]]
        part = 0.9 * part + 0.1 * part.mean(0)
        scale = scale or np.std(mixture[0]) / np.std(part.sum(0))
        orders.extend(rng.permutation(speakers) for _ in mixture)
        return torch.from_numpy(np.stack([scale * np.sign(gain) * part[order] for gain, order in
                                          zip(loud, orders[-len(mixture):])])).float()

    mixture = voices.sum(0) * loud
    found = Separator(apart, speakers, RATE)(mixture, RATE)
    assert found.shape == (speakers, channels, voices.shape[1])
    assert len({tuple(order) for order in orders}) > 1 and len(orders) > 4
    rows = [np.argmax([abs(np.corrcoef(v, f)[0, 1]) for v in voices]) for f in found[:, 0]]
    assert sorted(rows) == list(range(speakers))
    for row, source in zip(rows, found):
        for channel, gain in zip(source, loud):
            expected = gain * (0.9 * voices[row] + 0.1 * voices.mean(0))
            np.testing.assert_allclose(channel, expected, atol=1e-4)


@pytest.mark.parametrize("rate, channels", [(8000, 1), (8000, 2), (12000, 1)])
def test_segments_equal_the_whole(rate, channels):
    """Of a local model, whatever the segments, and up to the resampling filter."""
    wave = audio.resample(np.stack([talk(30, c + 1) for c in range(channels)]), RATE, rate)

    def apart(mixture, starts, callback):
        return torch.from_numpy(low_and_high(mixture.numpy()[:, 0]))

    low = audio.resample(wave - wave.mean(1, keepdims=True), rate, RATE)
    expected = audio.resample(low_and_high(low).transpose(1, 0, 2).reshape(-1, low.shape[1]), RATE,
                              rate).reshape(2, channels, -1)
    found = Separator(apart, 2, RATE)(wave, rate)
    if rate > RATE:  # it has a band above the model's, too
        found, expected = (audio.resample(both[:, 0], rate, 6000) for both in (found, expected))
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("follows", [False, True])
def test_a_thump_in_a_short_recording_moves_neither_offset_nor_level(follows):
    """Half a second, a hundred times as loud as 4 s of speech, and mostly positive."""
    plain = np.tile(voice(2, RATE)[0], 2)
    loud = plain.copy()
    loud[2 * RATE:2 * RATE + RATE // 2] += 100 * plain.std() * np.random.default_rng(0).uniform(
        -0.5, 1, RATE // 2)
    reader = audio.ArrayReader(np.stack([plain, loud]).astype(np.float32), RATE)
    mean, levels = Separator(deaf, 2, RATE, enhances=True, follows=follows).measure(reader)
    assert abs(mean[1] - mean[0]) < 0.05 * plain.std()
    change = 20 * np.log10(np.divide(*levels(0, len(plain))[::-1]))
    assert np.abs(change[:RATE]).max() < 2 and np.abs(change[3 * RATE:]).max() < 2


@pytest.mark.parametrize("polarities", [1, 2])
@pytest.mark.parametrize("sampler", ["predictor_corrector", "heun", "ancestral"])
def test_diffsep_draws_the_same_in_segments_as_whole(sampler, polarities):
    """Noise and normalisation belong to the recording; the exact score sees single samples."""
    model, wave = exact_model(), np.tile(talk(1, 1), 27) + 0.1
    run = Separator(by_diffsep(model, sampler, 6, 3, polarities), 2, RATE)
    level = Levels.steady([wave[None]], RATE)(0, 1).item()
    assert level == pytest.approx(wave.std(), rel=0.02)
    whole = torch.from_numpy((wave - wave.mean()) / level).float()[None, None]
    with torch.no_grad():
        drawn = diffsep.draw(model, whole, sampler, 6, NoiseStream(3, shared=False),
                             polarities=polarities)[0]
    found = run(wave, RATE)
    np.testing.assert_allclose(found, level * drawn.numpy(), atol=1e-4)
    np.testing.assert_array_equal(found, run(wave, RATE))
    other = Separator(by_diffsep(model, sampler, 6, 4, polarities), 2, RATE)(wave, RATE)
    assert np.abs(found - other).max() > 0.01


def test_one_segment_is_what_the_paper_does():
    """Zero mean and about unit variance of the mixture, then the voices at its level."""
    model, wave, seen = exact_model(), talk(3, 1) + 0.1, []
    model.network.register_forward_hook(lambda module, inputs, out: seen.append(inputs[0]))
    Separator(by_diffsep(model, "heun", 2), 2, RATE)(wave, RATE)
    diffsep.separate(model, wave, "heun", 2)
    ours, theirs = seen[0][:, 2], seen[len(seen) // 2][:, 2]
    torch.testing.assert_close(ours, theirs, rtol=0.04, atol=0.01)


def test_the_level_is_kept_and_pauses_do_not_change_it():
    """What `apart` hears has about unit variance where something is heard."""
    heard = []

    def apart(mixture, starts, callback):
        heard.append(mixture.std().item())
        return torch.cat([0.5 * mixture, 0.5 * mixture], dim=1)

    wave, pause = talk(10, 1), 1e-4 * np.random.default_rng(0).normal(size=80 * RATE)
    long = np.concatenate([wave, pause.astype(np.float32)])
    run = Separator(apart, 2, RATE)
    np.testing.assert_allclose(run(long, RATE)[1], 0.5 * long, atol=2e-5)
    assert len(heard) > 5 and 0.9 < heard[0] < 1.1
    loud, soft = run(100 * wave, RATE), run(wave, RATE)
    np.testing.assert_allclose(loud, 100 * soft, rtol=1e-3, atol=1e-3)


def quiet(mixture, starts, callback):
    """Half of the mixture, and hiss."""
    hiss = np.random.default_rng(starts[0]).normal(0, 0.1, size=mixture.shape)
    hiss = torch.from_numpy(hiss).float()
    return torch.cat([0.5 * mixture + hiss, 0.5 * mixture - hiss], dim=1)


@pytest.mark.parametrize("enhances", [False, True])
def test_silence_stays_silent(enhances):
    """All of it, in one channel, and for the length of a segment."""
    run = Separator(quiet, 2, RATE, enhances)
    assert not run(np.zeros(5000), 16000).any()
    stereo = np.stack([talk(3, 1), np.zeros(3 * RATE)])
    found = run(stereo, RATE)
    assert found[0, 0].any() and not found[0, 1].any() and not found[1, 1].any()
    long = np.concatenate([talk(5, 1), np.zeros(40 * RATE), talk(5, 2)])
    found = run(long, RATE)[0]
    assert found[:RATE].any() and found[-RATE:].any() and not found[20 * RATE:30 * RATE].any()


@pytest.mark.parametrize("rate", [4000, 8000, 16000, 44100, 384000])
@pytest.mark.parametrize("samples", [1, 2, 7, 700])
def test_any_rate_and_length(rate, samples):
    wave = 0.1 * np.random.default_rng(0).normal(size=(1, samples)).astype(np.float32)
    found = Separator(quiet, 2, RATE)(wave, rate)
    assert found.shape == (2, 1, samples) and np.isfinite(found).all()


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.15])
def test_what_is_shorter_than_a_syllable_stays(seconds, rate):
    """Of enhancers, all of which take some vowels of 20 to 100 ms for noise."""
    wave = voice(1.0, rate, 2)[:, :round(seconds * rate)]
    lost = lambda mixture, start, callback: torch.cat([0.25 * mixture, 0.75 * mixture], 1)  # noqa: E731
    speech, noise = Separator(lost, 2, RATE, enhances=True)(wave, rate)
    np.testing.assert_array_equal(speech, wave)
    assert not noise.any()


def test_above_the_model_s_band_voices_share_the_recording_as_below():
    time = np.arange(3 * 44100) / 44100
    words = np.sin(4 * np.pi * time).clip(0, 1) * (np.sin(2 * np.pi * 1000 * time)
                                                   + np.sin(2 * np.pi * 9000 * time))
    run = Separator(lambda mixture, start, callback: torch.cat([0.5 * mixture] * 2, 1), 2, RATE)
    found = run(words.astype(np.float32), 44100)
    for track in found:
        np.testing.assert_allclose(track[1000:-1000], words[1000:-1000] / 2, atol=0.02)


def test_speech_and_noise_add_up_to_the_recording():
    """Above the band of the model, too, and whatever the model says of the noise."""
    wave = voice(25, 44100, channels=2) + 0.2
    run = Separator(lambda mixture, start, callback: torch.cat([0.7 * mixture] * 2, 1), 2, RATE,
                    enhances=True)
    speech, noise = run(wave, 44100)
    np.testing.assert_allclose(speech + noise, wave, atol=1e-6)
    assert abs(speech.mean()) < 1e-3 and noise.mean() == pytest.approx(wave.mean(), abs=1e-3)


def test_channels_share_their_noise():
    wave = talk(2, 1)
    found = Separator(by_diffsep(exact_model(), "heun", 3), 2, RATE)(np.stack([wave, wave]), RATE)
    np.testing.assert_allclose(found[:, 0], found[:, 1], atol=1e-6)


def test_conv_tasnet_s_voices_are_as_loud_as_in_the_mixture():
    torch.manual_seed(0)
    network = ConvTasNet(N=24, L=16, B=12, H=16, Sc=12, P=3, X=3, R=1).requires_grad_(False)
    wave = talk(3, 1)
    wave -= wave.mean()
    found = Separator(by_network(network), 2, RATE)(wave, RATE)
    np.testing.assert_allclose(found, conv_tasnet.separate(network, wave), atol=1e-4)


@pytest.mark.parametrize("wave", [np.zeros((1, 0)), np.array([[0.1, np.nan]]),
                                  np.array([[0.1, np.inf]]), np.zeros((20, 30))])
def test_what_is_no_recording_is_refused(wave):
    with pytest.raises(audio.AudioError):
        Separator(quiet, 2, RATE)(wave, RATE)


def test_memory_does_not_grow_with_length():
    class Hum:
        path, sample_rate, channels = "hum", RATE, 1

        def __init__(self, seconds):
            self.frames = RATE * seconds

        def blocks(self):
            for second in range(self.frames // RATE):
                yield np.sin(np.arange(RATE, dtype=np.float32) + second)[None]

    def peak(seconds):
        tracemalloc.start()
        for _ in Separator(quiet, 2, RATE).stream(Hum(seconds)):
            pass
        return tracemalloc.get_traced_memory()[1], tracemalloc.stop()

    assert peak(600)[0] < peak(60)[0] + 0.1 * 4 * RATE * 600  # levels, not samples


def test_progress_rises_to_the_end():
    seen, reader = [], audio.ArrayReader(talk(25, 1)[None], RATE)
    run = Separator(by_diffsep(exact_model(), "euler", 2, polarities=2), 2, RATE, steps=4)
    for _ in run.stream(reader, seen.append):
        pass
    assert seen[-1] == reader.frames and max(seen) == seen[-1] and len(set(seen)) > 8


def test_bundled_weights_are_found_once_there(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "WEIGHTS", tmp_path)
    for task, recipe, release in (("separate", "diffsep", "diffsep"),
                                  ("enhance", "diffsep_enhancement", "diffsep-enhancement")):
        with pytest.raises(hub.PriorError, match=f"{recipe}: no such weights.*"
                           f"recipes/diffsep/{recipe}.py .*`voxmend import {release}`.*--weights"):
            weights.find_weights(task, "diffsep")
        (tmp_path / f"{recipe}.safetensors").touch()
        assert weights.find_weights(task, "diffsep") == tmp_path / f"{recipe}.safetensors"
        with pytest.raises(hub.PriorError,
                           match=f"mine: no such weights; leave --weights out for {recipe}, or"):
            weights.find_weights(task, "diffsep", "mine")


def deaf(mixture, starts, callback):
    """A network that does not hear what lies 20 dB under its level, as trained ones are."""
    power = mixture.square().unfold(-1, 800, 800).mean(-1, keepdim=True)
    heard = (power > 0.01).float().expand(*power.shape[:-1], 800).flatten(-2)
    padded = torch.nn.functional.pad(heard, (0, mixture.shape[-1] - heard.shape[-1]))
    return torch.cat([padded * mixture, mixture - padded * mixture], 1)


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("change", ["channel", "step", "bang", "cough"])
def test_what_is_soft_is_heard_as_well(change, follows):
    plain = np.tile(voice(2, RATE)[0], 12)
    soft, loud = np.ones_like(plain), np.zeros_like(plain)
    if change == "step":
        soft[len(soft) // 2:] = 10 ** (-30 / 20)
    elif change in ("bang", "cough"):
        length, times = {"bang": (160, 1000), "cough": (RATE // 2, 100)}[change]
        loud[5 * RATE:5 * RATE + length] = times * plain.std() * (-1) ** np.arange(length)
    wave = soft * plain + loud
    if change == "channel":
        wave = np.stack([plain, 0.05 * plain])
        soft = np.array([[1.0], [0.05]])
    run = Separator(deaf, 2, RATE, enhances=True, follows=follows)
    kept, found = run(plain, RATE)[0], run(wave, RATE)[0]
    error = np.atleast_2d(found / soft - kept)[..., 14 * RATE:]
    assert (np.square(error).mean(-1) < 0.02 * np.square(kept).mean()).all()
    once = torch.from_numpy(np.atleast_2d(wave) / wave.std()).float()[:, None]
    lost = np.atleast_2d(wave.std() * deaf(once, 0, None)[:, 0].numpy() / soft - kept)
    assert np.square(lost[-1, 14 * RATE:]).mean() > 0.2 * np.square(kept).mean()


def test_a_method_that_a_task_lacks_is_named():
    with pytest.raises(ValueError, match="enhance knows no method 'foo', but voxmend"):
        separator.load("enhance", "foo")
    with pytest.raises(ValueError, match="no method 'foo', but voxmend.*deepfilternet"):
        enhance.load("foo")
