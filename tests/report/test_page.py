"""A page as a browser gets it: whole, escaped, small, and its sound that of the recording."""

import base64
import hashlib
import re

import numpy as np
import pytest

from helpers.pages import Page
from helpers.speech import voice
from voxmend.audio import AudioError, resample
from voxmend.audio.loudness import loudness
from voxmend.report import Excerpt, Track, page
from voxmend.report.pages import BAND_SECONDS, LARGEST, LONGEST, SCRIPTS, asset
from voxmend.restore.damage import Clipping, Damage

EVIL = "</script><script>alert('1')</script>\"><img src=x onerror=alert(2)>&amp;.wav"
RNG = np.random.default_rng(0)


def noise(seconds, rate=16000, channels=1):
    return RNG.uniform(-0.5, 0.5, (channels, round(seconds * rate))).astype(np.float32)


def tracks(*waves, rate=16000):
    return [Track(f"track {n}", wave, rate) for n, wave in enumerate(waves)]


def test_names_and_facts_are_text_alone():
    one = Track(EVIL, voice(0.5), 16000)
    shown = Page(page(EVIL, [one, one], {EVIL: Damage(rms=0.1)}, {EVIL: EVIL}))
    assert shown.all("title")[0][1] == shown.all("h1")[0][1] == EVIL
    assert len(shown.all("script")) == 2 and not shown.all("img")
    assert shown.data["names"] == [EVIL, EVIL] and shown.data["channels"][0]["name"] == EVIL
    assert shown.all("dd")[0][1] == EVIL and shown.all("audio")[0][0]["aria-label"] == EVIL
    assert not any(name.startswith("on") for _, told, _ in shown.found for name in told)


