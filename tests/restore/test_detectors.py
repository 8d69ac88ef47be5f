"""Damage as it really comes: spread by codecs, filled with something else than zeros, gentle."""

import io

import numpy as np
import pytest
import soundfile
from scipy import signal
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from helpers.speech import speech
from voxmend.audio import Reader, Writer, resample
from voxmend.dsp import degrade
from voxmend.restore.analysis import analyse
from voxmend.restore.damage import Damage
from voxmend.restore.detectors.base import View
from voxmend.restore.detectors.clipping import find_pile
from voxmend.restore.detectors.gaps import residue
from voxmend.restore.detectors.lobes import Lobes, top_fullness
from voxmend.restore.detectors.noise import Noise, noise_rms
from voxmend.restore.detectors.spectra import LOWEST_POWER, POWERS, Spectra

RATE = 16000


def only(wave):
    """The damage of a recording's only channel, as PCM."""
    [found] = analyse([np.round(np.atleast_2d(wave) * 32768).astype(np.float32) / 32768], RATE)
    return found


def through_mp3(wave):
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format="MP3")
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def resampled(wave):
    high = resample(wave[None], RATE, 44100)
    return resample(high.clip(-0.1, 0.1), 44100, RATE)[0]


SPREAD = {"mp3": lambda wave: through_mp3(wave.clip(-0.1, 0.1)), "resampled": resampled,
          "noise": lambda wave: degrade.white_noise(wave.clip(-0.1, 0.1), 30, seed=0),
          "tanh": lambda wave: 0.06 * np.tanh(wave / 0.06)}


@pytest.mark.parametrize("kind", SPREAD)
def test_clipping_that_something_has_spread(kind):
    found = only(SPREAD[kind](2 * speech()[0]))
    level = 0.06 if kind == "tanh" else 0.1
    assert found.clipping
    assert all(0.8 * level < part.level < 1.15 * level for part in found.clipping)


def test_a_limiter_does_not_clip():
    wave = 4 * speech()[0]
    gain = np.minimum(1, 0.3 / maximum_filter1d(np.abs(wave), 161))
    assert not only(wave * uniform_filter1d(gain, 80)).clipping


FILLS = {"A-law": 8 / 32768, "offset": 0.01,
         "comfort noise": lambda n: 5e-4 * np.random.default_rng(0).standard_normal(n)}


@pytest.mark.parametrize("kind", FILLS)
def test_gaps_that_are_no_zeros(kind):
    wave, kept = degrade.gaps(speech()[0], RATE, 50, 500)
    fill = FILLS[kind]
    wave[~kept] = fill(np.count_nonzero(~kept)) if callable(fill) else fill
    found = only(wave)
    assert len(found.gaps) >= 3 and all(end - start == pytest.approx(0.05, abs=0.002)
                                        for start, end in found.gaps)


def test_losses_of_3_ms():
    wave = degrade.gaps(speech()[0], RATE, 3, 500)[0]
    assert len(only(wave).gaps) >= 3


def test_a_packet_that_equals_the_one_before():
    wave = speech()[0]
    begin = int(np.argmax(uniform_filter1d(wave**2, 640)))
    wave[begin:begin + 320] = wave[begin - 320:begin]
    [gap] = only(wave).gaps
    assert gap == (pytest.approx(begin / RATE, abs=1e-3), pytest.approx(begin / RATE + 0.02, 1e-3))


def test_gaps_at_both_ends_and_one_too_long_to_be_bridged():
    wave = speech()[0]
    power = uniform_filter1d(wave**2, 640)
    loud = np.flatnonzero(power > 0.6 * power.max())
    wave = wave[loud[0] - 800:loud[-1] + 800].copy()
    wave[:800] = wave[-800:] = 0
    found = only(wave)
    first, last = found.ends
    assert first == (0.0, pytest.approx(0.05, abs=1e-3)) and last[1] == len(wave) / RATE
    assert not found and "missing at the end" in found.describe()[1]
    wave = speech()[0]
    wave[30000:30000 + 20800] = 0
    assert "1 of more than 1 s, left as they are" in " ".join(only(wave).describe())


def tilted():
    """Speech that falls a little towards 7 kHz."""
    return signal.lfilter([1], [1, -0.5], speech()[0]) / 4


FILTERS = {"4th order": signal.butter(4, 3400, fs=RATE, output="sos"),
           "10th order": signal.butter(10, 3400, fs=RATE, output="sos")}


@pytest.mark.parametrize("order", FILTERS)
def test_a_gentle_filter(order):
    assert 2500 < only(signal.sosfilt(FILTERS[order], speech()[0])).cutoff < 5000


