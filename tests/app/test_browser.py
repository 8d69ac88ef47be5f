"""The page in a real Chromium, as visitors use it."""

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from helpers.browsers import CHROMIUM, needs_chromium
from voxmend import audio
from voxmend.demo import __file__ as demo
from voxmend.dsp.degrade import clip

pytest.importorskip("gradio")
sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
pytestmark = needs_chromium
SLOW = 120_000  # milliseconds, on a busy machine


@pytest.fixture(scope="module")
def address():
    """A server that works for one visitor at a time."""
    server = subprocess.Popen([sys.executable, "-m", "voxmend", "app", "--port", "0"],
                              stdout=subprocess.PIPE, text=True)
    yield re.search(r"http://\S+", server.stdout.readline())[0]
    server.terminate()
    assert server.wait(20) == 0
    assert server.stdout.read() == ""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--use-fake-device-for-media-stream"])  # a microphone that beeps
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address):
    """Opens the page for a new visitor; nothing may go wrong in it or be loaded from elsewhere."""
    contexts, faults = [], []

    def watch(page):
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: said.type == "error" and faults.append(said.text))
        page.on("request", lambda asked: asked.url.startswith((address, "data:", "blob:"))
                or faults.append(asked.url))

    def open_page(**options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW)
        watch(page)
        page.goto(address)
        expect(page.get_by_role("button", name="Restore", exact=True)).to_be_visible(timeout=SLOW)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture(scope="module")
def clipped(tmp_path_factory):
    """Two seconds of the demo's clip, clipped, four, and a minute of them."""
    folder = tmp_path_factory.mktemp("clips")
    clean = audio.load(Path(demo).with_name("clean.flac"), 16000)
    for name, seconds, times in (("short", 2, 1), ("long", 4, 1), ("minute", 4, 15)):
        wave = np.tile(clean[:, :seconds * 16000], times)
        audio.save(folder / f"{name}.wav", clip(wave, 0.2 * float(np.abs(wave).max())), 16000)
    return folder


def drop(page, path):
    page.locator(".drop input[type=file]").first.set_input_files(path)


def status(page):
    return page.locator("#restore .block.status")


def restore(page):
    page.get_by_role("button", name="Restore", exact=True).click()


def unfold(room, field):
    """Opens what is folded away in a tab; gradio may fold it again while it draws what arrived."""
    for _ in range(6):
        room.get_by_role("button", name="More").click()
        with suppress(AssertionError):
            return expect(field).to_be_visible(timeout=10_000)
    raise AssertionError("nothing unfolds")


def test_a_recording_is_found_mended_and_heard(visit, clipped):
    page = visit()
    drop(page, clipped / "short.wav")
    kind = page.get_by_role("checkbox", name=re.compile("clipped at"))
    expect(kind).to_be_checked(timeout=SLOW)
    expect(page.locator("#finding")).to_contain_text("short.wav: 2.0 s, 16000 Hz, 1 channel")
    restore(page)
    link = page.get_by_role("link", name="Download short-mended.wav")
    expect(link).to_be_visible(timeout=SLOW)
    command = page.get_by_label("The same on the command line").first
    expect(command).to_have_value("voxmend mend short.wav short-mended.wav")
    report = page.frame_locator("iframe[title='Before and after']")
    report.get_by_role("button", name="Play").click()
    position = report.get_by_label("Position")
    expect(position).not_to_have_value("0", timeout=SLOW)
    first = position.input_value()
    expect(position).not_to_have_value(first)
    assert float(position.input_value()) > float(first)  # it plays
    before = float(position.input_value())
    report.get_by_text("B Mended").first.click()
    assert report.get_by_role("radio", name="B Mended").is_checked()
    assert float(position.input_value()) >= before  # and goes on from where it was
    with page.expect_download() as download:
        link.click()
    assert audio.load(download.value.path(), 16000).shape == (1, 32000)
    page.get_by_role("button", name="Cancel").first.click()  # which finds nothing to stop
    expect(status(page)).to_contain_text("is kept", timeout=10_000)
    expect(link).to_be_visible()


def stays_stopped(page):
    """A run that goes on would show its progress again."""
    expect(status(page)).to_contain_text("stopped", timeout=10_000)
    page.wait_for_timeout(3000)
    expect(status(page)).to_contain_text("stopped")
    restore(page)
    expect(status(page).get_by_role("progressbar")).to_be_visible(timeout=SLOW)


def restore_slowly(page, path):
    """Begins a run that takes half a minute, and waits until it goes on."""
    drop(page, path)
    expect(page.locator("#finding")).to_contain_text(path.name, timeout=SLOW)
    draws = page.get_by_label("number input for Draws")
    unfold(page.locator("#restore"), draws)
    draws.fill("8")
    draws.press("Tab")
    restore(page)
    expect(status(page).get_by_role("progressbar")).to_be_visible(timeout=SLOW)


def test_a_run_is_cancelled(visit, clipped):
    page = visit()
    restore_slowly(page, clipped / "minute.wav")
    page.get_by_role("button", name="Cancel").first.click()
    stays_stopped(page)


def test_a_run_is_cancelled_after_another_recording_was_dropped(visit, clipped):
    page = visit()
    restore_slowly(page, clipped / "minute.wav")
    drop(page, clipped / "short.wav")
    expect(page.locator("#finding")).to_contain_text("short.wav", timeout=SLOW)
    page.get_by_role("button", name="Cancel").first.click()
    stays_stopped(page)


