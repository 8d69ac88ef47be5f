"""The verdicts of tools/robustness.py, and the damage and the files that it makes."""

import numpy as np
import pytest
import soundfile

import robustness
from cases import containers, damage, signals
from cases.bench import Bench, Wrong, compare, si_sdr
from cases.containers import CONTAINERS
from cases.signals import Sound
from helpers.speech import speech

CLEAN = 0.9 * speech()[:, :16000].astype(np.float64) / np.abs(speech()[:, :16000]).max()
NOISY = CLEAN + 0.01 * damage.noise(16000)


def judged(sound, made, undisturbed=None):
    return robustness.verdict(sound, sound.damaged, made, undisturbed)[2]


def test_verdicts():
    sound = Sound(NOISY, CLEAN)
    assert judged(sound, NOISY[None]) == "unharmed"
    assert judged(sound, (CLEAN + NOISY)[None] / 2) == "better"
    assert judged(sound, (2 * NOISY - CLEAN)[None]) == "harmed"
    assert judged(sound, CLEAN[None] / 4).startswith("harmed: level")
    assert judged(sound, NOISY[None], CLEAN[None]).startswith("harmed")
    assert judged(Sound(CLEAN, None), CLEAN[None]) == "unharmed"
    assert judged(Sound(CLEAN, None), CLEAN[None] + 1e-6).startswith("harmed")


def test_the_channel_that_gains_least_counts():
    sound = Sound(np.concatenate([NOISY, NOISY]), np.concatenate([CLEAN, CLEAN]))
    assert judged(sound, np.concatenate([CLEAN, NOISY])[None]) == "unharmed"
    assert judged(sound, np.concatenate([CLEAN, 2 * NOISY - CLEAN])[None]) == "harmed"


def test_voices_may_come_in_either_order():
    voices = np.stack([CLEAN, CLEAN[:, ::-1]])
    assert judged(Sound(voices.sum(0), voices), voices[::-1]) == "better"


def test_si_sdr_of_known_noise():
    wave, rest = damage.noise(100000, 1), damage.noise(100000, 2)
    rest -= wave * (rest @ wave) / (wave @ wave)
    for level in (-10, 0, 20):
        assert si_sdr(3 * damage.added(wave, rest, level), wave) == pytest.approx(level)


def test_compare_says_what_differs(tmp_path):
    bench = Bench(tmp_path, [])
    with pytest.raises(Wrong, match="1 channels of 2"):
        compare(bench, CLEAN, np.concatenate([CLEAN, CLEAN]))
    with pytest.raises(Wrong, match="samples late"):
        compare(bench, np.roll(CLEAN, 40), CLEAN)
    with pytest.raises(Wrong, match="15990 samples of 16000"):
        compare(bench, CLEAN[:, 10:], CLEAN)


def test_a_limiter_stays_below_its_ceiling_and_cuts_no_sample_off():
    loud = damage.limited(CLEAN[0], 12)
    assert np.abs(loud).max() <= 0.9 + 1e-9
    at = np.abs(loud) > 0.8999
    assert not np.any(at[1:] & at[:-1])  # it is touched by single peaks


def test_gated_speech_has_no_steps():
    pause = CLEAN[0] * np.where(np.arange(16000) // 4000 == 1, 0.001, 1)
    gated = damage.gated(pause, 40)
    assert np.abs(gated[5500:6500]).max() < 1e-9 and np.array_equal(gated[:2000], pause[:2000])
    gain = gated[pause != 0] / pause[pause != 0]
    assert np.abs(np.diff(gain)).max() < 0.01


def test_a_room_decays_by_60_db():
    impulse = np.zeros(32000)
    impulse[0] = 1
    energy = np.cumsum(damage.reverberant(impulse, 0.5)[1:][::-1] ** 2)[::-1]
    early, late = energy[800], energy[4800]
    assert 10 * np.log10(early / late) == pytest.approx(60 * 0.25 / 0.5, abs=1.5)


@pytest.mark.parametrize("name", ["flac, 24 bits", "wav, float", "m4a, ALAC", "mka, FLAC", "tta"])
def test_lossless_containers_hold_what_is_written(name, tmp_path):
    kind = CONTAINERS[name]
    path = tmp_path / f"a{kind.suffix}"
    containers.write(path, np.concatenate([CLEAN, -CLEAN / 2]), kind)
    found, rate = containers.read(path)
    assert rate == 16000 and found.shape == (2, 16000)
    np.testing.assert_allclose(found[0], CLEAN[0], atol=2e-5)


def test_a_video_has_pictures(tmp_path):
    kind = CONTAINERS["mp4, AAC and a picture"]
    containers.write(tmp_path / "a.mp4", CLEAN, kind)
    assert len(containers.pictures(tmp_path / "a.mp4")) == 10


def test_every_row_can_be_made():
    clips = [np.roll(np.tile(CLEAN[0], 4), 1000 * k) for k in range(8)]
    rows = [row for kind in signals.KINDS for row in kind()]
    assert len(rows) >= 120 and len({(row.text, row.verb) for row in rows}) == len(rows)
    for row in rows[::7]:
        sound = row.make(clips)
        assert np.isfinite(sound.damaged).all() and sound.damaged.ndim == 2
        if sound.clean is not None:
            assert sound.clean.shape[-2:] == sound.damaged.shape


def test_clips_are_the_loudest_seconds(tmp_path):
    wave = 0.01 * damage.noise(160000)
    wave[48000:112000] *= 10
    for k in range(8):
        soundfile.write(tmp_path / f"{k}.wav", wave, 16000)
    clip = robustness.clean_clips(tmp_path)[0]
    assert len(clip) == 64000 and np.abs(clip).max() == pytest.approx(0.9)
    assert np.std(clip[:1000]) > 0.05 and np.std(clip[-1000:]) > 0.05
