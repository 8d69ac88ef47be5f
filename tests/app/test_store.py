import copy
from types import SimpleNamespace

import pytest

from helpers import visitors
from voxmend.app import store as stores
from voxmend.app.store import FullError, GoneError, Store, safe_name

EXAMINED = SimpleNamespace(running=False, cancel=lambda: None)  # work that has ended


def test_names_lead_nowhere_and_fit():
    for name in ("../../etc/passwd", "/etc/passwd", "..\\..\\passwd", "a/../passwd"):
        assert safe_name(name) == "passwd"
    assert safe_name("--overwrite.wav") == "overwrite.wav"  # no option of the command
    assert safe_name("a\x00b\n.wav") == "ab.wav"
    assert safe_name("my voice (1).m4a") == "my voice (1).m4a"
    assert all(safe_name(name) == "recording" for name in ("", "..", "/", "\x00", "\ud800"))
    long = safe_name("🎙" * 300 + ".wav")
    assert long.endswith("🎙.wav") and len(long.encode()) <= 130


def test_only_who_knows_the_secret_gets_files_and_only_those(tmp_path):
    store = Store(tmp_path)
    one, two = store.new("a.wav"), store.new("a.wav")
    for recording in (one, two):
        recording.path.write_text(recording.secret)
    assert store.file(one.secret, "source/a.wav").read_text() == one.secret
    assert one.secret != two.secret and len(one.secret) >= 32
    (tmp_path / "link").symlink_to("/etc/passwd")
    (one.folder / "link").symlink_to("/etc/passwd")
    for path in (f"../{two.secret}/source/a.wav", "/etc/passwd", "link", "source", "none",
                 "../link", "\0", "a" * 300, "a/" * 5000):
        with pytest.raises(GoneError):
            store.file(one.secret, path)
    for secret in ("", None, "x", "..", two.secret[:-1]):
        with pytest.raises(GoneError):
            store.get(secret)


def test_recordings_go_an_hour_after_their_last_use(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(stores.time, "monotonic", lambda: now)
    store = Store(tmp_path)
    left, used = store.new("a.wav"), store.new("b.wav")
    left.used = used.used = 0.0
    left.work = used.work = EXAMINED
    now = 3000.0
    store.get(used.secret)
    now = 3601.0
    store.sweep()
    assert not left.folder.exists() and used.folder.exists()
    with pytest.raises(GoneError, match="hour"):
        store.get(left.secret)
    store.clear()
    assert not list(tmp_path.iterdir())


def test_uploads_that_nothing_examines_make_room_after_minutes(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(stores.time, "monotonic", lambda: now)
    store = Store(tmp_path, most=3)
    unseen, seen, sent = (store.new(name) for name in ("a.wav", "b.wav", "c.wav"))
    unseen.used = seen.used = 0.0  # `sent` has just arrived
    seen.work = EXAMINED
    now, sent.used = 601.0, 600.0
    store.new("d.wav")
    assert not unseen.folder.exists() and seen.folder.exists() and sent.folder.exists()
    with pytest.raises(FullError):
        store.new("e.wav")


def test_a_full_store_takes_no_more(tmp_path):
    store = Store(tmp_path, most=1)
    first = store.new("a.wav")
    with pytest.raises(FullError, match="try again"):
        store.new("b.wav")
    store.remove(first.secret)
    store.new("b.wav")


def test_each_run_sees_the_upload_under_its_name(tmp_path):
    recording = Store(tmp_path).new("a.wav")
    recording.path.write_text("x")
    with recording.new_run() as one, recording.new_run() as two:
        assert one != two
    assert all((folder / "a.wav").read_text() == "x" for folder in (one, two))


def test_a_run_that_fails_leaves_nothing(tmp_path):
    recording = Store(tmp_path).new("a.wav")
    before = {*recording.folder.rglob("*")}
    with pytest.raises(GeneratorExit), recording.new_run() as folder:
        (folder / "a-mended.wav").touch()
        (recording.folder / f"{folder.name}.html").touch()
        raise GeneratorExit
    assert {*recording.folder.rglob("*")} == before


def test_a_copy_of_what_a_page_holds_leaves_running_work_alone(tmp_path):
    """The copy's pipe would be closed with it, and with that what has its number by then."""
    store = Store(tmp_path)
    recording = store.new("a.wav")
    work = recording.start(recording.folder, visitors.told, 5)
    assert copy.deepcopy({"delete_callback": store.remove})["delete_callback"].__self__ is store
    assert len([*work.progress()]) and work.made[0] == 5