@pytest.mark.parametrize("order", [0, 1])
def test_images_of_a_lower_rate(order):
    """Samples held or joined by lines."""
    low = resample(speech(), RATE, 8000)[0]
    places = np.arange(2 * len(low)) / 2
    raised = low[places.astype(int)] if order == 0 else np.interp(places, range(len(low)), low)
    assert only(raised).cutoff == pytest.approx(3850, abs=200)


def test_a_telephone_takes_the_lows_too():
    taps = signal.firwin(1025, [300, 3400], pass_zero=False, fs=RATE)
    found = only(signal.oaconvolve(speech()[0], taps, "same"))
    assert found.cutoff == pytest.approx(3400, rel=0.05)
    assert found.low_cutoff == pytest.approx(260, abs=60)


def test_a_butterworth_telephone_takes_the_lows_too():
    band = signal.butter(4, (300, 3400), "bandpass", fs=RATE, output="sos")
    found = only(signal.sosfilt(band, speech()[0]))
    assert 2500 < found.cutoff < 5000 and 100 < found.low_cutoff < 350


def test_a_sine_has_rounder_lobes_than_its_clipped_self():
    """Fullness above half the height: sin(π/3)/(π/3) of a sine, 1 of a square."""
    sine = np.sin(2 * np.pi * 101 * np.arange(RATE) / RATE)
    assert np.median(Lobes.of(sine).fullness) == pytest.approx(3 * 3**0.5 / 2 / np.pi, abs=0.01)
    assert np.median(Lobes.of(np.sign(sine + 1e-9)).fullness) == 1


def test_what_towers_over_a_level_speaks_against_a_clipper():
    """By 0.02 for every dB beyond 3, besides the crest factor's 0.003 a dB."""
    t = np.arange(2 * RATE) / RATE
    tone = np.sin(2 * np.pi * 400 * t)
    tone = np.concatenate([np.clip(tone, -0.3, 0.3), 0.2 * tone])
    bump = np.sin(np.pi * np.arange(160) / 160)  # 10 ms wide: of no lobe that is judged
    found = {}
    for height in (0.3, 0.9):
        wave = tone.copy()
        wave[:160] = height * bump
        level, fullness = top_fullness(wave, Lobes.of(wave), RATE)
        assert level == pytest.approx(0.3, abs=1e-6)
        found[height] = fullness - 0.03 * np.log10(np.mean(wave**2))
    assert found[0.3] - found[0.9] == pytest.approx(0.02 * (20 * np.log10(3) - 3), abs=1e-3)


def test_a_click_hides_no_clipper():
    tone = np.tanh(3 * np.sin(2 * np.pi * 400 * np.arange(2 * RATE) / RATE))
    tone[RATE:] *= 0.2
    clicked = tone.copy()
    clicked[[100, 101]] = 3, -2
    full = [top_fullness(wave, Lobes.of(wave), RATE)[1] - 0.03 * np.log10(np.mean(wave**2))
            for wave in (tone, clicked)]
    assert full[0] == pytest.approx(full[1], abs=1e-3)


@pytest.mark.parametrize("gap", [slice(0, 1600), slice(30000, 50800)])
def test_zeros_from_a_word_into_a_pause(gap):
    """Of one edge that is loud and one in room noise, or none."""
    wave = speech()[0]
    power = uniform_filter1d(wave**2, 640)
    begin = int(np.flatnonzero(power[gap.start:] > 0.3 * power.max())[0]) + gap.start
    wave = wave[max(0, begin - gap.stop):]
    wave[gap] = 0
    found = only(wave)
    assert any(a == pytest.approx(gap.start / RATE, abs=0.002) for a, _ in found.gaps + found.ends)


@pytest.mark.parametrize("fade, expected", [(0, True), (0.005, False), (0.04, False)])
def test_a_second_of_zeros_between_words(fade, expected):
    """Cut into the noise of the room it is a gap, faded by a gate it is none."""
    rng, size = np.random.default_rng(0), round(fade * RATE)
    wave = np.r_[speech()[0], np.zeros(2 * RATE), speech()[0]]
    wave += 2e-3 * rng.standard_normal(len(wave))
    gain = np.ones(len(wave))
    gain[6 * RATE + 8000:6 * RATE + 24000] = 0
    wave *= np.convolve(gain, np.ones(size) / size, "same") if size else gain
    assert bool(only(wave).gaps) == expected


