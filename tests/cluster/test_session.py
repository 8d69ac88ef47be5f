"""What workers have of a cluster: arithmetic on its machines."""

import io
import socket
import sys
import threading
from types import SimpleNamespace

import pytest

from voxmend.cluster import session

CORES, GPUS = {"CPU": 8.0}, {"CPU": 32.0, "GPU": 4.0}


@pytest.mark.parametrize("nodes, told, shares", [
    ([{"CPU": 2.0}], None, (2, 1, 0)),
    ([CORES, CORES], None, (16, 1, 0)),
    ([CORES], 2, (2, 4, 0)),
    ([CORES, CORES], 3, (3, 4, 0)),  # not 5: no machine has room for two of them
    ([CORES, CORES], 1, (1, 8, 0)),
    ([GPUS, GPUS], None, (8, 8, 1)),
    ([GPUS, CORES], 4, (4, 8, 1)),
    ([GPUS], 16, (16, 2, 0)),  # there are not enough GPUs for all
    ([{"CPU": 1.0, "GPU": 2.0}], None, (2, 0, 1)),
])
def test_shares_fit_the_machines(nodes, told, shares, monkeypatch):
    listed = [{"Alive": True, "Resources": node} for node in nodes]
    listed.append({"Alive": False, "Resources": {"CPU": 100.0}})
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=lambda: listed))
    assert session.shares(told) == shares


def test_more_workers_than_cores_are_refused(monkeypatch):
    listed = [{"Alive": True, "Resources": CORES}]
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=lambda: listed))
    with pytest.raises(ValueError, match="--workers 9: the cluster has 8 cores"):
        session.shares(9)


def test_what_is_missing_is_said_with_what_to_install(monkeypatch):
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'voxmend\[cluster\]'"):
        session.check()


def test_what_other_threads_print_is_thrown_away():
    stream = session._OfOneThread(io.StringIO())
    thread = threading.Thread(target=lambda: print("a worker died", file=stream))
    thread.start()
    thread.join()
    print("ours", file=stream)
    assert stream.getvalue() == "ours\n"


@pytest.mark.parametrize("address, says", [
    ("somewhere", "give local, auto or HOST:PORT"), ("127.0.0.1:", "give local, auto or HOST:PORT"),
    ("127.0.0.1:{port}", "refused")])
def test_a_cluster_that_is_not_there_is_said_at_once(address, says, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = address.format(port=port)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(
        is_initialized=lambda: False, shutdown=lambda: None, init=lambda **options: None))
    monkeypatch.setattr(session, "check", lambda: None)
    with (pytest.raises(RuntimeError, match=f"--ray {address}: no cluster answers.*{says}"),
          session.connected(address, 1, lambda: None)):
        pass
