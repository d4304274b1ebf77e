"""Upload a folder that holds a model."""

from __future__ import annotations

from pathlib import Path

from gricol_zoo.errors import UnreachableError
from gricol_zoo.weights.hub.repo import Repo, library, retried, translated_errors

README = "README.md"


def upload(folder: Path, repo: str, message: str, token: str | None, private: bool | None, branch: str, keep_card: bool) -> str:
    """Upload a folder's files to a Hub repository, which is created if needed; return the commit, to pin it by.

    A failed transfer is retried, which is safe: files that are there already are not uploaded again.

    Args:
        folder: with config.json, model.safetensors and README.md.
        repo: "org/name".
        message: message of the commit.
        token: None uses the account that is logged in.
        private: whether a new repository is private.
        branch: branch to upload to; it must exist.
        keep_card: keep a README.md that is there.

    Raises:
        HubError: the Hub rejects the upload, or cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token, **library())

    def go() -> str:
        with translated_errors(Repo(repo, branch), "the upload"):
            api.create_repo(repo, private=private, exist_ok=True)
            kept = [README] if keep_card and api.file_exists(repo, README, revision=branch) else []
            done = api.upload_folder(
                repo_id=repo, folder_path=folder, revision=branch, commit_message=message, ignore_patterns=kept
            )
            return str(done.oid)

    try:
        return retried(go)
    except UnreachableError as error:
        reason = str(error.__cause__).strip().splitlines()[0]
        raise UnreachableError(f"Nothing was uploaded to {repo} (revision {branch}): {reason}. Try again later.") from error
