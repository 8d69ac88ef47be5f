import time

import pytest

from helpers import visitors
from voxmend.app.process import CancelledError, FailedError, Process


def finish(folder, function, *arguments):
    process = Process(folder, function, *arguments)
    return process, list(process.progress())


def test_a_function_says_what_it_does_and_returns(tmp_path):
    process, course = finish(tmp_path, visitors.told, 5)
    assert process.made == (5, str(tmp_path))
    assert ("mend", 0.6) in course
    assert process.lines == ["one line", "voxmend: a note"] and process.notes == ["a note"]


def test_a_failure_is_one_line(tmp_path, capfd):
    with pytest.raises(FailedError, match=r"^a\.wav: empty: fetch it again$"):
        finish(tmp_path, visitors.wrong)
    with pytest.raises(FailedError, match="not the recording's fault"):
        finish(tmp_path, visitors.ill)
    with pytest.raises(FailedError, match="too soon"):
        finish(tmp_path, visitors.crash)


def test_cancelled_work_ends_at_once(tmp_path):
    process = Process(tmp_path, visitors.wait, 60)
    course = process.progress()
    next(course)
    begun = time.monotonic()
    process.cancel()
    with pytest.raises(CancelledError):
        list(course)
    assert time.monotonic() - begun < 20 and not process.running


def test_work_ends_when_nobody_follows_it(tmp_path):
    process = Process(tmp_path, visitors.wait, 60)
    course = process.progress()
    next(course)
    course.close()
    assert not process.running
