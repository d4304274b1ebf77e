"""A small Hub on loopback: the routes that huggingface_hub's client uses, and every way they can go wrong.

One process, repositories in memory. Small files are answered by the Hub (127.0.0.1), large ones and all `.safetensors` by
redirect to its "CDN", the same server by another name (localhost), so another origin to the client.
"""

import base64
import contextlib
import hashlib
import json
import socket
import struct
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_localtesttoken"


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def is_lfs(path):
    return path.endswith(".safetensors")


@dataclass
class Repo:
    """Commits, hash -> {path: bytes}, and the commits that branches and tags point to."""

    commits: dict = field(default_factory=dict)
    refs: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def resolve(self, revision):
        return revision if revision in self.commits else {**self.tags, **self.refs}.get(revision)


@dataclass
class Fault:
    """What goes wrong with the next answers to a method on addresses with a certain ending.

    kind: "500", "503", "429", ... (a status); "reset", "cut", "short", "long", "flip", "stall", "drip", "etag", "size",
    "loop"; a mapping of headers to replace; or a function that is called before an otherwise normal answer.
    """

    kind: object
    method: str = "GET"
    ends: str = ".safetensors"
    times: int = 1


class LocalHub:
    """The server. ``url`` is for HF_ENDPOINT, ``log`` has (method, path) of each request."""

    def __init__(self):
        self.port, self.server = 0, None
        self.forget()
        self.start()
        self.url, self.cdn = f"http://127.0.0.1:{self.port}", f"http://localhost:{self.port}"

    def forget(self):
        """Make it an empty Hub again, and start it if it is down."""
        self.repos, self.blobs, self.log, self.faults, self.leaks = {}, {}, [], [], []
        if self.port and self.server is None:
            self.start()

    def start(self):
        """Listen, on the same port as before."""
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), type("Handler", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Refuse every connection, and close the open ones."""
        self.server.shutdown()
        self.server.server_close()
        self.server = None

    def commit(self, name, files, **settings):
        """Add a commit with these files to the main branch; return its hash."""
        repo = self.repos.setdefault(name, Repo())
        for key, value in settings.items():
            setattr(repo, key, value)
        return self.add(repo, files, "main")

    def add(self, repo, files, branch, gone=()):
        parent = repo.refs.get(branch)
        kept = {path: data for path, data in repo.commits.get(parent, {}).items() if path not in gone}
        files = {**kept, **files}
        content = "".join(f"{path}:{sha256(data)}\n" for path, data in sorted(files.items()))
        commit = hashlib.sha1(f"{parent}\n{content}".encode()).hexdigest()
        repo.commits[commit], repo.refs[branch] = files, commit
        self.blobs.update({sha256(data): data for path, data in files.items() if is_lfs(path)})
        return commit

    def break_next(self, kind, method="GET", ends=".safetensors", times=1):
        """Let the next answers to such requests fail in that way."""
        self.faults.append(Fault(kind, method, ends, times))

    def take_fault(self, method, path):
        for fault in self.faults:
            if fault.times and fault.method == method and path.endswith(fault.ends):
                fault.times -= 1
                return fault.kind
        return None

    def requests(self, method="", ends=""):
        """Return the number of requests of a method to addresses with a certain ending."""
        return sum((not method or method == m) and path.endswith(ends) for m, path in self.log)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    hub: LocalHub

    def log_message(self, *_):
        pass

    def send(self, status, body=b"", headers=(), length=None):
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(body)

    def send_json(self, value, status=200):
        self.send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def refuse(self, status, code, message):
        self.send(status, json.dumps({"error": message}).encode(), {"X-Error-Code": code, "X-Error-Message": message})

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def drip(self, data):
        """Send bytes so slowly that the answer never ends, but often enough that no read timeout is reached."""
        with contextlib.suppress(OSError):
            for byte in data:
                time.sleep(0.1)
                self.wfile.write(bytes([byte]))
        self.close_connection = True

    def is_allowed(self, repo):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}" or not (repo.private or repo.gated)

    def find(self, name):
        """Return a repository, or answer like the Hub that it does not exist."""
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not self.is_allowed(repo)):
            known = "Authorization" in self.headers
            self.refuse(404 if known else 401, "RepoNotFound", "Repository not found")
            return None
        if not self.is_allowed(repo):
            self.refuse(403 if "Authorization" in self.headers else 401, "GatedRepo", "Access to this repository is restricted")
            return None
        return repo

    def handle_any(self):
        path = unquote(urlsplit(self.path).path)
        if self.hub.server is None:
            self.reset()
            return
        self.hub.log.append((self.command, path))
        kind = self.hub.take_fault(self.command, path)
        if callable(kind):
            kind()
            kind = None
        if kind == "reset":
            self.reset()
        elif kind == "drip" and self.command == "HEAD":
            self.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 10_000)
        elif kind == "loop":
            self.send(307, headers={"Location": self.path})
        elif isinstance(kind, str) and kind.isdigit():
            self.body()
            self.send(int(kind), b'{"error": "injected"}', {"Retry-After": "0"})
        elif "/resolve/" in path:
            self.resolve(path, kind)
        elif path.startswith("/cdn/"):
            self.serve(self.hub.blobs[path.split("/")[2]], kind)
        elif path.startswith(("/api/", "/lfs/")) or ".git/info/lfs" in path:
            self.api(path)
        else:
            self.refuse(404, "RepoNotFound", "no such page")

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

    def resolve(self, path, kind):
        name, _, rest = path[1:].partition("/resolve/")
        revision, _, file = rest.partition("/")
        repo = self.find(name)
        if repo is None:
            return
        commit = repo.resolve(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", "Invalid rev id")
            return
        data = repo.commits[commit].get(file)
        if data is None or (isinstance(kind, dict) and kind.get("status") == "404"):
            other = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            self.send(404, headers=other | (kind if isinstance(kind, dict) else {}))
            return
        etag = sha256(data) if is_lfs(file) else git_sha1(data)
        if kind == "etag":
            etag = "0" * len(etag)
        size = len(data) + (7 if kind == "size" else 0)
        headers, other = {"X-Repo-Commit": commit, "ETag": f'"{etag}"'}, kind if isinstance(kind, dict) else {}
        if is_lfs(file):
            where = f"{self.hub.cdn}/cdn/{sha256(data)}/{file}"
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(size), "Location": where}
            self.send(302, headers=headers | other)
        elif "status" in other:
            self.send(int(other["status"]), headers=headers | {"X-Linked-Size": str(size)} | other)
        elif other:
            self.serve(data, None, headers | other, size)
        else:
            self.serve(data, kind, headers, size)

    def serve(self, data, kind, headers=(), size=None):
        """Answer with bytes, or with what a fault makes of them."""
        if self.path.startswith("/cdn/") and "Authorization" in self.headers:
            self.hub.leaks.append(self.path)
        whole = data
        if kind == "short":
            data = data[:-7]
        elif kind == "long":
            data = data + b"1234567"
        elif kind == "flip":
            data = data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
        status, headers = 200, {**dict(headers), "Accept-Ranges": "bytes"}
        span = self.headers.get("Range")
        if span and kind is None and self.command == "GET":
            first = int(span.removeprefix("bytes=").split("-")[0])
            status, data = 206, data[first:]
            headers["Content-Range"] = f"bytes {first}-{len(whole) - 1}/{len(whole)}"
        if kind == "drip":
            self.send(status, b"", headers, length=len(data))
            self.drip(data)
            return
        if kind in ("cut", "stall"):
            self.send(status, data[: len(data) // 2], headers, length=len(data))
            self.wfile.flush()
            if kind == "stall":
                time.sleep(3)
            self.close_connection = True
            return
        self.send(status, data, headers, length=size if self.command == "HEAD" and size is not None else None)

    def api(self, path):
        body = self.body()
        if path == "/api/validate-yaml":
            self.send_json({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self.create(json.loads(body))
        elif path.startswith("/lfs/"):
            self.hub.blobs[path.split("/")[2]] = body
            self.send(200)
        elif path.endswith("/info/lfs/objects/batch"):
            self.batch(json.loads(body))
        elif path.startswith("/api/models/"):
            self.model(path.removeprefix("/api/models/"), body)
        else:
            self.send_json({})

    def create(self, asked):
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.refuse(401, "", "Invalid username or password.")
            return
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else f"me/{asked['name']}"
        url = {"url": f"{self.hub.url}/{name}", "id": name}
        if name in self.hub.repos:
            self.send_json({**url, "error": "You already created this model repo"}, 409)
            return
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        self.hub.commit(name, {".gitattributes": b""}, private=private)
        self.send_json(url)

    def batch(self, asked):
        objects = []
        for wanted in asked["objects"]:
            href = f"{self.hub.url}/lfs/{wanted['oid']}"
            new = wanted["oid"] not in self.hub.blobs
            objects.append({**wanted, **({"actions": {"upload": {"href": href}}} if new else {})})
        self.send_json({"transfer": "basic", "objects": objects})

    def model(self, rest, body):
        parts = rest.split("/")
        name, verb = "/".join(parts[:2]), parts[2] if len(parts) > 2 else ""
        repo = self.find(name)
        if repo is None:
            return
        revision = "/".join(parts[3:]) or "main"
        commit = repo.resolve(revision)
        if verb == "refs":
            self.send_json({"branches": self.named(repo.refs), "tags": self.named(repo.tags), "converts": []})
        elif commit is None:
            self.refuse(404, "RevisionNotFound", "Invalid rev id")
        elif verb == "tag":
            repo.tags[json.loads(body)["tag"]] = commit
            self.send_json({})
        elif verb == "preupload":
            self.preupload(repo.commits[commit], json.loads(body))
        elif verb == "commit":
            self.write(name, repo, revision, body)
        elif verb == "tree":
            self.send_json([self.entry(path, data) for path, data in repo.commits[commit].items()])
        else:
            names = [{"rfilename": path} for path in repo.commits[commit]]
            settings = {"private": repo.private, "gated": repo.gated, "tags": []}
            self.send_json({"_id": name, "id": name, "modelId": name, "sha": commit, "siblings": names, **settings})

    @staticmethod
    def named(refs):
        return [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit} for name, commit in refs.items()]

    @staticmethod
    def entry(path, data):
        entry = {"type": "file", "path": path, "size": len(data), "oid": git_sha1(data)}
        return {**entry, "lfs": {"oid": sha256(data), "size": len(data), "pointerSize": 134}} if is_lfs(path) else entry

    def preupload(self, files, asked):
        answers = []
        for wanted in asked["files"]:
            path, old = wanted["path"], files.get(wanted["path"])
            lfs = is_lfs(path)
            oid = None if old is None else sha256(old) if lfs else git_sha1(old)
            answers.append({"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, "oid": oid})
        self.send_json({"files": answers})

    def write(self, name, repo, branch, body):
        files, gone = {}, []
        for line in body.decode().splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif item["key"] == "deletedFile":
                gone.append(value["path"])
        commit = self.hub.add(repo, files, branch, gone)
        self.send_json({"success": True, "commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "commitOid": commit})


LOCAL_HUB = LocalHub()
ENVIRONMENT = {
    "HF_ENDPOINT": LOCAL_HUB.url,
    "HF_HOME": tempfile.mkdtemp(prefix="hf_home_"),
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_ETAG_TIMEOUT": "1",
    "HF_HUB_DOWNLOAD_TIMEOUT": "1",
    "HF_HUB_OFFLINE": "0",
    "HF_TOKEN": "",
}
"""For os.environ, before huggingface_hub is first imported: tests reach only this Hub, and never the user's own cache."""
