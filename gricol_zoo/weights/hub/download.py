"""Look up, download and verify the files of a repository."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gricol_zoo.errors import CorruptWeightsError, HubError, UnreachableError
from gricol_zoo.files import file_sha256, git_blob_sha1
from gricol_zoo.weights.config import CONFIG_FILE, MAX_BYTES
from gricol_zoo.weights.ed25519 import MAX_KEY
from gricol_zoo.weights.hub.deadline import seconds_for, within
from gricol_zoo.weights.hub.guard import COMMIT, ETAG, check_header, checked_headers
from gricol_zoo.weights.hub.repo import Repo, file_of, how_to_get_it, library, retried, translated_errors
from gricol_zoo.weights.source import SIGNATURE_FILE, Source, read_source


@dataclass(frozen=True)
class RemoteFile:
    """What the Hub says about a file before sending it: its commit, its size in bytes, and its hash (ETag)."""

    commit: str
    size: int
    etag: str


def find_on_hub(
    repo: str,
    revision: str = "",
    cache_dir: str | None = None,
    token: str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Source:
    """Get the config of a Hub repository. Its other files, of the same commit, are fetched when the source is opened.

    A pinned revision (a 40-digit commit) that is in the cache is taken from there without a request. For a branch or tag, the
    Hub is asked for its commit; if the Hub cannot be reached, the commit in the cache is taken, with a warning.

    Args:
        repo: "org/name".
        revision: branch, tag or commit.
        cache_dir: cache folder of huggingface_hub; None for its default.
        token: for a private or gated repository.
        local_files_only: make no request, as with HF_HUB_OFFLINE=1.
        force_download: do not use cached files.

    Raises:
        HubError: see its subclasses; the message names the file and says what to do.
        ConfigError: not a model of this zoo.
    """
    from huggingface_hub.constants import is_offline_mode

    asked = Repo(repo, revision, cache_dir, token, local_files_only or is_offline_mode(), force_download)
    config = find_config(asked)
    commit = config.parent.name  # the cache names a commit's folder after it
    pinned = Repo(repo, commit, cache_dir, token, asked.offline, force_download)

    def beside(name: str, size: int, sha256: str) -> Path:
        return fetch(pinned, name, size, size, sha256)

    return read_source(config, beside, lambda: fetch(pinned, SIGNATURE_FILE, MAX_KEY), ref=f"{repo}@{commit}")


def find_config(repo: Repo) -> Path:
    """Return a repository's config.json, of any library, from the cache or downloaded; its folder's name is the commit.

    Raises:
        HubError: it cannot be downloaded and is not in the cache.
        CorruptWeightsError: it has other bytes than the Hub announced.
    """
    return fetch(repo, CONFIG_FILE, MAX_BYTES)


def fetch(repo: Repo, name: str, maximum: int, size: int | None = None, sha256: str = "") -> Path:
    """Return a file of a repository, from the cache or downloaded, with the bytes that it must have.

    Args:
        repo: the repository.
        name: name of the file.
        maximum: largest size that it may have, in bytes.
        size: size that it must have in bytes, if known.
        sha256: SHA-256 that it must have, if known; else the hash that the Hub gives for it is used.

    Raises:
        HubError: it cannot be downloaded and is not in the cache.
        CorruptWeightsError: it has other bytes than announced, even after a second download.
    """
    cached = None if repo.force else from_cache(repo, name)
    if cached and (repo.offline or COMMIT.fullmatch(repo.revision)):
        if has_hash(cached, sha256):
            return cached
        if repo.offline:
            raise CorruptWeightsError(
                f"{cached} in the cache is damaged: its hash differs from that of {name} in {repo.name}. "
                "Load it again while online to download it anew."
            )
    if repo.offline:
        raise UnreachableError(f"{file_of(repo, name)} is not in the cache, and offline mode is on. {how_to_get_it(repo)}")

    def online() -> Path:
        remote = retried(lambda: look_up(repo, name))
        _check_size(repo, name, remote, maximum, size, sha256)
        if cached and cached.parent.name == remote.commit and has_hash(cached, sha256):
            return cached
        return download(repo, name, remote, sha256)

    seconds = seconds_for(maximum)
    try:
        try:
            return within(seconds, online)
        except TimeoutError as error:
            raise UnreachableError(
                f"{file_of(repo, name)} did not come within {seconds:.0f} seconds, so the download was stopped. "
                f"{how_to_get_it(repo)}"
            ) from error
    except HubError as error:
        if cached is None or not has_hash(cached, sha256):
            raise
        warnings.warn(f"{error} Using commit {cached.parent.name[:12]} from the cache.", stacklevel=2)
        return cached


def look_up(repo: Repo, name: str) -> RemoteFile:
    """Ask the Hub for a file's commit, size and hash, without downloading it."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    with translated_errors(repo, name), checked_headers():
        url = hf_hub_url(repo.name, name, revision=repo.revision or None)
        found = get_hf_file_metadata(url, token=repo.token, **library())
    if not found.commit_hash or not found.etag or found.size is None:
        raise HubError(
            f"The answer for {file_of(repo, name)} has no commit, hash or size; it may come from a proxy. Check HF_ENDPOINT."
        )
    check_header(found.commit_hash, COMMIT, file_of(repo, name))
    check_header(found.etag, ETAG, file_of(repo, name))
    return RemoteFile(found.commit_hash, found.size, found.etag)


