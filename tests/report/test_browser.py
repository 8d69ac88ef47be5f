"""Pages in a real Chromium."""

import numpy as np
import pytest

from helpers.browsers import CHROMIUM, needs_chromium
from helpers.speech import voice
from voxmend.report import Track, page
from voxmend.restore.damage import Damage

drive = pytest.importorskip("playwright.sync_api")
pytestmark = needs_chromium
RATE = 16000


@pytest.fixture(scope="module")
def browser():
    with drive.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Before and after, of two channels that differ."""
    before = np.concatenate([voice(3.0), 0.5 * voice(3.0, seed=1)])
    found = [Damage(rms=0.1, gaps=((1.0, 1.1),), cutoff=4000.0), Damage(rms=0.1, clicks=0)]
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page("<script>alert(1)</script>", [
        Track("before", before, RATE), Track("after", 0.5 * before, RATE)], found))
    return path


@pytest.fixture
def shown(browser, file):
    """The page, drawn; what it logs, asks for or throws is an error."""
    said = []
    tab = browser.new_page(viewport={"width": 1000, "height": 800})
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(dialog.message))
    tab.on("request", lambda request: said.append(request.url) if not request.url.startswith(
        ("file:", "data:")) else None)
    tab.goto(file.as_uri())
    tab.wait_for_selector("#player:not([hidden])")
    yield tab
    tab.close()
    assert not said


def position(tab):
    return tab.evaluate("player.position")


def wait_until(tab, condition):
    """`wait_for_function` would be refused by the page's own policy."""
    for _ in range(100):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(condition)


def test_it_plays_and_switches_in_place(shown):
    assert shown.evaluate("[...document.querySelectorAll('audio')].map(audio => audio.duration)"
                          ) == [pytest.approx(3.0)] * 2
    shown.keyboard.press(" ")
    wait_until(shown, "player.position > 0.2")
    before = position(shown)
    shown.keyboard.press("b")
    assert position(shown) - before < 0.5 and shown.evaluate("player.current") == 1
    gains = "player.sources.map(({ gain }) => gain.gain.value)"
    expected = shown.evaluate("DATA.gains[1]")
    wait_until(shown, f"Math.abs({gains}[1] - {expected}) < 0.001")
    one, two, rest = shown.evaluate(gains)
    assert one < 0.01 and rest < 0.01 and two == pytest.approx(expected, rel=1e-3)
    shown.keyboard.press(" ")
    assert not shown.evaluate("player.playing") and shown.inner_text("#play") == "Play"


def test_the_difference_is_exact_and_loudness_can_be_switched(shown):
    wave = "tracks[{}].buffer.getChannelData(1)"
    before, after, difference = (np.array(shown.evaluate(f"Array.from({wave.format(n)})"))
                                 for n in range(3))
    np.testing.assert_allclose(difference, before - after, atol=1e-7)
    assert shown.evaluate("player.gain(0)") == shown.evaluate("DATA.gains[0]")
    shown.keyboard.press("l")
    assert not shown.is_checked("#loudness")
    assert shown.evaluate("player.gain(0)") == shown.evaluate("DATA.plain")


def test_dragging_zooms_and_a_click_goes_there(shown):
    box = shown.locator(".spectrogram").first.bounding_box()
    shown.mouse.move(box["x"] + box["width"] / 3, box["y"] + 20)
    shown.mouse.down()
    shown.mouse.move(box["x"] + box["width"] * 2 / 3, box["y"] + 20)
    shown.mouse.up()
    assert shown.evaluate("[view.first, view.last]") == [pytest.approx(1.0, abs=0.01),
                                                         pytest.approx(2.0, abs=0.01)]
    shown.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    assert position(shown) == pytest.approx(1.5, abs=0.01)
    shown.keyboard.press("Escape")
    assert shown.evaluate("[view.first, view.last]") == [0, 3]
    shown.keyboard.press("n")
    assert position(shown) == pytest.approx(0.75, abs=0.01)  # before the gap
    shown.keyboard.press("ArrowRight")
    assert position(shown) == pytest.approx(1.75, abs=0.01)


def test_spectra_are_those_of_the_signal(shown):
    """Against NumPy's transform, with the same window."""
    wave = np.array(shown.evaluate("Array.from(samplesOf(tracks[0]))"))
    size = shown.evaluate("SIZE")
    level = np.array(shown.evaluate("Array.from(spectra(samplesOf(tracks[0]), 16000, 32000, 10))"))
    centres = 16000 + 1600 * (np.arange(20) / 2 + 0.25)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    frames = np.stack([window * wave[round(c) - size // 2:round(c) + size // 2] for c in centres])
    power = np.abs(np.fft.rfft(frames)) ** 2
    expected = 10 * np.log10(power.reshape(10, 2, -1).mean(1) + 1e-12)
    np.testing.assert_allclose(level.reshape(10, -1), expected, atol=0.01)


def test_pictures_change_with_scale_and_channel(shown):
    picture = "document.querySelector('.spectrogram').toDataURL()"
    pictures = [shown.evaluate(picture)]
    shown.select_option("#scale", "linear")
    pictures.append(shown.evaluate(picture))
    shown.select_option("#channel", "R")
    pictures.append(shown.evaluate(picture))
    shown.emulate_media(color_scheme="dark")
    assert len(set(pictures)) == 3
    assert "1 marks of gap" not in shown.get_attribute(".wave", "aria-label")
    shown.select_option("#channel", "L")
    assert "1 marks of gap" in shown.get_attribute(".wave", "aria-label")


def test_a_legend_tells_the_marks_of_a_channel_apart(shown):
    assert shown.locator("#legend span").all_inner_texts() == ["gap"]
    box = "getComputedStyle(document.querySelector('#legend span'), '::before').backgroundColor"
    shown.evaluate("document.body.append(element('i', { id: 'ink' }))")
    shown.evaluate("$('ink').style.backgroundColor = colour('gaps')")
    assert shown.evaluate(box) == shown.evaluate("getComputedStyle($('ink')).backgroundColor")
    shown.select_option("#channel", "R")
    assert not shown.locator("#legend span").all_inner_texts()


def test_a_phone_needs_no_scrolling_aside(shown):
    shown.set_viewport_size({"width": 390, "height": 844})
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    widths = shown.evaluate("[...document.querySelectorAll('button, select, canvas, label')]"
                            ".map(each => each.getBoundingClientRect().right)")
    assert max(widths) <= 390
