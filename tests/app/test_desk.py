import json
import re
import shlex
import time
from html import unescape

import numpy as np
import pytest

from helpers import visitors
from helpers.speech import voice
from voxmend import audio
from voxmend.app import commands, voices
from voxmend.app.desk import LOADED, Desk
from voxmend.app.examine import sort
from voxmend.app.limits import Limits
from voxmend.app.process import warm_up
from voxmend.app.store import Store
from voxmend.cli import main as cli
from voxmend.restore.damage import Damage

READABLE = {"2gb.wav", "4gb.wav", "bits.wav"}  # headers that say more than there is, and odd bits


@pytest.fixture(scope="module", autouse=True)
def loaded():
    warm_up(LOADED)


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "store").mkdir()
    desk = Desk(Store(tmp_path / "store"), Limits(minutes=0.5), cli.main)
    yield desk
    desk.store.clear()


def typed(view):
    """The command as a browser shows it."""
    return unescape(re.search(">([^<]*)</textarea>", view.command)[1])


def drop(desk, content, name="my voice.flac"):
    recording = desk.store.new(name)
    recording.path.write_bytes(content)
    return recording, [*desk.arrive(recording.secret)][-1]


@pytest.fixture
def clipped(wav):
    """A second of voice, clipped."""
    wave = voice(seconds=1.0)
    return wav("clip.flac", np.clip(wave, -0.3 * wave.max(), 0.3 * wave.max())).read_bytes()


def test_the_line_to_copy_makes_the_same_file(desk, clipped, tmp_path, monkeypatch):
    recording, arrival = drop(desk, clipped)
    assert "clipped at" in arrival.finding
    last = [*desk.mend(recording.secret, list(recording.found.mendable), "wav", 1, 3)][-1]
    assert "done in" in last.status and "1.html" in last.result
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/my voice.flac").write_bytes(clipped)
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(shlex.split(typed(last))[1:]) == 0
    mine = tmp_path / "mine/my voice-mended.wav"
    theirs = recording.folder / "1/my voice-mended.wav"
    assert mine.read_bytes() == theirs.read_bytes()
    told = [json.loads(path.with_name(path.name + ".voxmend.json").read_text())
            for path in (mine, theirs)]
    assert told[0]["options"] == told[1]["options"] and told[0]["options"]["seed"] == 3
    assert str(tmp_path) not in last.result + last.command + json.dumps(told[1])
    assert str(tmp_path) not in (recording.folder / "1.html").read_text()


def test_what_is_switched_off_stays_as_it_is(desk, clipped):
    recording, _ = drop(desk, clipped)
    (last,) = desk.mend(recording.secret, [], "wav", 1, 0)
    assert "nothing is chosen" in last.status
    recording.found.mendable["hum"] = "hum of 50 Hz"  # so that something is left to do
    last = [*desk.mend(recording.secret, ["hum"], "wav", 1, 0)][-1]
    assert "--leave clipping" in last.command
    before, after = (audio.load(recording.folder / f"1/my voice{end}", 16000)
                     for end in (".flac", "-mended.wav"))
    np.testing.assert_array_equal(before, after)


def test_bad_uploads_get_a_line_and_are_removed(desk, tmp_path):
    (tmp_path / "bad").mkdir()
    uploads = visitors.bad_uploads(tmp_path / "bad")
    assert len(uploads) >= 30
    for name, content in uploads.items():
        recording, arrival = drop(desk, content, name)
        if name in READABLE:
            assert recording.found and "<p>" in arrival.finding
            continue
        assert arrival.status.startswith('<p class="error"'), name
        assert arrival.status.count("\n") == 0 and "Traceback" not in arrival.status, name
        assert str(tmp_path) not in arrival.status and "<img" not in arrival.status, name
        assert not recording.folder.exists(), name
        assert "too soon" not in arrival.status and "not the rec" not in arrival.status, name


def test_too_long_is_refused_before_it_is_looked_at(desk, wav):
    _, arrival = drop(desk, wav("long.flac", np.zeros((1, 31 * 16000), np.float32)).read_bytes())
    assert "0.5 minutes" in arrival.status or "at most 0.5" in arrival.status


def test_a_failing_command_leaves_its_line_and_no_files(desk, clipped):
    recording, _ = drop(desk, clipped)
    desk.main = visitors.refuse
    last = [*desk.separate(recording.secret)][-1]
    assert "my voice.flac: no" in last.status and not last.result
    assert not (recording.folder / "1").exists()


def test_what_is_done_with_a_recording_ends_with_it(desk, clipped):
    recording, _ = drop(desk, clipped)
    course = desk.mend(recording.secret, list(recording.found.mendable), "wav", 8, 0)
    next(course)
    desk.store.remove(recording.secret)
    assert "cancelled" in [*course][-1].status
    assert not recording.work.running and not recording.folder.exists()


def test_an_upload_takes_the_place_of_one_that_is_still_examined(desk, clipped):
    first, other = desk.store.new("a.flac"), desk.store.new("b.flac")
    for recording in (first, other):
        recording.path.write_bytes(clipped)
    course = desk.arrive(first.secret)
    assert next(course).recording is first  # a click on Restore finds it at work
    assert "being worked on" in [*desk.separate(first.secret)][-1].status
    assert "b.flac: " in [*desk.arrive(other.secret, first.secret)][-1].finding
    assert not [view for view in course if view.finding or "error" in view.status]
    assert not first.folder.exists()
    [*_, _] = desk.arrive(drop(desk, clipped)[0].secret, other.secret)
    assert other.path.exists()  # which was examined, so that its results stay


