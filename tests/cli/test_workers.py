"""Processes that answer messages: dead ones are replaced, and none outlives its driver."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.answers import Choosy, Sealed, answer, load, refuse
from voxmend.cli import workers
from voxmend.cli.workers import Lost, Pool

TESTS = Path(__file__).parent.parent


def ends(number, seconds=30.0):
    """Whether a process ends soon."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("told, count, share", [
    ("", 1, 8), ("", 2, 4), ("", 3, 2), ("", 8, 1), ("", 20, 1), ("1", 2, 1), ("6", 2, 4),
    ("2", 2, 2), ("many", 2, 4)])
def test_workers_share_the_threads(told, count, share, monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert workers.share_of_threads(count) == share


def test_every_message_is_answered_and_each_worker_loads_once():
    with Pool(2, load, answer) as pool:
        replies = dict(pool.map([("who", n) for n in range(20)]))
        assert set(replies) == {*range(20)}
        assert {process for process, _ in replies.values()} == {
            worker.process.pid for worker in pool.workers}
        assert sorted(pool.map([("square", n) for n in range(4)])) == [(n, n**2) for n in range(4)]
    assert all(ends(process) for process, _ in replies.values())


def test_ordered_replies_take_messages_no_further_ahead_than_needed():
    taken = []

    def messages():
        for n in range(12):
            taken.append(n)
            yield "square", n, 0.3 if n == 0 else 0

    with Pool(2, load, answer) as pool:
        for number, reply in pool.map(messages(), ordered=True):
            assert reply == number**2 and len(taken) <= number + 1 + 4
    assert len(taken) == 12


def test_what_is_broken_off_does_not_answer_what_comes_next():
    with Pool(2, load, answer) as pool:
        for _ in pool.map([("square", n, 0.05 * n) for n in range(6)], ordered=True):
            break
        assert dict(pool.map([("square", n) for n in range(9, 12)])) == {0: 81, 1: 100, 2: 121}


def test_an_error_is_a_reply(tmp_path):
    with Pool(1, load, answer) as pool:
        (_, error), (_, square) = pool.map([("fail", ValueError, "bad"), ("square", 3)])
    assert isinstance(error, ValueError) and str(error) == "bad" and square == 9


@pytest.mark.parametrize("failure, said", [
    ((Choosy, "a.wav", "bad"), "Choosy: a.wav: bad"), ((Sealed,), "Sealed: holds a lock")])
def test_an_error_that_cannot_be_sent_is_named(failure, said):
    with Pool(1, load, answer) as pool:
        (_, error), (_, square) = pool.map([("fail", *failure), ("square", 3)])
    assert isinstance(error, RuntimeError) and str(error) == said and square == 9


def test_what_keeps_workers_from_loading_is_a_reply(capfd):
    with Pool(2, refuse, answer) as pool:
        replies = dict(pool.map([("square", n) for n in range(5)]))
        assert len(pool.workers) == 2
    assert {number: str(error) for number, error in replies.items()} == dict.fromkeys(
        range(5), "no room")
    assert not capfd.readouterr().err


@pytest.mark.parametrize("ordered", [True, False])
def test_what_a_killed_worker_had_is_answered_by_another(ordered, tmp_path):
    with Pool(2, load, answer) as pool:
        replies = dict(pool.map([("die once", tmp_path / "a"), *[("square", n) for n in range(5)],
                                 ("die once", tmp_path / "b")], ordered))
    assert replies == {0: "die once", 6: "die once", **{n + 1: n**2 for n in range(5)}}


def test_what_kills_every_worker_is_given_up(tmp_path):
    with Pool(1, load, answer) as pool:
        (_, lost), (_, square) = sorted(pool.map([("die", tmp_path / "a"), ("square", 3)]),
                                        key=lambda reply: reply[0])
    assert isinstance(lost, Lost) and "3 workers died of it (exit code -9)" in str(lost)
    assert square == 9


def test_an_exception_of_the_driver_ends_workers_at_once(tmp_path):
    noted = [tmp_path / name for name in "ab"]
    with pytest.raises(KeyboardInterrupt), Pool(2, load, answer) as pool:
        for _ in pool.map([("square", 1), ("hang", noted[0]), ("hang", noted[1])]):
            while not all(path.exists() for path in noted):
                time.sleep(0.02)
            begun = time.monotonic()
            raise KeyboardInterrupt
    assert time.monotonic() - begun < 20  # of the 60 that they would hang
    assert all(not worker.process.is_alive() for worker in pool.workers)


def drive(folder, code):
    """Starts a process that does something with a Pool; it finds what tests have, and a folder."""
    (folder / "driver.py").write_text(
        "import sys, time; from pathlib import Path; from helpers.answers import answer, load\n"
        "from voxmend.cli.workers import Pool, warm_up\n"
        f"if __name__ == '__main__':\n    {code}\n")
    places = [str(TESTS), str(folder), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen([sys.executable, folder / "driver.py"], stdout=subprocess.PIPE,
                            text=True, cwd=folder,
                            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)})


def noted(path, seconds=30.0):
    """The process that somebody has noted in a file."""
    until = time.monotonic() + seconds
    while not (path.exists() and path.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    return int(path.read_text())


def test_workers_do_not_outlive_a_killed_driver(tmp_path):
    driver = drive(tmp_path, "list(Pool(1, load, answer).map([('hang', Path('worker'))]))")
    worker = noted(tmp_path / "worker")
    driver.kill()
    driver.communicate()
    assert ends(worker)


@pytest.mark.skipif(not workers.FORKS, reason="workers begin anew")
def test_workers_are_forked_from_what_has_loaded_their_modules(tmp_path):
    (tmp_path / "heavy.py").write_text("import os; THREADS = os.environ['OMP_NUM_THREADS']")
    driver = drive(tmp_path, "warm_up(['heavy'], 3)\n    with Pool(1, load, answer) as pool: "
                             "print(*pool.map([('loaded', 'heavy'), ('loaded', 'other')]))")
    told = driver.communicate()[0]
    assert "(0, {'THREADS': '3'})" in told and "(1, None)" in told


@pytest.mark.skipif(not workers.FORKS, reason="workers begin anew")
def test_what_still_loads_modules_ends_with_its_driver(tmp_path):
    (tmp_path / "slow.py").write_text("import os, pathlib, time\n"
                                      "pathlib.Path('server').write_text(str(os.getpid()))\n"
                                      "time.sleep(60)")
    driver = drive(tmp_path, "warm_up(['voxmend.cli.tied', 'slow'], 1); time.sleep(60)")
    server = noted(tmp_path / "server")
    driver.kill()
    driver.communicate()
    assert ends(server)
