"""The upper band of sources whose lower band is known."""

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt

from voxmend import audio
from voxmend.classical import part_upper_band
from voxmend.metrics.si_snr import si_snr
from voxmend.systems.separator import Separator

RATE, LOW = 44100, 16000


def hiss(seed, seconds=4.0):
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def syllables(seed, rate=4.0):
    """Noise that comes and goes as speech does, and falls off to high frequencies."""
    times = np.arange(4 * RATE) / RATE
    gate = np.clip(np.sin(2 * np.pi * (rate * times + seed / 3)) * 4, 0, 1)
    return sosfilt(butter(1, 6000, fs=RATE, output="sos"), gate * hiss(seed)).astype(np.float32)


def below(wave):
    """The band that a network at 16 kHz hears."""
    low = audio.resample(wave[None], RATE, LOW)
    return audio.fit(audio.resample(low, LOW, RATE), len(wave))[0]


def part(*sources):
    """The upper bands, true and found, of sources whose sum is the recording. Shape: `[K, T]`."""
    known = np.stack([below(source) for source in sources])
    true = np.stack(sources) - known
    return true, part_upper_band(true.sum(0), known, RATE, LOW / 2)


@pytest.mark.parametrize("level", [0.03, 0.1, 0.3])
def test_steady_noise_goes_and_speech_stays(level):
    true, found = part(syllables(0), level * hiss(9))
    before = si_snr(true.sum(0), true[0])
    assert si_snr(found[0], true[0]) > before + 3
    np.testing.assert_allclose(found.sum(0), true.sum(0), atol=1e-5)


def test_noise_that_only_the_upper_band_has_goes():
    squeal = np.sin(2 * np.pi * 15_625 * np.arange(4 * RATE) / RATE).astype(np.float32)
    true, found = part(syllables(0), squeal)
    assert si_snr(true.sum(0), true[0]) < -5 and si_snr(found[0], true[0]) > 10


def test_what_is_clean_stays():
    true, found = part(syllables(0), 1e-4 * hiss(9))
    assert si_snr(found[0], true[0]) > 35


def test_voices_take_turns_above_as_below():
    true, found = part(syllables(0, 2.0), syllables(1, 3.1), 0.01 * hiss(9))
    for one, other in zip(true[:2], found[:2], strict=True):
        assert si_snr(other, one) > si_snr(true.sum(0), one) + 4


def test_levels_do_not_matter_and_nothing_is_nothing():
    sources = syllables(0), 0.1 * hiss(9)
    _, loud = part(*sources)
    for gain in (1e-6, 1e3):
        _, found = part(*(np.float32(gain) * source for source in sources))
        assert si_snr(found[0], loud[0]) > 40
    assert not part_upper_band(np.zeros(5000, np.float32), np.ones((2, 5000)), RATE, 8000).any()
    least = part_upper_band(np.full(5000, 1e-30, np.float32), np.ones((2, 5000)), RATE, 8000)
    assert np.isfinite(least).all()  # whose power is 0 in float32


@pytest.mark.parametrize("rate, channels", [(22050, 1), (44100, 2), (48000, 1)])
def test_an_enhancer_keeps_the_band_above_its_own(rate, channels):
    """A network that knows the speech below 8 kHz; speech and rest add up to the recording."""
    times = np.arange(4 * rate) / rate
    gate = np.clip(np.sin(8 * np.pi * times) * 4, 0, 1)
    noise = np.random.default_rng(0).standard_normal((2, channels, 4 * rate))
    speech = (0.1 * gate * noise[0]).astype(np.float32)
    noisy = (speech + 0.01 * noise[1]).astype(np.float32)
    told = iter(audio.resample(speech, rate, LOW))

    def apart(mixture, starts, callback):
        clear = torch.from_numpy(np.stack(list(told)))[:, None]
        clear = clear * (mixture.std() / torch.from_numpy(
            audio.resample(noisy, rate, LOW)).std())
        return torch.cat([clear, mixture - clear], 1)

    found, rest = Separator(apart, 2, LOW, enhances=True)(noisy, rate)
    np.testing.assert_allclose(found + rest, noisy, atol=1e-5)
    high = butter(8, 8400, "high", fs=rate, output="sos")
    for channel in zip(speech, found, noisy, strict=True):
        clean, enhanced, heard = (sosfilt(high, wave) for wave in channel)
        assert si_snr(enhanced, clean) > si_snr(heard, clean) + 2
