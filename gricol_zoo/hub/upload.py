"""Upload a model, or a folder that holds one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gricol_zoo.hub.repo import Repo, explained, library
from gricol_zoo.lower import LowerBranch

README = "README.md"
CARD = """---
library_name: gricol-zoo
pipeline_tag: image-classification
tags:
- chromosome
- timm
---

{name}, made with gricol_zoo. Research use only: not a medical device.
"""


def push(
    model: LowerBranch,
    repo: str,
    token: str | None = None,
    private: bool | None = None,
    branch: str = "main",
    message: str = "",
    card: str = "",
) -> str:
    """Upload a model to a Hub repository, which is made if need be; return the commit, to pin it by.

    Args:
        model: either form.
        repo: "org/name".
        token: if you are not logged in.
        private: whether a new repository is.
        branch: to upload to; it must exist.
        message: of the commit.
        card: the README; "" leaves the one that is there, or writes a short one.

    Raises:
        HubError: the Hub refuses, or cannot be reached.
    """
    from gricol_zoo.weights import save_model

    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder))
        (Path(folder) / README).write_text(card or CARD.format(name=model.name or "A model"), encoding="utf-8")
        message = message or f"Weights of {model.name or 'a model'} of gricol_zoo"
        return upload(Path(folder), repo, token, private, branch, message, keep_card=not card)


def upload(
    folder: Path,
    repo: str,
    token: str | None = None,
    private: bool | None = None,
    branch: str = "main",
    message: str = "",
    keep_card: bool = False,
) -> str:
    """Upload a folder's files to a Hub repository, which is made if need be; return the commit.

    Args:
        folder: with config.json, model.safetensors and README.md.
        repo: "org/name".
        token: if you are not logged in.
        private: whether a new repository is.
        branch: to upload to; it must exist.
        message: of the commit.
        keep_card: leave a README.md that is there.

    Raises:
        HubError: the Hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token, **library())
    with explained(Repo(repo, branch, token=token), "the upload"):
        api.create_repo(repo, private=private, exist_ok=True)
        kept = [README] if keep_card and api.file_exists(repo, README, revision=branch) else []
        done = api.upload_folder(
            repo_id=repo, folder_path=folder, revision=branch, commit_message=message or "Upload", ignore_patterns=kept
        )
        return str(done.oid)
