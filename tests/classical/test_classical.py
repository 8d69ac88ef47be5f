"""Classical baselines on signals whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import toeplitz
from scipy.signal import lfilter

from voxmend import audio, classical
from voxmend.classical import log_mmse_denoise, spade
from voxmend.classical.interpolation import _precision_band, _precision_times, _solve
from voxmend.classical.log_mmse import log_mmse_gain, track_noise
from voxmend.dsp.stft import mel_basis, overlap_add
from voxmend.metrics.si_snr import si_snr

RATE = 16000


def sinusoids(length):
    n = np.arange(length)
    return sum(gain * np.sin(2 * np.pi * hz / RATE * n + hz)
               for hz, gain in ((200, 1), (331, 0.5), (517, 0.3), (1203, 0.2)))


def chirp(length):
    t = np.arange(length) / RATE
    return 0.3 * np.sin(2 * np.pi * (300 * t + 800 * t**2)) * (0.6 + 0.4 * np.sin(12 * np.pi * t))


def error_db(estimate, reference):
    return 20 * np.log10(np.linalg.norm(estimate - reference) / np.linalg.norm(reference))


def mask(length, *gaps):
    missing = np.zeros(length, bool)
    for start, stop in gaps:
        missing[start:stop] = True
    return missing


@pytest.mark.parametrize("where", [[0, 1, 5, 6, 7, 15, 28, 29], range(3, 12), range(2, 27), [9]])
def test_the_precision_of_an_ar_process_inverts_its_covariance(where):
    a = np.array([1, -1.2, 0.8, -0.3])
    response = lfilter([1], a, np.eye(1, 2000)[0])
    covariance = toeplitz([response[:2000 - lag] @ response[lag:] for lag in range(30)])
    precision = np.linalg.inv(covariance)
    where = np.array(where)
    band = _precision_band(a, where, 30)
    dense = sum(np.diag(band[k, :len(where) - k], -k) for k in range(len(band)))
    np.testing.assert_allclose(dense, np.tril(precision[np.ix_(where, where)]), atol=1e-10)
    x = np.random.default_rng(0).normal(size=30)
    np.testing.assert_allclose(_precision_times(a, x), precision @ x, atol=1e-10)
    np.testing.assert_allclose(precision[np.ix_(where, where)] @ _solve(a, where, 30, x[where]),
                               x[where], atol=1e-8)


@pytest.mark.parametrize("gaps", [[(3000, 3800)], [(3000, 3200), (3260, 3400)]])
def test_ar_interpolation_continues_sinusoids(gaps):
    wave, missing = sinusoids(8000), mask(8000, *gaps)
    filled = classical.ar_interpolate(np.where(missing, np.nan, wave), missing)
    assert error_db(filled[missing], wave[missing]) < -40
    np.testing.assert_array_equal(filled[~missing], wave[~missing])


def test_ar_interpolation_survives_gaps_at_the_ends():
    wave, missing = sinusoids(4000), mask(4000, (0, 40), (3960, 4000))
    filled = classical.ar_interpolate(wave, missing)
    assert error_db(filled[missing], wave[missing]) < -10
    silent = classical.ar_interpolate(np.zeros(4000), missing)
    np.testing.assert_array_equal(silent, 0)


def test_ar_interpolation_leaves_the_inside_of_a_long_gap_silent():
    """Otherwise its memory and time would grow with the length of the gap."""
    wave, missing = sinusoids(40000), mask(40000, (100, 200), (3000, 37000))
    told = missing.copy()
    filled = classical.ar_interpolate(wave, missing)
    np.testing.assert_array_equal(missing, told)
    np.testing.assert_array_equal(filled[11000:29000], 0)
    np.testing.assert_array_equal(filled[~missing], wave[~missing])
    for ends in (slice(100, 200), slice(3000, 3100), slice(36900, 37000)):
        assert error_db(filled[ends], wave[ends]) < -10


def test_cubic_interpolation_is_exact_on_a_cubic():
    n = np.linspace(-1, 1, 200)
    wave, missing = 2 * n**3 - n**2 + 0.5 * n - 0.1, mask(200, (20, 50), (120, 121), (140, 160))
    filled = classical.cubic_interpolate(np.where(missing, np.nan, wave), missing)
    np.testing.assert_allclose(filled, wave, atol=1e-12)


def test_cubic_interpolation_holds_the_ends():
    filled = classical.cubic_interpolate(np.arange(9.0), mask(9, (0, 3), (7, 9)))
    np.testing.assert_allclose(filled, [3, 3, 3, 3, 4, 5, 6, 6, 6], atol=1e-12)


@pytest.mark.parametrize("interpolate", [
    classical.ar_interpolate, classical.cubic_interpolate,
    lambda wave, missing: classical.pitch_interpolate(wave, missing, 16000)])
def test_interpolation_needs_reliable_samples(interpolate):
    with pytest.raises(ValueError, match="two reliable"):
        interpolate(np.ones(10), np.ones(10, bool))
    with pytest.raises(ValueError, match="same length"):
        interpolate(np.ones(10), np.ones(9, bool))


@pytest.mark.parametrize("declip, gain_db",
                         [(classical.cubic_declip, 2), (classical.ar_declip, 15),
                          (classical.a_spade, 5), (classical.s_spade, 5)])
def test_declipping_gains_and_stays_consistent(declip, gain_db):
    wave = sinusoids(6000)
    level = 0.6 * np.abs(wave).max()
    clipped = wave.clip(-level, level)
    restored = declip(clipped, level)
    assert si_snr(restored, wave) > si_snr(clipped, wave) + gain_db
    np.testing.assert_allclose(restored.clip(-level, level), clipped, atol=1e-12)


@pytest.mark.parametrize("declip", [classical.cubic_declip, classical.ar_declip,
                                    classical.a_spade, classical.s_spade])
def test_declipping_leaves_an_unclipped_signal_alone(declip):
    np.testing.assert_allclose(declip(chirp(1500), 1.0), chirp(1500))
    np.testing.assert_array_equal(declip(np.zeros(700), 0.1), 0)
    with pytest.raises(ValueError, match="positive"):
        declip(chirp(1500), 0.0)


def test_the_frame_of_spade_is_tight():
    """The same as numpy's DFT of a padded frame: in energy, in inverse, in its k largest pairs."""
    frames = torch.randn(3, 64, generator=torch.Generator().manual_seed(0)).double() + 0.2
    spectrum = spade._analyse(frames)
    full = np.fft.fft(frames.numpy(), 128) / np.sqrt(128)
    np.testing.assert_allclose(spade._power(spectrum.numpy()).sum(1),
                               (np.abs(full) ** 2).sum(1), rtol=1e-6)
    torch.testing.assert_close(spade._synthesise(spectrum), frames)
    pairs = np.abs(full[:, :65]) ** 2
    pairs[:, 1:64] += np.abs(full[:, :64:-1]) ** 2
    kept = spade._sparsest(spectrum, 5).numpy() != 0
    for row, largest in zip(kept, np.argsort(pairs)[:, -5:]):
        assert set(np.flatnonzero(row)) == set(largest)


