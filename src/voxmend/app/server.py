"""The server: who may come in, what may be sent, which files are handed out, and when they go.

Uploads do not pass through gradio: its own routes for files would tell paths of the server.

    POST upload?name=NAME           the bytes of a file; answers with its secret
    GET files/SECRET/PATH           what was uploaded or made, to who knows the secret
    everything else                 gradio's page
"""

import base64
import contextlib
import hmac
import os
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import uvicorn
from fastapi import FastAPI
from gradio import mount_gradio_app
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ..audio.errors import reason
from .desk import LOADED
from .limits import Limits
from .page import CSS, HEAD, build, theme
from .process import warm_up
from .runs import Command
from .store import FullError, GoneError, Store

SWEEP_SECONDS = 60.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")
CLOSED = ("/gradio_api/upload", "/gradio_api/file", "/gradio_api/proxy", "/gradio_api/deep_link",
          "/gradio_api/vibe", "/monitoring", "/gradio_api/component_server")
# What a page may load: nothing from elsewhere, whatever gradio's own files ask for.
POLICY = "; ".join(("default-src 'self' data: blob:", "style-src 'self' 'unsafe-inline'",
                    "script-src 'self' blob: 'unsafe-inline' 'unsafe-eval'", "base-uri 'self'",
                    "form-action 'self'", "object-src 'none'"))
# What was made of an upload runs no script of this server's origin, even when opened by itself.
SEALED = "sandbox allow-scripts allow-downloads"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def check_host(host: str, openly: bool, password: str | None) -> None:
    """Raises ValueError for an address that others reach, unless somebody wanted that."""
    if host not in LOOPBACK and not openly and not password:
        raise ValueError(f"--host {host}: others could use it; add --password-file FILE, or "
                         "--share-openly to let everybody in")