def test_a_run_that_nobody_follows_any_more_leaves_nothing(desk, clipped):
    recording, _ = drop(desk, clipped)
    before = {*recording.folder.rglob("*")}
    for course in (desk.mend(recording.secret, list(recording.found.mendable), "wav", 8, 0),
                   (view for _, view in desk.draw_voices(recording.secret, 3, 1))):
        next(course)
        course.close()
        assert not recording.running and {*recording.folder.rglob("*")} == before
    left = desk.store.new("a.wav")
    left.path.write_bytes(clipped)
    course = desk.arrive(left.secret)
    next(course)
    course.close()  # whoever sent it does not know its secret yet
    assert not left.folder.exists()


def test_one_thing_at_a_time_is_done_with_a_recording(desk, clipped):
    recording, _ = drop(desk, clipped)
    first = desk.draw_voices(recording.secret, 3, 1)
    next(first)
    for course in (desk.draw_voices(recording.secret, 3, 2), desk.arrive(recording.secret),
                   desk.separate(recording.secret)):
        [said] = course
        assert "being worked on" in str(said)
    assert recording.path.exists() and not (recording.folder / "2").exists()
    assert "3 voices" in [*first][-1][1].status


def test_a_run_shows_what_it_has_made_itself(desk):
    secret, one = [*desk.draw_voices(None, 3, 1)][-1]
    first = desk.draw_voices(secret, 3, 1)
    next(first)
    while desk.store.get(secret).running:  # it ends, and nobody has looked at that yet
        time.sleep(0.05)
    _, other = [*desk.draw_voices(secret, 2, 2)][-1]
    assert len(other.drawn) == 2 and [*first][-1][1].drawn == one.drawn


def test_names_that_get_into_each_others_way_are_said_without_the_folder(desk, clipped, tmp_path):
    noisy, _ = drop(desk, clipped, "by another tool")  # which is where the other one goes
    other, _ = drop(desk, clipped, "b.flac")
    last = [*desk.refine(noisy.secret, other.secret, "wav", 0)][-1]
    assert "by another tool: " in last.status and str(tmp_path) not in last.status


def test_voices_are_kept_anew_after_an_hour(desk):
    gone = desk.store.new("voices").secret
    desk.store.remove(gone)
    desk.main = visitors.refuse
    courses = [[*desk.draw_voices(secret, 3, 1)] for secret in (gone, None)]
    for course in courses:
        new = {secret for secret, _ in course}
        assert len(new) == 1 and desk.store.get(*new)  # known to the visitor's next click
        assert "generate: no" in course[-1][1].status


def test_who_has_no_recording_is_told_so(desk, clipped):
    (view,) = desk.separate(None)
    assert "drop a recording first" in view.status
    (view,) = desk.separate("strange")
    assert "gone" in view.status
    recording, _ = drop(desk, clipped)
    (view,) = desk.refine(recording.secret, None, "wav", 0)
    assert "another tool" in view.status


def test_kinds_of_several_channels_name_them():
    both = Damage(rms=0.1, hum=50.0)
    mendable, others = sort([both, Damage(rms=0.1, hum=60.0, reverberation=0.5)])
    assert mendable == {"hum": "L: hum of 50 Hz; R: hum of 60 Hz"}
    assert others[0].startswith("R: reverberation of 0.5 s")
    assert sort([both, both])[0] == {"hum": "hum of 50 Hz"}


def test_names_are_quoted_on_the_line():
    name = "'; rm -rf ~; '$(reboot).wav"
    (line,) = commands.mend(name, ["hum", "clicks"], ".wav", commands.Sampling(2, 5))
    (text,) = commands.as_typed([line])
    assert shlex.split(text) == ["voxmend", *line]
    assert line[1] == name and line[3:] == ["--leave", "hum,clicks", "--draws", "2", "--seed", "5"]


def test_voices_are_drawn_and_steered_to_where_somebody_clicked(desk):
    secret, view = [*desk.draw_voices(None, 3, 1)][-1]
    assert len(view.drawn) == 3 and view.map.count('class="new"') == 3
    assert typed(view) == "voxmend speakers generate -o voices.npz -n 3 --seed 1 --npy voice.npy"
    _, moved = [*desk.draw_voices(secret, 3, 1, view.drawn, (1.5, 1.0))][-1]
    assert moved.drawn == view.drawn  # from where the next click starts
    assert moved.command.count("speakers steer") == 2 and "steered2.npz" in moved.result
    x, y = voices.Drawn(view.drawn, ()).middle
    nearer = [*desk.draw_voices(secret, 3, 1, view.drawn, (x, y))][-1][1]
    assert "speakers steer" not in nearer.command


def test_the_map_has_standard_deviations_of_one():
    places = np.array([(x, y) for x, y, _ in voices.trained()])
    np.testing.assert_allclose(places.std(0), 1, atol=0.05)  # whitened, by definition
    assert len(places) == 169 and {sex for *_, sex in voices.trained()} == {"F", "M"}
    assert voices.place(0.5, 0.5) == (0, 0)
    assert voices.place(1, 0) == (voices.SPAN, voices.SPAN)  # up is positive
