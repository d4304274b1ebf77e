"""How model names and backbone names are parsed; the only place that does so.

``arch[.tag]`` | ``hf-hub:org/repo[@revision]`` | ``local-dir:path`` for models; ours or ``timm/<name>`` for backbones.
Everywhere else a name is opaque data.
"""

from __future__ import annotations

from dataclasses import dataclass

from gricol_zoo.errors import GricolZooError

TIMM_PREFIX = "timm/"


@dataclass(frozen=True)
class ModelName:
    """A parsed model name; exactly one of ``arch``, ``repo`` and ``path`` is set."""

    arch: str = ""
    tag: str = ""
    repo: str = ""
    revision: str = ""
    path: str = ""


def parse_model_name(name: str) -> ModelName:
    """Read a model name.

    Raises:
        GricolZooError: the name is empty, or looks like a Hub repository or a path but has no prefix.
    """
    scheme, colon, rest = name.partition(":")
    if colon and scheme == "hf-hub":
        repo, _, revision = rest.partition("@")
        if repo.count("/") != 1 or not all(repo.split("/")):
            raise GricolZooError(f"Expected `hf-hub:org/repo[@revision]`, but got {name!r}.")
        return ModelName(repo=repo, revision=revision)
    if colon and scheme == "local-dir":
        if not rest:
            raise GricolZooError("Expected `local-dir:path`, but the path is empty.")
        return ModelName(path=rest)
    if not name or set(name) & set("/\\:"):
        raise GricolZooError(
            f"Expected a model name like `gricol_r50half_n3` or `gricol_r50half_n3.qband`, but got {name!r}. "
            f"For a Hub repository use `hf-hub:{name}`, for a folder `local-dir:{name}`."
        )
    arch, _, tag = name.partition(".")
    return ModelName(arch=arch, tag=tag)


def parse_backbone_name(name: str) -> tuple[bool, str]:
    """Return (is it timm's, name without the prefix)."""
    if name.startswith(TIMM_PREFIX):
        return True, name[len(TIMM_PREFIX) :]
    return False, name
