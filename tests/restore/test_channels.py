"""Every channel and every stretch of time has damage and a level of its own."""

import numpy as np
import pytest
from scipy.signal import lfilter

from helpers.gaussian import WhitePrior
from helpers.speech import speech, voice
from voxmend import Damage, Restorer
from voxmend.audio import ArrayReader
from voxmend.audio.batches import side_by_side
from voxmend.cli.options import parse_channels, parse_gaps
from voxmend.dsp import degrade
from voxmend.metrics.si_snr import si_snr
from voxmend.restore.analysis import analyse
from voxmend.restore.damage import Clipping
from voxmend.restore.scales import Scale, by_stretch, scales, white_in_each

RATE = 16000


def pcm(wave):
    return np.round(wave * 32768).astype(np.float32) / 32768


def levels(damage):
    return [pytest.approx(part.level, rel=0.02) for part in damage.clipping]


def test_channels_clipped_at_two_levels():
    wave = speech()[0]
    both = np.stack([np.clip(wave, -0.15, 0.15), np.clip(wave, -0.1, 0.1)])
    left, right = analyse([both], RATE)
    assert levels(left) == [0.15] and levels(right) == [0.1]


def test_gaps_of_one_channel_leave_the_other_to_the_bit(prior):
    wave = speech(channels=2)[:, :2 * RATE]
    wave[0], _ = degrade.gaps(wave[0], RATE)
    left, right = analyse([wave], RATE)
    assert left.gaps and not right
    mended = Restorer("inpaint", str(prior), steps=2, device="cpu")(wave, RATE, [left, right])
    np.testing.assert_array_equal(mended[1], wave[1])
    outside = np.ones(wave.shape[1], bool)
    for start, end in left.gaps:
        outside[round(start * RATE):round(end * RATE)] = False
    np.testing.assert_array_equal(mended[0, outside], wave[0, outside])
    assert mended[0, ~outside].any()


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_a_quiet_channel_does_not_hide_noise(gain):
    noisy = degrade.white_noise(speech()[0], 10, seed=1)
    loud, _ = analyse([np.stack([noisy, gain * speech(1)[0]]).astype(np.float32)], RATE)
    assert loud.noise


@pytest.mark.parametrize("disturb", [
    lambda wave: np.put(wave, [20000, 50000], [0.95, -0.95]),
    lambda wave: wave.__setitem__(slice(40000, 48000),
                                  0.8 * np.sin(0.6 * np.arange(8000)))], ids=["clicks", "beep"])
def test_something_louder_does_not_hide_clipping(disturb):
    wave = np.clip(speech()[0], -0.12, 0.12)
    disturb(wave)
    [found] = analyse([pcm(wave)[None]], RATE)
    assert min(part.level for part in found.clipping) == pytest.approx(0.12, rel=0.01)


def test_clipping_changes_its_level_in_time():
    wave = speech()[0]
    half = len(wave) // 2
    wave[:half], wave[half:] = wave[:half].clip(-0.15, 0.15), wave[half:].clip(-0.08, 0.08)
    [found] = analyse([pcm(wave)[None]], RATE)
    assert levels(found) == [0.15, 0.08]
    assert found.clipping[1].start == pytest.approx(half / RATE, abs=0.6)


def test_a_float_recording_of_any_scale_is_sound():
    [found] = analyse([(40 * speech() / np.abs(speech()).max()).astype(np.float32)], RATE)
    assert not found
    [found] = analyse([40 * degrade.clip(speech(), 0.12)], RATE)
    assert levels(found) == [40 * 0.12]


def test_a_stretch_30_db_softer_has_a_scale_of_its_own():
    powers = np.tile([0.02, 0.005, 0.01], 100)
    powers[150:] *= 1e-3
    loud, soft = scales(powers, 0.032, 512, 0.0, 0.1)
    assert loud.last == soft.first == pytest.approx(150 * 512, abs=10 * 512)
    assert soft.factor / loud.factor == pytest.approx(10**1.5, rel=0.1)
    assert loud.factor == pytest.approx(0.1 / np.sqrt(0.035 / 3), rel=0.1)