@pytest.mark.parametrize("fading", [False, True])
def test_the_floor_of_what_fades_is_no_noise(fading):
    """Powers of noise are exponentially distributed, those of words without a pause spread more."""
    rng = np.random.default_rng(0)
    power = rng.exponential(1e-4, (2000, 60))
    if fading:
        power *= 10 ** rng.uniform(0, 4, (2000, 1))
    columns = (10 * np.log10(power) - LOWEST_POWER).astype(int)
    counts = np.stack([np.bincount(column, minlength=POWERS) for column in columns.T])
    found = noise_rms(counts, np.linspace(200, 2000, 60), None)
    assert found is None if fading else found == pytest.approx(1e-2, rel=0.05)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("seconds, told", [(0.2, False), (0.4, True)])
def test_a_floor_is_told_from_a_quarter_of_a_second_up(rate, seconds, told):
    """Of a fifth of a second the floor is that of a syllable."""
    wave = 0.01 * np.random.default_rng(0).standard_normal(round(seconds * rate))
    spectra = Spectra(rate)
    spectra.update(View(wave, 0, 0, len(wave), True))
    assert bool(Noise(spectra).find(Damage(rms=0.01)).noise) == told


@pytest.mark.parametrize("intact", [0.1, 0.2, 0.3])
def test_a_floor_of_few_frames_that_are_not_clipped_is_that_of_all(intact):
    wave = 0.01 * np.random.default_rng(0).standard_normal(4 * RATE)
    view, spectra = View(wave, 0, 0, len(wave), True), Spectra(RATE)
    view.clipped[round(intact * RATE):] = True
    spectra.update(view)
    assert Noise(spectra).find(Damage(rms=0.01)).noise == pytest.approx(0.01, rel=0.35)


@pytest.mark.parametrize("blocks", [[np.zeros(16000)], [np.zeros((1, 2, 100))],
                                    [np.zeros((1, 100)), np.zeros((2, 100))]])
def test_blocks_of_another_shape_are_refused(blocks):
    with pytest.raises(ValueError, match="blocks are"):
        analyse(blocks, RATE)


def test_a_filter_of_second_order_is_told_and_not_mended():
    gentle = signal.butter(2, 3400, fs=RATE, output="sos")
    found = only(signal.sosfilt(gentle, tilted()))
    assert not found and 3000 < found.dull < 6500
    assert "fades above" in found.describe()[0] and not only(tilted()).dull


def test_noise_of_one_quantisation_step_does_not_clip():
    """As in the pauses of a soft and muffled recording."""
    muffled = signal.sosfilt(signal.butter(2, 3400, fs=RATE, output="sos"), tilted())
    assert not only(muffled).clipping


