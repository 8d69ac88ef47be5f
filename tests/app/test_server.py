import json
import os
import runpy
from pathlib import Path

import pytest

pytest.importorskip("gradio")
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from helpers import visitors
from helpers.commands import run
from voxmend.app import server
from voxmend.app.limits import Limits
from voxmend.app.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("visitors"))


@pytest.fixture(scope="module")
def app(store):
    return server.application(store, Limits(megabytes=0.001), visitors.refuse,
                              hosts=("localhost",)).app


def client(app, password=None, hosts=()):
    return TestClient(server.Gate(app, password, hosts), base_url="http://localhost")


def test_an_upload_comes_back_to_who_knows_the_secret(app, store):
    with client(app) as visitor:
        sent = visitor.post("/upload", params={"name": "../a <b>.wav"}, content=b"x" * 1000)
        assert sent.status_code == 200
        got = visitor.get(f"/files/{sent.text}/source/a <b>.wav")
        assert got.content == b"x" * 1000
        assert got.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in got.headers["content-security-policy"]
        assert "no-store" in got.headers["cache-control"]
        for path in (f"/files/{sent.text}/source/b.wav", "/files/x/source/a.wav",
                     f"/files/{sent.text}/..%2f..%2f..%2fetc/passwd"):
            missing = visitor.get(path)
            assert missing.status_code == 404 and str(store.root) not in missing.text


def test_what_is_too_large_is_refused_however_it_is_sent(app, store):
    def chunks():
        for _ in range(20):
            yield b"x" * 100

    before = len(list(store.root.iterdir()))
    with client(app) as visitor:
        for content in (b"x" * 1001, chunks()):
            sent = visitor.post("/upload", params={"name": "a.wav"}, content=content)
            assert sent.status_code == 413 and "0.001 MB" in sent.text
            assert "\n" not in sent.text
    assert len(list(store.root.iterdir())) == before


def test_a_password_is_asked_for_everywhere(app):
    with client(app, password="open sesame") as visitor:
        for path in ("/", "/config", "/files/x/y", "/gradio_api/info", "/theme.css"):
            assert visitor.get(path).status_code == 401
            assert visitor.get(path, auth=("me", "open")).status_code == 401
            assert visitor.get(path, headers={"Authorization": "Basic %"}).status_code == 401
        assert visitor.post("/upload", content=b"x").status_code == 401
        assert visitor.get("/", auth=("anybody", "open sesame")).status_code == 200


def test_websockets_do_not_pass_by_the_password():
    async def welcome(scope, receive, send):
        await send({"type": "websocket.accept"})

    visitor = client(welcome, password="open sesame")
    with pytest.raises(WebSocketDisconnect), visitor.websocket_connect("/"):
        pass


def test_other_sites_reach_nothing(app):
    with client(app, hosts=("localhost",)) as visitor:
        assert visitor.get("/").status_code == 200
        assert visitor.get("/", headers={"Host": "evil.example"}).status_code == 421
        for origin, status in (("http://evil.example", 403), ("null", 403),
                               ("http://localhost", 200)):
            sent = visitor.post("/upload", content=b"x", headers={"Origin": origin})
            assert sent.status_code == status, origin
        own = visitor.get("/config", headers={"Origin": "http://localhost"})
        assert own.status_code == 200
        assert not any(name.startswith("access-control") for name in own.headers)


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", ["/upload", "/config", "/gradio_api/queue/join"])
def test_other_sites_get_no_word_by_any_name_of_the_server(app, method, path):
    told = {"Host": "studio.example", "Origin": "https://evil.example",
            "X-Forwarded-Host": "evil.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-forwarded-host"}
    with client(app) as visitor:
        for site in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
            got = visitor.request(method, path, headers=told | site)
            assert got.status_code == 403
            assert not any(name.startswith("access-control") for name in got.headers)


def test_proxies_that_change_the_host_are_known_by_what_no_page_can_send(app):
    told = {"Host": "localhost:7860", "Origin": "https://studio.example"}
    with client(app, hosts=("localhost",)) as visitor:
        for site, status in (("same-origin", 200), ("cross-site", 403), ("none", 403)):
            sent = visitor.post("/upload", content=b"x", headers=told | {"Sec-Fetch-Site": site})
            assert sent.status_code == status, site
        link = visitor.get("/", headers={"Sec-Fetch-Site": "cross-site"})
        assert link.status_code == 200


def test_gradio_takes_and_gives_no_files(app):
    with client(app) as visitor:
        files = {"files": ("a.wav", b"x")}
        assert visitor.post("/gradio_api/upload", files=files).status_code == 404
        for path in ("/gradio_api/file=/etc/passwd", "/gradio_api/file/etc/passwd",
                     "/gradio_api/proxy=http://localhost/", "/monitoring"):
            assert visitor.get(path).status_code == 404, path


def test_pages_tell_no_path_and_load_nothing_from_elsewhere(app, store):
    with client(app) as visitor:
        page = visitor.get("/")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        told = page.text + visitor.get("/config").text
        for place in (store.root, Path.home(), Path.cwd(), Path(server.__file__).parent):
            assert str(place) == "/" or str(place) not in told, place
        assert json.loads(visitor.get("/config").text)["analytics_enabled"] is False
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_the_space_opens_a_page_for_everybody(monkeypatch):
    told = []
    monkeypatch.setattr(server, "serve", lambda *options: told.extend(options))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(Path(__file__).parents[2] / "deploy/app.py"), run_name="__main__")
    assert end.value.code == 0
    assert told[1:] == [Limits(3.0, 50.0, 1), "0.0.0.0", 7860, True, None]


def test_addresses_that_others_reach_need_a_word(tmp_path, capsys):
    code, out = run(capsys, "app", "--host", "0.0.0.0")
    assert code == 2 and "--share-openly" in out.err and out.err.count("\n") == 1
    (tmp_path / "empty").write_text("\n")
    code, out = run(capsys, "app", "--password-file", tmp_path / "empty")
    assert code == 2 and "no password" in out.err
    code, out = run(capsys, "app", "--password-file", tmp_path / "none")
    assert code == 2 and "no such file" in out.err
    for options in (["--max-minutes", "0"], ["--max-megabytes", "nan"], ["--concurrency", "0"],
                    ["--port", "99999"], ["--host", "256.0.0.1", "--share-openly"]):
        code, out = run(capsys, "app", *options)
        assert code == 2 and out.err.count("\n") == 1, options
    server.check_host("0.0.0.0", True, None)
    server.check_host("0.0.0.0", False, "open sesame")
    server.check_host("127.0.0.1", False, None)