def test_a_page_needs_nothing_beside_itself():
    text = page("a", tracks(voice(0.5), voice(0.5)), [Damage(rms=0.1)])
    shown = Page(text)
    assert "http" not in text.replace("http-equiv", "").lower()
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|import\(|WebSocket", text)
    for _, told, _ in shown.found:
        assert all(value.startswith("data:") for name, value in told.items()
                   if name in ("src", "href", "srcset", "action"))


def test_only_the_script_of_the_page_may_run():
    text = page("a", tracks(voice(0.5)), [Damage(rms=0.1)])
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = [told["content"] for told, _ in Page(text).all("meta")
                if told.get("http-equiv") == "Content-Security-Policy"]
    assert f"script-src 'sha256-{known}'" in policy and "default-src 'none'" in policy
    assert not any("</script" in asset(name).lower() for name in SCRIPTS)


@pytest.mark.parametrize("rate, channels, peak", [
    (16000, 1, 0.3), (44100, 2, 1.7), (8000, 1, 1e-3)])
def test_the_sound_is_the_recording(rate, channels, peak):
    waves = [peak * noise(0.5, rate, channels), peak * voice(0.5, rate, channels)]
    shown = Page(page("a", tracks(*waves, rate=rate), [Damage(rms=0.1)] * channels))
    scale = shown.data["scale"]
    for wave, (samples, sounding) in zip(waves, shown.sounds, strict=True):
        assert sounding == shown.data["rate"] == rate
        np.testing.assert_allclose(samples.T / scale, wave, atol=0.51 / 32768 / scale)
    assert max(np.abs(samples).max() for samples, _ in shown.sounds) > 0.98  # of 16 bits all


def test_tracks_of_other_rates_and_lengths_share_a_time_axis():
    short, long = voice(0.5, 8000), voice(0.6, 16000)
    shown = Page(page("a", [Track("a", short, 8000), Track("b", long, 16000)], [Damage(rms=0.1)]))
    (one, rate), (other, other_rate) = shown.sounds
    assert rate == other_rate == 16000 and len(one) == len(other) == long.shape[1]
    expected = resample(short, 8000, 16000)[0] * shown.data["scale"]
    np.testing.assert_allclose(one[:len(expected), 0], expected, atol=1e-4)
    assert not one[len(expected):].any()
    high = Page(page("a", tracks(noise(0.2, 192000), rate=192000), [Damage(rms=0.1)]))
    assert high.sounds[0][1] == 48000  # what every browser plays


def test_more_channels_than_two_are_named_and_two_are_heard():
    wave = noise(0.3, channels=6)
    shown = Page(page("a", tracks(wave), [Damage(rms=0.1, clicks=k) for k in range(6)]))
    assert shown.sounds[0][0].shape[1] == 2 and len(shown.data["channels"]) == 2
    assert [text for _, text in shown.all("h3")] == [f"Channel {k}" for k in range(1, 7)]
    assert any("6 channels" in text for _, text in shown.all("p"))


def test_equal_loudness_is_of_the_speech():
    soft = np.concatenate([0.05 * voice(3.0), np.zeros((1, 32000), np.float32)], 1)
    loud = voice(5.0)
    shown = Page(page("a", tracks(soft, loud), [Damage(rms=0.1)]))
    heard = [gain * samples.T for gain, (samples, _) in zip(shown.data["gains"], shown.sounds,
                                                            strict=True)]
    levels = [loudness(wave, 16000) for wave in heard]
    assert levels[0] == pytest.approx(levels[1], abs=0.2) and max(levels) <= -17.9
    assert max(np.abs(wave).max() for wave in heard) <= 1.0
    ratio = shown.data["gains"][0] / shown.data["gains"][1]
    assert 20 * np.log10(ratio) == pytest.approx(26.0, abs=1.0)  # its pauses do not count
    plain = shown.data["plain"] * shown.data["scale"]
    assert plain == pytest.approx(1.0)  # else all is as loud as recorded


def test_silence_is_not_made_loud():
    shown = Page(page("a", tracks(voice(1.0), 0 * voice(1.0)), [Damage(rms=0.1)]))
    assert shown.data["gains"][1] == 1.0
    assert Page(page("a", tracks(0 * voice(1.0)), [Damage()])).data["gains"] == [1.0]


def test_what_was_found_is_said_and_drawn_where_it_is():
    damage = Damage(gaps=((0.25, 0.3),), cutoff=4000.0, hum=50.0, rms=0.1,
                    clipping=(Clipping(0.2, 0.0, 0.5),))
    shown = Page(page("a", tracks(voice(0.5)), [damage]))
    said = [(told["class"], text) for told, text in shown.all("li")]
    assert [text for _, text in said] == damage.describe()
    assert [kind for kind, _ in said] == ["clipping", "cutoff", "gaps", "hum"]
    [channel] = shown.data["channels"]
    assert ["gaps", 0.25, 0.3] in channel["spans"]
    assert channel["cutoffs"] == [4000.0]
    assert channel["levels"] == [[0.0, 0.5, -0.2], [0.0, 0.5, 0.2]]
    nothing = Page(page("a", tracks(voice(0.5)), [Damage(rms=0.1)]))
    assert not nothing.all("li") and ({"class": "none"}, "Nothing.") in nothing.all("p")
    assert "Nothing was looked for." in page("a", tracks(voice(0.5)), [])


def test_long_recordings_are_cut_around_the_worst_and_say_so():
    wave = np.zeros((1, 16000 * 200), np.float32)
    wave[0, 16000 * 150] = 0.5
    text = page("a", tracks(wave), [Damage(gaps=((150.0, 150.5),), rms=0.1)])
    data = Page(text).data
    [(samples, _)] = Page(text).sounds
    assert len(samples) == LONGEST * 16000 and "lasts 3:20" in text and "60 s of it" in text
    [(_, start, end)] = data["channels"][0]["spans"]
    assert data["begin"] + start == 150.0 and end - start == pytest.approx(0.5)
    assert samples[round(16000 * start), 0] > 0.9
    assert "lasts" not in page("a", tracks(wave[:, :16000]), [])


def test_a_track_may_end_before_what_is_shown(monkeypatch):
    monkeypatch.setattr("voxmend.report.pages.LONGEST", 1.0)
    long, short = noise(3.0), noise(0.5)
    shown = Page(page("a", tracks(long, short), [Damage(gaps=((2.5, 2.6),), rms=0.1)]))
    (one, _), (other, _) = shown.sounds
    assert shown.data["begin"] == 1.6 and one.any() and len(other) == len(one)
    assert not other.any()


def test_a_page_stays_small(monkeypatch):
    monkeypatch.setattr("voxmend.report.pages.LARGEST", LARGEST // 20)
    text = page("a", tracks(noise(20.0), noise(20.0)), [Damage(rms=0.1)])
    assert 0.5 * LARGEST / 20 < len(text) < 1.5 * LARGEST / 20 + 60_000
    assert LARGEST * 4 / 3 < 14_000_000  # base64 makes 4 bytes of 3
    assert Page(text).sounds[0][0].shape == Page(text).sounds[1][0].shape


def test_an_excerpt_tells_the_time_of_the_recording():
    damage = Damage(gaps=((100.5, 101.0),), rms=0.1)
    text = page("a", tracks(voice(2.0)), [damage], excerpt=Excerpt(100.0, 7200.0))
    assert Page(text).data["channels"][0]["spans"] == [["gaps", 0.5, 1.0]]
    assert Page(text).data["begin"] == 100.0 and "lasts 120:00" in text


def test_uncertainty_is_a_band():
    band = np.repeat(np.linspace(0, 0.1, 8000)[None], 1, 0)
    data = Page(page("a", tracks(voice(0.5), voice(0.5)), [Damage(rms=0.1)], None, band)).data
    assert data["band"]["seconds"] == BAND_SECONDS
    [values] = data["band"]["values"]
    centres = (np.arange(len(values)) + 0.5) * BAND_SECONDS
    np.testing.assert_allclose(values, 0.2 * centres, rtol=0.05, atol=2e-4)
    assert Page(page("a", tracks(voice(0.5)), [])).data["band"] is None


@pytest.mark.parametrize("rate", [11025, 22050, 44100, 48000])
def test_uncertainty_is_drawn_when_it_is(rate):
    wave = np.zeros((1, 4 * rate), np.float32)
    band = (np.arange(4 * rate) >= 3.9 * rate)[None].astype(np.float32)
    data = Page(page("a", tracks(wave, wave, rate=rate), [Damage()], None, band)).data["band"]
    first = np.flatnonzero(np.array(data["values"][0]) > 0)[0]
    assert first * data["seconds"] <= 3.9 < (first + 1) * data["seconds"]
    assert data["seconds"] == pytest.approx(BAND_SECONDS, rel=0.01)


@pytest.mark.parametrize("count, keys", [(1, ""), (2, "ABD"), (3, "ABC")])
def test_keys_and_labels_fit_the_tracks(count, keys):
    shown = Page(page("a", tracks(*[voice(0.5)] * count), [Damage(rms=0.1)]))
    assert len(shown.all("audio")) == count
    named = [text for _, text in shown.all("kbd") if text in "ABCDEFG"]
    assert "".join(named) == keys
    assert bool(shown.all("input", id="loudness")) == (count > 1)
    labels = [text for _, text in shown.all("label")]
    assert all(any(name in label for label in labels) for name in ("Frequency", "Channel"))
    assert all(text or "aria-label" in told for told, text in shown.all("button"))
    assert all("aria-label" in told for told, _ in shown.all("input", type="range"))
    assert shown.all("html")[0][0]["lang"] == "en"


@pytest.mark.parametrize("wave", [np.zeros(10), np.zeros((1, 0)), np.full((1, 9), np.nan)])
def test_what_is_no_recording_is_refused(wave):
    with pytest.raises(AudioError, match="track"):
        Track("track", wave, 16000)


def test_a_page_of_nothing_is_refused():
    with pytest.raises(ValueError, match="track"):
        page("a", [], [])