def test_of_two_recordings_dropped_at_once_the_last_counts(visit, clipped):
    page = visit()
    for name in ("long.wav", "short.wav"):
        with page.expect_response(re.compile("/upload")):
            drop(page, clipped / name)
    expect(page.locator("#finding")).to_contain_text("short.wav", timeout=SLOW)
    page.wait_for_timeout(2000)  # in which the other one would have come
    expect(page.locator("#finding")).to_contain_text("short.wav")
    expect(page.locator("#arrival")).not_to_contain_text("cancelled")


def test_what_dereverb_does_not_take_is_not_offered(visit):
    page = visit()
    page.get_by_role("tab", name="Enhance").click()
    limit = page.get_by_label("number input for Take away at most, dB")
    refined = page.get_by_role("checkbox", name="Refine the result")
    unfold(page.locator("#enhance"), limit)
    for chosen, offered in (("echo and noise", False), ("noise", True)):
        page.get_by_role("radio", name=chosen, exact=True).check()
        for field in (limit, refined):
            expect(field).to_be_visible(visible=offered, timeout=SLOW)
        expect(page.get_by_role("checkbox", name="Keep what is taken away")).to_be_visible()


def test_a_bad_file_gets_a_line_and_the_next_one_is_taken(visit, clipped, tmp_path):
    page = visit()
    (tmp_path / "<b>text.wav").write_text("no sound\n")
    drop(page, tmp_path / "<b>text.wav")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("<b>text.wav: damaged, or not audio", timeout=SLOW)
    restore(page)
    expect(status(page)).to_contain_text("drop a recording first", timeout=SLOW)
    drop(page, clipped / "short.wav")
    expect(page.locator("#finding")).to_contain_text("short.wav", timeout=SLOW)


def test_a_microphone_is_recorded(visit):
    page = visit(permissions=["microphone"])
    page.get_by_role("button", name="Record from the microphone").first.click()
    stop = page.get_by_role("button", name="Stop recording")
    expect(stop).to_have_attribute("aria-pressed", "true", timeout=SLOW)
    page.wait_for_timeout(2000)
    stop.click()
    expect(page.locator("#finding")).to_contain_text("microphone.webm: ", timeout=SLOW)


def test_a_second_visitor_waits_and_is_served(visit, clipped):
    one, two = visit(), visit()
    for page, name in ((one, "long.wav"), (two, "short.wav")):
        drop(page, clipped / name)
        expect(page.locator("#finding")).to_contain_text(name, timeout=SLOW)
    restore(one)
    expect(status(one).get_by_role("progressbar")).to_be_visible(timeout=SLOW)
    restore(two)
    expect(status(two)).to_contain_text(re.compile("queue: *1/1"), timeout=SLOW)
    for page, name in ((one, "long"), (two, "short")):
        expect(page.get_by_role("link", name=f"Download {name}-mended.wav")).to_be_visible(
            timeout=SLOW)


def test_a_phone_shows_everything_in_its_width(visit, clipped):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, color_scheme="dark")
    name = f"{'a_long_name_' * 9}.wav"
    drop(page, {"name": name, "mimeType": "audio/wav",
                "buffer": (clipped / "short.wav").read_bytes()})
    expect(page.locator("#finding")).to_contain_text(name, timeout=SLOW)
    expect(page.frame_locator("iframe").get_by_role("button", name="Play")).to_be_visible(
        timeout=SLOW)
    wide = "document.documentElement.scrollWidth"
    for tab in ("Speakers", "Separate", "Enhance", "Restore"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate(wide) <= 390, tab
    assert all(frame.evaluate(wide) <= 390 for frame in page.frames)
    assert page.locator("iframe").bounding_box()["width"] > 360  # little is left beside it
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


def test_keys_and_names_reach_everything(visit):
    page = visit()
    page.keyboard.press("Tab")
    reached = set()
    for _ in range(30):
        reached.add(page.evaluate(
            "(e => e.type === 'file' ? 'file' : e.innerText)(document.activeElement)").strip())
        page.keyboard.press("Tab")
    assert {"file", "Record from the microphone", "Restore", "Cancel"} <= reached
    nameless = page.locator("button, input, select, textarea, iframe").evaluate_all(
        """all => all.filter(e => e.checkVisibility() && !(e.innerText || e.ariaLabel || e.title
             || e.labels?.length)).map(e => e.outerHTML.slice(0, 200))""")
    assert not nameless


def test_new_voices_go_where_somebody_clicks(visit):
    page = visit()
    page.get_by_role("tab", name="Speakers").click()
    panel = page.locator("#speakers")
    panel.get_by_role("button", name="Draw new voices").click()
    new = panel.locator("svg.voices .new")
    expect(new).to_have_count(8, timeout=SLOW)
    middle = "all => all.reduce((sum, e) => sum + e.cx.baseVal.value, 0) / all.length"
    before, box = new.evaluate_all(middle), panel.locator("svg.voices").bounding_box()
    panel.locator("svg.voices").click(position={"x": 0.9 * box["width"], "y": 0.5 * box["height"]})
    command = panel.get_by_label("The same on the command line")
    expect(command).to_have_value(re.compile("speakers steer"), timeout=SLOW)
    expect(panel.get_by_role("link", name=re.compile("steered"))).not_to_have_count(
        0, timeout=SLOW)
    assert new.evaluate_all(middle) > before + 30
