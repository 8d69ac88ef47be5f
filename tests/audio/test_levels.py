"""Running levels, against signals whose level is known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from voxmend.audio.levels import Frames, Levels, events

RATE = 16000


def syllables(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise of unit RMS under an envelope of syllables and pauses. Shape: `[T]`."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    envelope = np.sin(2 * np.pi * 3 * time) + 0.6 * np.sin(2 * np.pi * 0.37 * time)
    wave = envelope.clip(0) * rng.standard_normal(len(time))
    return (wave / wave.std()).astype(np.float32)


def decibels(wave: np.ndarray, blocks: int = 1, measure=Levels.running) -> np.ndarray:
    wave = np.atleast_2d(wave)
    levels = measure(np.array_split(wave, blocks, axis=1), RATE)
    return 20 * np.log10(levels(0, wave.shape[1]))


both_kinds = pytest.mark.parametrize("measure", [Levels.running, Levels.steady],
                                     ids=["running", "steady"])


def test_frames_have_means_and_variances_whatever_the_blocks():
    wave = np.random.default_rng(0).standard_normal((2, 1000))
    pieces = [wave[:, i:i + 160] for i in range(0, 1000, 160)]
    for blocks in (1, 3, 17):
        found = Frames.of(np.array_split(wave, blocks, axis=1), 160)
        np.testing.assert_allclose(found.powers, np.stack([p.var(1) for p in pieces], 1))
        np.testing.assert_allclose(found.means, np.stack([p.mean(1) for p in pieces], 1))
        np.testing.assert_allclose(found.offsets, wave.mean(1, keepdims=True))


@pytest.mark.parametrize("seconds", [0.01, 0.5])
@pytest.mark.parametrize("ratio", [30, 100])
def test_a_cough_is_an_event_and_moves_no_offset(ratio, seconds):
    """Speech is none, however short the recording; nor is a word between pauses, nor a step."""
    wave, size = syllables(4), round(seconds * RATE)
    frames = Frames.of([wave[None]], 512)
    assert not events(frames.powers[0]).any()
    loud = wave.copy()
    loud[2 * RATE:2 * RATE + size] += ratio * np.random.default_rng(1).uniform(0, 2, size)
    found = Frames.of([loud[None]], 512)
    event = events(found.powers[0])
    first, last = 2 * RATE // 512, (2 * RATE + size) // 512
    assert event[[first, last]].any() and not event[:first - 2].any() and not event[last + 3:].any()
    assert abs(found.offsets - frames.offsets).item() < 0.05


def test_a_cough_that_swells_and_fades_is_one_event():
    wave, size = syllables(5), RATE // 2
    rng = np.random.default_rng(1)
    wave[2 * RATE:2 * RATE + size] += 15 * np.hanning(size) * rng.standard_normal(size)
    powers = Frames.of([wave[None]], 512).powers[0]
    outside = powers[~events(powers)]
    usual = np.percentile(Frames.of([syllables(5)[None]], 512).powers[0], 80)
    assert outside.max() < 10 * usual < powers.max()


@pytest.mark.parametrize("step", [-30, 30])
def test_neither_a_word_between_pauses_nor_a_step_is_an_event(step):
    word = 1e-3 * np.random.default_rng(0).standard_normal(6 * RATE)
    word[3 * RATE:3 * RATE + RATE // 2] += syllables(0.5)
    assert not events(Frames.of([word[None]], 512).powers[0]).any()
    stepped = syllables(12)
    stepped[6 * RATE:] *= 10 ** (step / 20)
    assert events(Frames.of([stepped[None]], 512).powers[0]).sum() < 4


@pytest.mark.parametrize("seconds", [0.3, 0.5, 1, 2])
@pytest.mark.parametrize("silence", [0.2, 0.5, 1, 2, 4])
def test_an_utterance_between_silences_is_no_event(seconds, silence):
    """In a room that rumbles, 50 dB below."""
    size, rng = round(silence * RATE), np.random.default_rng(0)
    wave = np.concatenate([np.zeros(size), syllables(seconds), np.zeros(size)])
    rumble = lfilter([1], [1, -0.99], rng.standard_normal(len(wave)))
    wave += 3e-3 * rumble / rumble.std()
    assert not events(Frames.of([wave[None]], 512).powers[0]).any()


@both_kinds
def test_even_speech_has_its_own_level(measure):
    found = decibels(0.05 * syllables(20), measure=measure)
    assert np.abs(found - 20 * np.log10(0.05)).max() < 3
    assert np.ptp(found) == 0 or measure == Levels.running


@both_kinds
@pytest.mark.parametrize("step", [-30, -12, 12, 30])
@pytest.mark.parametrize("seed", range(3))
def test_a_step_stays_a_step(seed, step, measure):
    wave = syllables(24, seed)
    plain = decibels(wave, measure=measure)
    wave[12 * RATE:] *= 10 ** (step / 20)
    change = (decibels(wave, measure=measure) - plain)[0]
    near = RATE if abs(step) > 20 else 2 * RATE  # where a pause may hide it
    assert np.abs(change[:12 * RATE - near]).max() < 3.5
    assert np.abs(change[12 * RATE + near:] - step).max() < 3.5


@both_kinds
def test_a_bang_and_a_cough_change_little(measure):
    wave, rng = syllables(20), np.random.default_rng(1)
    plain = decibels(wave, measure=measure)
    wave[5 * RATE:5 * RATE + 160] += 30
    cough = np.s_[12 * RATE:12 * RATE + RATE // 2]
    wave[cough] += 20 * rng.standard_normal(RATE // 2).astype(np.float32)
    change = np.abs(decibels(wave, measure=measure) - plain)[0]
    assert np.median(change) < 1.5
    if measure == Levels.running:
        assert change.max() < 3  # in the cough itself, of 26 dB
    else:  # which is heard 12 dB above speech
        np.testing.assert_allclose(change[cough][2000:-2000], 26 - 12, atol=2)


def test_pauses_and_who_speaks_do_not_move_a_steady_level():
    """Ten seconds each of speech, of room noise 60 dB under it, and of somebody 6 dB softer."""
    wave = np.concatenate([syllables(10), 1e-3 * np.random.default_rng(2).standard_normal(
        10 * RATE), 0.5 * syllables(10, 1)]).astype(np.float32)
    found = decibels(wave, measure=Levels.steady)
    assert np.ptp(found) == 0 and -3 < found.min() < 1


@both_kinds
def test_every_channel_has_a_level_of_its_own(measure):
    wave = syllables(10)
    both = decibels(np.stack([wave, 0.01 * wave]), measure=measure)
    np.testing.assert_allclose(both[1], both[0] - 40, atol=1e-3)
    np.testing.assert_array_equal(both[0], decibels(wave, measure=measure)[0])


@both_kinds
def test_the_faintest_signal_has_its_level_and_silence_the_least(measure):
    """One step of 32 bits is −187 dBFS, and a single one of them no louder."""
    step = 2.0**-31 * np.random.default_rng(0).integers(-1, 2, 4 * RATE).astype(np.float32)
    found = decibels(step, measure=measure)
    np.testing.assert_allclose(found, 20 * np.log10(step.std(dtype=np.float64)), atol=1.5)
    np.testing.assert_allclose(decibels(np.zeros(RATE), measure=measure), -200, atol=1e-3)
    single = np.where(np.arange(RATE) < 16 * 512, 0, 2.0**-31).astype(np.float32)
    assert decibels(single, measure=measure).max() < -180


@both_kinds
def test_pauses_are_no_speech(measure):
    wave = np.concatenate([syllables(8), 1e-5 * syllables(20)])
    assert decibels(wave, measure=measure).min() > -45  # not the 100 dB of the hiss


@both_kinds
def test_levels_do_not_depend_on_blocks_or_segments(measure):
    wave = np.stack([syllables(9), syllables(9, 1)])
    levels = measure([wave], RATE)
    np.testing.assert_array_equal(levels(0, 9 * RATE)[:, 5000:9000], levels(5000, 4000))
    np.testing.assert_allclose(decibels(wave, 7, measure), decibels(wave, 1, measure), atol=1e-6)


@both_kinds
def test_no_samples_and_one_frame(measure):
    assert measure([np.zeros((1, 0), np.float32)], RATE).frames.shape == (1, 0)
    assert measure([np.ones((1, 5), np.float32)], RATE)(0, 5).shape == (1, 5)


@both_kinds
def test_a_short_recording_has_one_level(measure):
    """Again and again: windows longer than it end where it does."""
    wave = syllables(0.3)
    first = decibels(wave, measure=measure)
    for _ in range(30):
        assert np.array_equal(decibels(wave.copy(), measure=measure), first)