def test_a_brief_pile_in_a_pause_does_not_clip():
    """Half a second of room noise far below the speech, whose samples end at one level."""
    wave = 2 * np.concatenate([speech()[0], np.zeros(RATE), speech(1)[0]])
    pause = slice(wave.size // 2 - RATE // 4, wave.size // 2 + RATE // 4)
    quiet = 0.002 * np.abs(wave).max()
    wave[pause] = np.clip(3 * quiet * np.random.default_rng(0).standard_normal(RATE // 2),
                          -quiet, quiet)
    assert not only(wave).clipping
    assert only(wave.clip(-0.1, 0.1)).clipping


def test_only_stretches_that_are_clipped_count():
    """Of a louder half that is whole no sample is clipped."""
    half = 2 * speech()[0]
    clipped = half.clip(-0.1, 0.1)
    found = only(np.concatenate([half, clipped]))
    assert found.clipped == pytest.approx(np.mean(np.abs(clipped) > 0.0995) / 2, rel=0.1)


def triangle(peak):
    """Of 20 Hz: samples are as dense at all levels up to the peak."""
    return peak * signal.sawtooth(2 * np.pi * 20 * np.arange(2 * RATE) / RATE, 0.5)


KNEE = ([0, 0.9, 1.3, 2], [0, 0.9, 1, 1])  # a quarter as steep over the last tenth


@pytest.mark.parametrize("curve, peak, tolerance", [
    (lambda x: x.clip(0, 1), 1.03, 0.005), (lambda x: x.clip(0, 1), 1.5, 0.005),
    (lambda x: np.interp(x, *KNEE), 1.45, 0.1)])
def test_samples_near_the_level_are_clipped_only_above_a_knee(curve, peak, tolerance):
    """Of what is clipped rarely, more lie by chance just below the level than at it."""
    wave = triangle(peak)
    clipped = 0.25 * np.sign(wave) * curve(np.abs(wave))
    pile = find_pile(np.round(clipped * 32768) / 32768, RATE)
    assert pile.level == pytest.approx(0.25, rel=0.002) and pile.tolerance == tolerance
    low, high = np.searchsorted(curve(np.linspace(0, peak, 10000)), [0.9, 0.995]) / 10000
    assert np.array([pile.near, pile.flat]) / wave.size == pytest.approx(
        [high - low, 1 - high], abs=0.01)


@pytest.mark.parametrize("clipper, tolerance", [
    (lambda x: x.clip(-0.1, 0.1), 0.005), (resampled, 0.1), (lambda x: 0.1 * np.tanh(20 * x), 0.1)])
def test_a_pile_that_is_spread_is_clipped_a_tenth_below_its_level(clipper, tolerance):
    """By ripples of a resampler, or as the clipper is soft."""
    wave = clipper(0.2 * np.sin(2 * np.pi * 180 * np.arange(2 * RATE) / RATE))
    pile = find_pile(np.round(wave * 32768) / 32768, RATE)
    assert pile.level == pytest.approx(0.1, rel=0.02) and pile.tolerance == tolerance


@pytest.mark.parametrize("sdr", [3, 7, 12, 18, 25])
def test_hard_clipping_of_speech_has_no_knee(sdr):
    wave = 2 * speech()[0]
    level = degrade.clip_level_for_sdr(wave, sdr)
    found = only(wave.clip(-level, level))
    assert found.clipping and all(part.tolerance < 0.01 for part in found.clipping)


@pytest.mark.parametrize("pauses", [1.0, 0.0])
def test_clicks_in_a_pause_enclose_no_gap(pauses):
    """One sample at half scale stands at both ends of 40 ms of room noise, or of nothing."""
    wave = 2 * speech()[0]
    quiet = uniform_filter1d(np.abs(wave), 801) < 1e-3
    wave[quiet] *= pauses
    inner = np.flatnonzero(uniform_filter1d(quiet.astype(float), 1921) > 0.999)
    assert len(inner) > RATE // 10
    for place in inner[::640]:
        wave[place] = 0.5
    found = only(wave)
    assert found.clicks and not found.gaps


@pytest.mark.parametrize("hiss, expected", [(3e-3, 480), (0.0, 480), (0.1, 0)])
def test_what_a_codec_leaves_beside_a_gap_is_missing(hiss, expected):
    """Noise of 10 ms, 41 dB below what begins at once; 10 dB below it is no codec's."""
    rng = np.random.default_rng(0)
    side = 0.35 * rng.standard_normal(4800)
    side[:480] = hiss * rng.standard_normal(480)
    assert residue(np.abs(side), 48000) == pytest.approx(expected, abs=10)
    assert residue(np.zeros(4800), 48000) == residue(np.zeros(5), 48000) == 0


@pytest.mark.parametrize("suffix", [".m4a", ".mp3"])
def test_gaps_that_were_coded_have_their_length(tmp_path, suffix):
    """A codec leaves nothing in a part of a gap, and its own noise in the rest."""
    rate, wave = 48000, speech()[0]
    wave = resample(0.7 * wave[None] / np.abs(wave).max(), RATE, rate)
    loud = np.flatnonzero(uniform_filter1d(wave[0]**2, rate // 20) > 0.2 * np.mean(wave**2))
    starts = [int(loud[np.abs(loud - at).argmin()]) for at in range(rate // 2, len(wave[0]), rate)]
    for start in starts:
        wave[:, start:start + rate * 3 // 100] = 0
    with Writer(tmp_path / f"coded{suffix}", rate, 1) as writer:
        writer.write(wave)
    coded = Reader(tmp_path / f"coded{suffix}")
    [found] = analyse(coded.blocks(), coded.sample_rate)
    lengths = np.array([last - first for first, last in found.gaps])
    assert len(lengths) >= 3 and np.mean(np.abs(lengths - 0.03) < 0.003) >= 0.7


def test_what_is_beside_gaps_that_were_not_coded_is_no_part_of_them():
    """Room noise before a burst, which is 30 dB louder, looks like what a codec leaves."""
    wave = 2 * speech()[0]
    rng, starts = np.random.default_rng(0), range(RATE // 2, len(wave) - RATE, RATE // 3)
    for number, start in enumerate(starts):
        wave[start:start + 320] = 0
        if number == 3:
            wave[start + 320:start + 480] = 0.003 * rng.standard_normal(160)
            wave[start + 480:start + 1600] = 0.2 * rng.standard_normal(1120)
    found = only(wave).gaps
    assert len(found) >= 3 and all(b - a == pytest.approx(0.02, abs=0.002) for a, b in found)