def read_password(path: Path) -> str:
    """The first line of a file; raises ValueError where it is empty."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].strip():
        raise ValueError(f"{path}: holds no password; write one into its first line")
    return lines[0].strip()


class Gate:
    """Lets requests in by password, host and origin, and tells browsers what pages may do.

    Args:
        app: what answers those that come in.
        password: any user name goes with it; None lets everybody in.
        hosts: names that the server may be called by; none stands for any. On loopback they keep
            out pages of others that have their own name point there.
    """

    def __init__(self, app: Any, password: str | None, hosts: tuple[str, ...] = ()):
        self.app, self.password, self.hosts = app, password, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # the page needs none
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        if refusal:
            await refusal(scope, receive, send)
            return

        async def told(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = [(name, value) for name, value in message["headers"]  # gradio's let all in
                       if not name.lower().startswith(b"access-control-")]
                names = {name for name, _ in own}
                extra = {b"content-security-policy": POLICY.encode(),
                         b"x-content-type-options": b"nosniff", b"referrer-policy": b"no-referrer"}
                message["headers"] = own + [(k, v) for k, v in extra.items() if k not in names]
            await send(message)

        await self.app(scope, receive, told)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if self.hosts and urlsplit(f"//{host}").hostname not in self.hosts:
            return PlainTextResponse("not served under this name", 421)
        if not self._knows(request.headers.get("authorization", "")):
            return PlainTextResponse("give the password", 401,
                                     {"WWW-Authenticate": 'Basic realm="voxmend"'})
        if not _same_origin(request, host):
            return PlainTextResponse("asked for by a page of another site; if it is this one, let "
                                     "the proxy before it pass the Host on", 403)
        if request.url.path.startswith(CLOSED):
            return PlainTextResponse("closed here", 404)
        return None

    def _knows(self, told: str) -> bool:
        if self.password is None:
            return True
        with contextlib.suppress(ValueError):
            user = base64.b64decode(told.removeprefix("Basic "), validate=True)
            return hmac.compare_digest(user.partition(b":")[2], self.password.encode())
        return False


def _same_origin(request: Request, host: str) -> bool:
    """Whether no other site's page asks; programs that are no browsers name no origin.

    `Sec-Fetch-Site` no page can set, and it is true behind a proxy that changes the host as well.
    Browsers send it over https and to localhost; elsewhere the origin has to be the host.
    """
    origin, site = map(request.headers.get, ("origin", "sec-fetch-site"))
    if origin is None or site:
        return origin is None or site == "same-origin"
    return origin.partition("://")[2] == host


class Files:
    """The routes of uploads and of what was made of them."""

    def __init__(self, store: Store, limits: Limits):
        self.store, self.limits = store, limits

    @property
    def routes(self) -> list[BaseRoute]:
        return [Route("/upload", self.upload, methods=["POST"]),
                Route("/files/{secret}/{path:path}", self.download)]

    async def upload(self, request: Request) -> Response:
        """Keeps the body of a request as a file, as far as it is not too large."""
        try:
            recording = self.store.new(request.query_params.get("name", ""))
        except FullError as error:
            return PlainTextResponse(str(error), 503)
        size = 0
        try:
            self.limits.check_size(recording.name, int(request.headers.get("content-length", 0)))
            with recording.path.open("xb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    self.limits.check_size(recording.name, size)
                    file.write(chunk)
                    recording.used = time.monotonic()
        except ValueError as error:
            self.store.remove(recording.secret)
            return PlainTextResponse(str(error), 413)
        except BaseException:  # the visitor is gone, or the disk is full
            self.store.remove(recording.secret)
            raise
        return PlainTextResponse(recording.secret)

    async def download(self, request: Request) -> Response:
        """A file: pages to be looked at, sound to be played, everything to be kept."""
        try:
            path = self.store.file(request.path_params["secret"], request.path_params["path"])
        except GoneError as error:
            return PlainTextResponse(str(error), 404)
        headers = {"Content-Security-Policy": SEALED, "Cache-Control": "private, no-store"}
        ours = "/" not in request.path_params["path"]  # a page, no file of the visitor's
        if not ours or "keep" in request.query_params:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(path.name)}"
        return FileResponse(path, headers=headers)


def application(store: Store, limits: Limits, main: Command, password: str | None = None,
                hosts: tuple[str, ...] = ()) -> Gate:
    """What a server of ASGI runs."""
    blocks = build(store, limits, main)
    blocks.queue(max_size=32, default_concurrency_limit=None)
    inner = FastAPI(routes=Files(store, limits).routes, openapi_url=None)
    mounted = mount_gradio_app(inner, blocks, "/", footer_links=[], run_history=False,
                               show_error=True, enable_monitoring=False, ssr_mode=False, pwa=False,
                               mcp_server=False, theme=theme(), css=CSS, head=HEAD)
    return Gate(mounted, password, hosts)


@contextlib.contextmanager
def opened() -> Iterator[Store]:
    """A store in a temporary folder, which is swept every minute and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="voxmend-") as folder:
        store, ended = Store(Path(folder)), threading.Event()

        def sweep() -> None:
            while not ended.wait(SWEEP_SECONDS):
                store.sweep()

        threading.Thread(target=sweep, daemon=True).start()
        try:
            yield store
        finally:
            ended.set()
            store.clear()


def serve(main: Command, limits: Limits, host: str = "127.0.0.1", port: int = 7860,
          openly: bool = False, password: str | None = None) -> None:
    """Serves the page until it is interrupted.

    Args:
        main: the command, which takes its words and returns an exit code.
        openly: others than this machine may come in without a password.

    Raises: ValueError for an address that others reach without `openly` or a password.
    """
    limits.check()
    check_host(host, openly, password)
    with _listening(host, port) as sock, opened() as store:
        warm_up(LOADED)
        hosts = LOOPBACK if host in LOOPBACK else ()
        server = uvicorn.Server(uvicorn.Config(
            application(store, limits, main, password, hosts), log_level="warning",
            timeout_graceful_shutdown=1))
        address, number = sock.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        print(f"voxmend app: http://{shown}:{number} (Ctrl-C ends it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.run([sock])


def _listening(host: str, port: int) -> socket.socket:
    """A socket at an address; raises ValueError where that cannot be."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ValueError(f"--host {host} --port {port}: {reason(error).lower()}: name another, or "
                         "--port 0 for any that is free") from None
