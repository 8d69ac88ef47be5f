"""A stand-in for the Hugging Face Hub on loopback: the requests that huggingface_hub sends.

What it answers is what the hub documents and sends: errors by `X-Error-Code`, large files by the
batch API of Git LFS and a redirect, commits as lines of JSON.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

OWNER, TOKEN = "owner", "hf_stand_in"


@dataclass
class Repository:
    """Commits by their hash, and where branches and tags stand."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: bool = False

    def commit(self, files, branch="main"):
        """Adds or replaces files; returns the commit."""
        tree = {**self.commits.get(self.refs.get(branch, ""), {}), **files}
        told = repr((len(self.commits), sorted(tree.items()))).encode()
        self.refs[branch] = oid = hashlib.sha1(told).hexdigest()
        self.commits[oid] = tree
        return oid

    def find(self, revision):
        oid = self.refs.get(revision, revision)
        return oid if oid in self.commits else None


class Hub(ThreadingHTTPServer):
    """The server; `requests` has what was asked, as METHOD /path."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.large, self.requests = {}, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.store = f"http://localhost:{self.server_port}"  # another host, as the hub's is

    def add(self, name, files, **options):
        """Adds a commit to a repository, which is made if there is none."""
        return self.repositories.setdefault(f"{OWNER}/{name}", Repository(**options)).commit(files)


class Handler(BaseHTTPRequestHandler):
    """Answers by the first of `routes` that fits."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status=200, body=b"", error=None, message=None, **headers):
        body = json.dumps(body).encode() if not isinstance(body, bytes) else body
        self.send_response(status)
        headers |= {"X-Error-Code": error, "X-Error-Message": message}
        for name, value in {"Content-Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(self.path.partition("?")[0])
        self.server.requests.append(f"{self.command} {path}")
        token = self.headers.get("Authorization")
        if token not in (None, f"Bearer {TOKEN}"):
            return self.answer(401, message="Invalid credentials in Authorization header")
        self.known = token is not None
        for method, pattern, route in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and self.command in method:
                return route(self, *found.groups())
        return self.answer(404)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def commit_of(self, repo, revision):
        """Repository and commit, or None once an error is answered."""
        repository = self.server.repositories.get(repo)
        if repository is None:
            status = 404 if self.known else 401
            self.answer(status, error="RepoNotFound", message="Repository not found")
        elif repository.gated and not self.known:
            self.answer(401, error="GatedRepo", message="Access to it is restricted")
        elif not (oid := repository.find(revision)):
            self.answer(404, error="RevisionNotFound", message="Invalid rev id")
        else:
            return repository, oid
        return None

    def info(self, repo, revision):
        if found := self.commit_of(repo, revision):
            repository, oid = found
            self.answer(body={"id": repo, "sha": oid, "siblings": [
                {"rfilename": name} for name in repository.commits[oid]]})

    def resolve(self, repo, revision, file):
        if not (found := self.commit_of(repo, revision)):
            return
        repository, oid = found
        content = repository.commits[oid].get(file)
        if content is None:
            self.answer(404, error="EntryNotFound", message="Entry not found", X_Repo_Commit=oid)
        elif file.endswith(".safetensors"):
            digest = hashlib.sha256(content).hexdigest()
            self.server.large[digest] = content
            self.answer(302, X_Repo_Commit=oid, X_Linked_Etag=f'"{digest}"', X_Linked_Size=len(
                content), Location=f"{self.server.store}/lfs/{digest}")
        else:
            digest = hashlib.sha1(content).hexdigest()
            self.answer(body=content, X_Repo_Commit=oid, ETag=f'"{digest}"')

    def create(self):
        asked = json.loads(self.body)
        repo = f"{asked['organization']}/{asked['name']}"
        if not self.known:
            return self.answer(401, message="Invalid username or password.")
        if asked["organization"] != OWNER:
            return self.answer(403, message=f"You don't have the rights to create {repo}")
        if repo in self.server.repositories:
            return self.answer(409, message="You already created this model repo")
        self.server.repositories[repo] = Repository()
        self.server.add(asked["name"], {".gitattributes": b""})
        return self.answer(body={"url": f"{self.server.url}/{repo}"})

    def preupload(self, repo, revision):
        if self.commit_of(repo, revision):
            self.answer(body={"files": [
                {"path": file["path"], "shouldIgnore": False, "uploadMode": "lfs" if file[
                    "path"].endswith(".safetensors") else "regular"}
                for file in json.loads(self.body)["files"]]})

    def batch(self, repo):
        self.answer(body={"transfer": "basic", "objects": [
            {**told, "actions": {"upload": {"href": f"{self.server.url}/lfs/{told['oid']}"}}}
            for told in json.loads(self.body)["objects"]]})

    def put(self, digest):
        assert hashlib.sha256(self.body).hexdigest() == digest
        self.server.large[digest] = self.body
        self.answer()

    def large(self, digest):
        self.answer(body=self.server.large[digest], ETag=f'"{digest}"')

    def commit(self, repo, revision):
        files = {}
        for line in map(json.loads, self.body.splitlines()):
            told = line["value"]
            if line["key"] == "file":
                files[told["path"]] = base64.b64decode(told["content"])
            elif line["key"] == "lfsFile":
                files[told["path"]] = self.server.large[told["oid"]]
        oid = self.server.repositories[repo].commit(files, revision)
        self.answer(body={"success": True, "commitOid": oid,
                          "commitUrl": f"{self.server.url}/{repo}/commit/{oid}"})


NAME = r"([^/]+/[^/]+)"
ROUTES = [
    (("GET",), rf"/api/models/{NAME}/revision/(.+)", Handler.info),
    (("GET", "HEAD"), rf"/{NAME}/resolve/([^/]+)/(.+)", Handler.resolve),
    (("GET", "HEAD"), r"/lfs/(\w+)", Handler.large),
    (("PUT",), r"/lfs/(\w+)", Handler.put),
    (("POST",), r"/api/repos/create", Handler.create),
    (("POST",), r"/api/validate-yaml", lambda self: self.answer(
        body={"errors": [], "warnings": []})),
    (("POST",), rf"/api/models/{NAME}/preupload/(.+)", Handler.preupload),
    (("POST",), rf"/{NAME}\.git/info/lfs/objects/batch", Handler.batch),
    (("POST",), rf"/api/models/{NAME}/commit/(.+)", Handler.commit),
]