def test_every_stretch_has_its_own_noise():
    """Where all of a second half is softer the prior hears in both what it hears of an even one."""
    wave, half = speech()[0], len(speech()[0]) // 2
    noisy = degrade.white_noise(wave, 15, seed=1).astype(np.float32)
    noise = np.std(noisy - wave)
    noisy[half:] *= 0.1
    reader, parts = ArrayReader(noisy[None], RATE), (Scale(0, half, 2.0), Scale(half, 10**9, 20.0))
    loud, soft = white_in_each(parts, reader, 0, 0.1)
    assert (loud.noise, soft.noise) == pytest.approx((noise, 0.1 * noise), rel=0.15)
    assert 2.0 < loud.factor < 2.2 * (1 + 25 * noise**2)
    assert not white_in_each(parts[:1], reader, 0, 0.1)
    rumble = lfilter([1], [1, -0.99], np.random.default_rng(1).standard_normal(len(wave)))
    reader = ArrayReader((wave + 0.5 * np.std(wave) * rumble / np.std(rumble))[None], RATE)
    assert not white_in_each(parts, reader, 0, 0.1)


def test_a_bang_hardly_moves_the_scale():
    powers = np.tile([0.02, 0.005, 0.01], 50)
    [plain] = scales(powers, 0.032, 512, 0.0, 0.1)
    powers[70] = 100.0
    [banged] = scales(powers, 0.032, 512, 0.0, 0.1)
    assert banged.factor == pytest.approx(plain.factor, rel=0.1)


def test_what_all_stretches_agree_on_stays_to_the_bit():
    wave = np.random.default_rng(0).normal(size=(1, 3 * RATE)).astype(np.float32)
    parts = (Scale(0, 20000, 1.0), Scale(20000, 10**9, 30.0))

    def made(chunk, start, stretch):
        return (yield chunk[None], stretch.factor)

    def by(function):
        [out] = side_by_side([by_stretch(wave, 0, parts, made, RATE, 1, 1)],
                             lambda asked: [function(*one) for one in asked])
        return out

    np.testing.assert_array_equal(by(lambda chunk, factor: chunk)[0], wave)
    seen = by(lambda chunk, factor: 0 * chunk + factor)[0, 0]
    assert (seen[:19000] == 1).all() and (seen[21000:] == 30).all()


def test_a_softer_half_is_declipped_as_well(prior):
    wave = voice(6.0)[0]
    half, gain = len(wave) // 2, 10 ** (-30 / 20)
    level = 0.5 * np.abs(wave).max()
    clipped = wave.clip(-level, level)
    step = np.where(np.arange(len(wave)) < half, 1, gain).astype(np.float32)
    restorer = Restorer("declip", str(prior), steps=2, device="cpu")
    even = restorer(clipped, RATE, Damage((Clipping(level),)))
    told = Damage((Clipping(level, 0, 3), Clipping(gain * level, 3)))
    stepped = restorer(step * clipped, RATE, told) / step
    for part in (slice(0, half), slice(half, None)):
        assert si_snr(stepped[part], wave[part]) > si_snr(even[part], wave[part]) - 1


def test_told_channels_must_fit():
    restorer = Restorer("declip", prior=WhitePrior(0.1), device="cpu")
    with pytest.raises(ValueError, match="damage of 2 channels, but there are 1"):
        restorer(voice(0.5), RATE, [Damage(), Damage()])


def test_the_command_is_told_damage_of_channels():
    one = parse_channels("level", "L:0.3,2:0.6", float)
    assert one == {0: 0.3, 1: 0.6}
    assert parse_channels("gaps", "L:0.5-0.55,R:1-1.1,L:2-2.1", parse_gaps) == {
        0: ((0.5, 0.55), (2.0, 2.1)), 1: ((1.0, 1.1),)}
    assert parse_channels("gaps", "0.5-0.55,1-1.1", parse_gaps) == {
        None: ((0.5, 0.55), (1.0, 1.1))}
    for text in ("L:0.5-0.55,1-1.1", "1-1.1,L:0.5-0.55"):  # in L, in R or in both?
        with pytest.raises(ValueError, match="1-1.1 has no channel, and others have one"):
            parse_channels("gaps", text, parse_gaps)
    with pytest.raises(ValueError, match="no channel.* times in seconds"):
        parse_channels("gaps", "0:01-0:02", parse_gaps)
    with pytest.raises(ValueError, match="no channel"):
        parse_channels("level", "X:0.3", float)