def download(repo: Repo, name: str, remote: RemoteFile, sha256: str = "") -> Path:
    """Download a file (or take it from the cache) and compare its hash; download it again if that differs.

    Raises:
        CorruptWeightsError: it differs twice.
    """
    from huggingface_hub import hf_hub_download

    def get(force: bool) -> Path:
        with translated_errors(repo, name), checked_headers():
            return Path(
                hf_hub_download(
                    repo.name,
                    name,
                    revision=repo.revision or None,
                    cache_dir=repo.cache_dir,
                    token=repo.token,
                    force_download=force,
                    **library(),
                )
            )

    for force in (repo.force, True):
        file = retried(partial(get, force))
        # If a branch moved in between, the file is of another commit than the one looked up: its own name gives its hash.
        expected = sha256 or (remote.etag if file.parent.name == remote.commit else "")
        # The blob's name counts too: offline it is the only known hash of a config.
        if has_hash(file, expected) and has_hash(file) and file.stat().st_size <= max(remote.size, MAX_BYTES):
            return file
        with contextlib.suppress(OSError):
            file.unlink()  # the client would keep it, and even link to it again after a new download
    raise CorruptWeightsError(
        f"{file_of(repo, name)} did not match its hash in two downloads. Try again later or over another network; "
        "if this persists, the file on the Hub is not the one its config describes. Nothing was kept."
    )


def has_hash(file: Path, expected: str = "") -> bool:
    """Return whether a cached file has a hash: a SHA-256, or git's SHA-1 for small files.

    Without ``expected``, the hash is the name of the blob that the cache's link points to: the one that the Hub gave for the
    download. True if no hash is known.
    """
    blob = Path(os.readlink(file)).name if file.is_symlink() else ""
    for known in (expected, blob):
        if re.fullmatch("[0-9a-f]{64}", known):
            return file_sha256(file) == known
        if COMMIT.fullmatch(known):
            return git_blob_sha1(file) == known
    return True


def from_cache(repo: Repo, name: str) -> Path | None:
    """Return a file from the cache, None if it is not there; no request is made."""
    from huggingface_hub import try_to_load_from_cache

    with translated_errors(repo, name):
        found = try_to_load_from_cache(repo.name, name, cache_dir=repo.cache_dir, revision=repo.revision or None)
    return Path(found) if isinstance(found, str) else None


def _check_size(repo: Repo, name: str, remote: RemoteFile, maximum: int, size: int | None, sha256: str) -> None:
    if remote.size > maximum or (size is not None and remote.size != size):
        expected = f"{size}" if size is not None else f"at most {maximum}"
        raise CorruptWeightsError(f"{file_of(repo, name)} has {remote.size} bytes; expected {expected}. It was not downloaded.")
    if sha256 and re.fullmatch("[0-9a-f]{64}", remote.etag) and remote.etag != sha256:
        raise CorruptWeightsError(
            f"{file_of(repo, name)} is not the file that its config describes "
            f"(SHA-256 {remote.etag[:12]}, expected {sha256[:12]}). It was not downloaded."
        )