@pytest.mark.parametrize("declip", [classical.a_spade, classical.s_spade])
def test_spade_finds_what_is_sparse_under_hard_clipping(declip):
    """Two tones on bins of the padded DFT, most samples clipped; the ends are not sparse."""
    n = np.arange(6000)
    wave = np.cos(2 * np.pi * 40 / 2048 * n) + 0.4 * np.cos(2 * np.pi * 130 / 2048 * n + 1)
    clipped = wave.clip(-0.5, 0.5)
    assert np.mean(clipped != wave) > 0.6
    restored, inside = declip(clipped, 0.5), slice(1024, -1024)
    assert si_snr(restored[inside], wave[inside]) > si_snr(clipped[inside], wave[inside]) + 35
    scaled = declip(1e-3 * clipped, 0.5e-3)
    np.testing.assert_allclose(scaled[inside], 1e-3 * restored[inside], atol=1e-5)


@pytest.fixture
def two_threads():
    """For what is shared out among threads; tests have one."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("declip", [classical.a_spade, classical.s_spade])
def test_spade_takes_stretches_without_any_clipping(declip, two_threads):
    """Longer than the chunks that it works in."""
    wave = np.sin(np.arange(spade.CHUNK * 256 + 6000)) * 0.2
    wave[1000:3000] *= 4
    restored = declip(wave.clip(-0.5, 0.5), 0.5)
    np.testing.assert_array_equal(restored[6000:], wave[6000:])
    assert np.abs(restored).max() > 0.6


@pytest.mark.parametrize("growth", [0.0, 0.01])
def test_both_kinds_of_spade_agree_on_speech_like_sound(growth):
    wave = chirp(8000)
    clipped = wave.clip(-0.15, 0.15)
    analysis, synthesis = (f(clipped, 0.15, growth=growth)
                           for f in (classical.a_spade, classical.s_spade))
    gains = [si_snr(x, wave) - si_snr(clipped, wave) for x in (analysis, synthesis)]
    assert min(gains) > 10 and abs(gains[0] - gains[1]) < 6
    for restored in (analysis, synthesis):
        np.testing.assert_array_equal(restored[np.abs(clipped) < 0.15], wave[np.abs(wave) < 0.15])
        assert np.all(np.abs(restored[np.abs(clipped) == 0.15]) >= 0.15)


@pytest.mark.parametrize("cutoff", [2000, 4000])
def test_mirroring_fills_the_upper_band_and_leaves_the_lower(cutoff):
    noise = np.fft.rfft(np.random.default_rng(0).normal(size=RATE))
    hertz = np.arange(len(noise))
    low = np.fft.irfft(noise * (hertz < cutoff) / np.maximum(hertz, 50))
    before, after = (np.abs(np.fft.rfft(wave))
                     for wave in (low, classical.spectral_mirror(low, cutoff, RATE)))
    below = hertz < cutoff - 100
    assert np.linalg.norm((after - before)[below]) < 0.01 * np.linalg.norm(before)
    # 1/f goes on: an octave has half the energy of the one below
    lower, upper = (np.linalg.norm(after[hz:2 * hz]) for hz in (cutoff // 2, cutoff))
    assert 20 * np.log10(upper / lower) == pytest.approx(-3, abs=1.5)
    assert all(after[hz:hz + 500].any() for hz in range(cutoff, 8000, 500))


def test_mirroring_reflects_a_tone_about_the_cutoff():
    tone = np.sin(2 * np.pi * 1500 * np.arange(RATE) / RATE)
    spectrum = np.abs(np.fft.rfft(classical.spectral_mirror(tone, 2000, RATE)))
    assert 2000 + np.argmax(spectrum[2000:4000]) == 2500


def frames(wave):
    return sliding_window_view(wave, 1024)[::256] * np.hanning(1025)[:-1]


def mel_spectrogram(wave):
    power = np.abs(np.fft.rfft(frames(np.pad(wave, 384, mode="reflect")))) ** 2
    return mel_basis().numpy() @ np.sqrt(power + 1e-9).T


def test_griffin_lim_approaches_the_magnitude():
    def spectrum(wave):
        return np.abs(np.fft.rfft(frames(wave)))

    magnitude = spectrum(chirp(RATE))
    errors = [error_db(spectrum(classical.griffin_lim(magnitude, 256, n)), magnitude)
              for n in (0, 10, 60)]
    assert errors[2] < errors[1] - 3 < errors[0] - 6


@pytest.mark.parametrize("length", [RATE, RATE + 130])
def test_mel_griffin_lim_meets_the_mel_in_time(length):
    wave = chirp(length)
    wave[:length // 2] *= 0.01  # an edge to align
    mel = mel_spectrogram(wave)
    restored = classical.mel_griffin_lim(mel, length=length)
    assert restored.shape == wave.shape
    assert error_db(mel_spectrogram(restored), mel) < -18
    plain = classical.mel_griffin_lim(mel, length=length, fixed=201)
    assert error_db(mel_spectrogram(restored), mel) < error_db(mel_spectrogram(plain), mel) - 3
    energy, original = (np.convolve(x**2, np.ones(200), "valid") for x in (restored, wave))
    edge, expected = (np.argmax(e > 0.1 * e.max()) for e in (energy, original))
    assert abs(edge - expected) < 256


def test_griffin_lim_refuses_a_hop_that_leaves_a_rest():
    with pytest.raises(ValueError, match="does not divide"):
        classical.griffin_lim(np.ones((4, 513)), 300)


@pytest.mark.parametrize("hop", [64, 32, 16])
def test_overlap_add_sums_frames(hop):
    frames = torch.randn(2, 5, 64)
    length = 64 + 4 * hop
    expected = torch.nn.functional.fold(frames.mT, (1, length), (1, 64), stride=(1, hop))
    torch.testing.assert_close(overlap_add(frames, hop), expected[:, 0, 0])


def test_mel_griffin_lim_refuses_what_it_cannot_invert():
    with pytest.raises(ValueError, match="80"):
        classical.mel_griffin_lim(np.ones((40, 10)))
    with pytest.raises(ValueError, match="reach"):
        classical.mel_griffin_lim(np.ones((80, 10)), length=4000)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_wiener_filtering_removes_noise(rate):
    n = np.arange(2 * rate)
    wave = np.sin(2 * np.pi * 440 / rate * n)
    noise = 0.3 * np.random.default_rng(0).normal(size=len(wave))
    denoised = classical.wiener_denoise(wave + noise, 0.3, rate)
    assert si_snr(denoised, wave) > si_snr(wave + noise, wave) + 8
    assert np.std(classical.wiener_denoise(noise, 0.3, rate)) < 0.15
    with pytest.raises(ValueError, match="positive"):
        classical.wiener_denoise(wave, 0.0, rate)


def test_log_mmse_gain_is_the_mean_of_the_log_amplitude():
    """Given Y, X is complex Gaussian with mean W·Y and variance W·σ²; G|Y| = exp E ln|X|."""
    rng = np.random.default_rng(0)
    for prior, posterior in ((0.1, 0.5), (1.0, 2.0), (5.0, 20.0)):
        wiener = prior / (1 + prior)
        noise = rng.normal(size=(2, 400_000)) * np.sqrt(wiener / 2)
        x = wiener * np.sqrt(posterior) + noise[0] + 1j * noise[1]
        expected = np.exp(np.log(np.abs(x)).mean()) / np.sqrt(posterior)
        assert log_mmse_gain(prior, posterior) == pytest.approx(expected, rel=0.01)


def test_noise_is_tracked_through_a_rise_and_beside_speech():
    rng = np.random.default_rng(0)
    noise = (rng.normal(size=(600, 64, 2)) ** 2).sum(-1) / 2
    noise[300:] *= 4  # 6 dB
    speech = 100 * (np.arange(600)[:, None] // 20 % 2) * np.ones(64)
    tracked = 10 * np.log10(track_noise(noise + speech).mean(1))
    assert np.abs(tracked[100:300]).max() < 3 and np.abs(tracked[500:] - 6).max() < 3


def test_log_mmse_takes_noise_away_from_speech():
    demo = Path(classical.__file__).parent.parent / "demo" / "clean.flac"
    clean = audio.load(demo, 16000)[0].astype(np.float64)
    noise = np.random.default_rng(0).normal(size=clean.shape)
    noisy = clean + noise * clean.std() / noise.std() * 10**-0.25
    gain = si_snr(log_mmse_denoise(noisy, 16000), clean) - si_snr(noisy, clean)
    assert gain > 4
    quiet = log_mmse_denoise(noise, 16000)
    assert 20 * np.log10(quiet[4000:].std() / noise.std()) < -8
    assert not log_mmse_denoise(np.zeros(4000), 16000).any()
    with pytest.raises(ValueError, match="mono"):
        log_mmse_denoise(noisy[None], 16000)
