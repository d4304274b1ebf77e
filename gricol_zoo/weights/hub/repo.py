"""A requested repository, and the errors for when it cannot be read."""

from __future__ import annotations

import contextlib
import errno
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from gricol_zoo.errors import CacheError, CheckpointError, HubError, NoAccessError, NotOnHubError, UnreachableError
from gricol_zoo.files import escaped

T = TypeVar("T")
ATTEMPTS = 3
WAIT = 0.5  # seconds before the second attempt, doubled for the third, each times a random 0.5 to 1.5
NO_REVISION = re.compile(r"\.\.|//|^/|/$|[\x00-\x20\x7f~^:?*\[\\]")  # what git allows in no ref name
NO_ROOM = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT)
NO_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)


@dataclass(frozen=True)
class Repo:
    """A repository at a revision, and how to ask for it.

    Attributes:
        name: "org/repo".
        revision: branch, tag or commit; "" is the main branch.
        cache_dir, token: of huggingface_hub; None for its own.
        offline: make no request.
        force: download again, even if the file is in the cache.

    Raises:
        NotOnHubError: a revision that no repository can have; the client would make a path of it.
    """

    name: str
    revision: str = ""
    cache_dir: str | None = None
    token: str | None = None
    offline: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if NO_REVISION.search(self.revision):
            raise NotOnHubError(
                f"{self.name} cannot have a revision {self.revision!r:.200}. Give a branch, a tag or a 40-digit commit hash."
            )

    @property
    def asked(self) -> str:
        """The revision, for messages."""
        return self.revision or "main"


@contextlib.contextmanager
def translated_errors(repo: Repo, name: str) -> Iterator[None]:
    """Turn any error of the client into one of this package's errors."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # httpx's, httpx2's, OSError, and hf_xet's RuntimeError and ConnectionError
        raise translate(error, repo, name) from error


def retried(action: Callable[[], T]) -> T:
    """Call ``action``, and retry up to twice after a failure that may be temporary."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return action()
        except UnreachableError:
            time.sleep(WAIT * 2**attempt * random.uniform(0.5, 1.5))
    return action()


def translate(error: Exception, repo: Repo, name: str) -> HubError:
    """Return this package's error for one of the client's."""
    from huggingface_hub import errors as client

    file, status = file_of(repo, name), getattr(getattr(error, "response", None), "status_code", 0)
    reason = escaped((str(error).strip().splitlines() or [type(error).__name__])[0])[:300]  # it may quote the server
    if isinstance(error, client.GatedRepoError):
        return NoAccessError(
            f"{repo.name} is gated. Request access on its Hub page, then log in (`hf auth login`) or give `token`."
        )
    if isinstance(error, client.RepositoryNotFoundError):
        return NotOnHubError(
            f"There is no repository {repo.name!r} on the Hub, or it is private. Check the name. If it is private, log in "
            "(`hf auth login`) or give `token`."
        )
    if isinstance(error, client.RevisionNotFoundError):
        return NotOnHubError(
            f"{repo.name} has no revision {repo.asked!r}. Give a branch, a tag or a full 40-digit commit hash."
        )
    if isinstance(error, client.LocalEntryNotFoundError | client.OfflineModeIsEnabled):
        return UnreachableError(f"{file} is not in the cache, and the Hub cannot be reached ({reason}). {how_to_get_it(repo)}")
    if isinstance(error, client.EntryNotFoundError):
        return NotOnHubError(f"{repo.name} has no {name} at {repo.asked}, so it is not a gricol_zoo model.")
    if isinstance(error, client.HFValidationError):
        return NotOnHubError(f"{repo.name!r} is not a valid Hub repository name: {reason}")
    if status in (401, 403):
        return NoAccessError(f"The Hub denied access to {file} ({reason}). Log in (`hf auth login`), or give another `token`.")
    if isinstance(error, OSError) and error.errno in (*NO_ROOM, *NO_FOLDER):
        return CacheError(
            f"The cache cannot be written while getting {file}: {reason}. "
            "Free disk space, or set HF_HOME (or `cache_dir`) to a writable folder."
        )
    if 400 <= status < 500 and status not in (408, 429):
        return HubError(f"The Hub rejected the request for {file}: {reason}")
    if type(error) is ValueError:  # from the operating system: a path with a null character
        return CacheError(f"The cache cannot be used while getting {file}: {reason}. Set HF_HOME (or `cache_dir`) to a folder.")
    # What is left is the network, a server error, or a body that broke off: all may be temporary.
    return UnreachableError(f"{file} could not be downloaded ({type(error).__name__}: {reason}). {how_to_get_it(repo)}")


def file_of(repo: Repo, name: str) -> str:
    """Return how a message names a file of a repository."""
    return f"{name} of {repo.name} (revision {repo.asked})"


def how_to_get_it(repo: Repo) -> str:
    """Return a sentence on where a file was looked for and how to get it."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE

    return (
        f"Looked in {repo.cache_dir or HF_HUB_CACHE} and at {ENDPOINT}. When online, run `hf download {repo.name}`; "
        "or copy the folder to this machine and use `local-dir:path`."
    )


def library() -> dict[str, Any]:
    """Return the arguments that mark requests as this package's."""
    from gricol_zoo import __version__

    return {"library_name": "gricol-zoo", "library_version": __version__}
