"""Create models: by name (``create_model``) and from a spec (``build``)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import nn

from gricol_zoo.errors import CheckpointError, GricolZooError
from gricol_zoo.models import baselines  # noqa: F401  (registers)
from gricol_zoo.models.backbones import build_backbone
from gricol_zoo.models.contracts import Backbone, OwnObjective
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.grid import TwoBranchModel
from gricol_zoo.models.heads import build_head
from gricol_zoo.models.memory import LITTLE, SLACK, activation_bytes, prepared, takes_the_same
from gricol_zoo.models.names import parse_model_name
from gricol_zoo.models.overview import build_overview
from gricol_zoo.models.presets import MODELS
from gricol_zoo.models.pretrained_cfg import live_config
from gricol_zoo.models.splitters import build_splitter
from gricol_zoo.spec import ModelSpec
from gricol_zoo.weights.card import card_of
from gricol_zoo.weights.hub import find_on_hub, upload
from gricol_zoo.weights.hub.upload import README
from gricol_zoo.weights.resolve import find_named
from gricol_zoo.weights.signature import check_signed
from gricol_zoo.weights.source import Source, find_file, find_in_dir
from gricol_zoo.weights.tensors import check_against, load_weights, save_model

CONSENT = "GRICOL_ZOO_ALLOW_LARGE"
LARGEST = "gricol_r50half_n4"  # the memory limit for a config of an unregistered name


class GridModel(TwoBranchModel):
    """The public two-branch model, which can be saved to and loaded from folders and the Hub. Made by ``create_model``."""

    @classmethod
    def from_pretrained(
        cls,
        repo_or_dir: str,
        revision: str | None = None,
        cache_dir: str | None = None,
        token: str | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        allow_large: bool = False,
        signed_by: str | Path | None = None,
        **changes: Any,
    ) -> GridModel:
        """Load a model from a Hub repository ("org/repo") or a folder written by ``save_pretrained``.

        Args:
            repo_or_dir: the repository or folder; an existing folder of that name takes precedence.
            revision: branch, tag or commit.
            cache_dir: cache folder of huggingface_hub; None for its default.
            token: for a private repository.
            local_files_only: make no network request.
            force_download: do not use cached files.
            allow_large: accept a config whose images take far more memory than those of the registered model.
            signed_by: file of the public key that must have signed the weights (``gricol_zoo.weights.signature``).
            changes: fields of the spec to change, such as ``num_classes``.

        Raises:
            GricolZooError: not found, altered, or not a model of this zoo.
        """
        if Path(repo_or_dir).is_dir():
            source = find_in_dir(Path(repo_or_dir))
        else:
            source = find_on_hub(repo_or_dir, revision or "", cache_dir, token, local_files_only, force_download)
        return create_from(source, True, False, allow_large, signed_by, **changes)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``model.safetensors`` (fp16) and ``config.json``, which ``local-dir:folder`` loads again."""
        save_model(self, Path(folder))

    def push_to_hub(
        self, repo: str, token: str | None = None, private: bool | None = None, branch: str = "main", commit_message: str = ""
    ) -> str:
        """Upload weights, config and a card (if there is none) to "org/repo"; return the commit, to pin it by.

        Args:
            repo: created if it does not exist.
            token: needed if you are not logged in.
            private: whether a new repository is private.
            branch: branch to upload to; it must exist.
            commit_message: message of the commit; "" for one that names the model.

        Raises:
            HubError: the Hub refuses, or cannot be reached.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            info = find_in_dir(folder).info
            (Path(folder) / README).write_text(card_of(self, repo, info), encoding="utf-8")
            message = commit_message or f"Weights of {self.name or 'a model'} of gricol_zoo"
            return upload(Path(folder), repo, message, token, private, branch, keep_card=True)


from_pretrained = GridModel.from_pretrained


@overload
def create_model(
    name: str,
    pretrained: bool = ...,
    deployed: Literal[False] = ...,
    *,
    allow_large: bool = ...,
    signed_by: str | Path | None = ...,
    **changes: Any,
) -> GridModel: ...
@overload
def create_model(
    name: str,
    pretrained: bool = ...,
    *,
    deployed: Literal[True],
    allow_large: bool = ...,
    signed_by: str | Path | None = ...,
    **changes: Any,
) -> DeployedModel: ...
@overload
def create_model(
    name: str,
    pretrained: bool = ...,
    deployed: bool = ...,
    *,
    allow_large: bool = ...,
    signed_by: str | Path | None = ...,
    **changes: Any,
) -> GridModel | DeployedModel: ...


def create_model(
    name: str,
    pretrained: bool = False,
    deployed: bool = False,
    *,
    checkpoint_path: str | Path | None = None,
    cache_dir: str | Path | None = None,
    allow_large: bool = False,
    signed_by: str | Path | None = None,
    **changes: Any,
) -> GridModel | DeployedModel:
    """Create a model by name.

    Args:
        name: ``arch[.tag]``, ``hf-hub:org/repo[@revision]`` or ``local-dir:path``.
        pretrained: load its weights (of the tag, or of the model's default tag).
        deployed: return the lower branch alone, with timm's model contract, instead of the full form.
        checkpoint_path: load these weights of the model instead: a ``model.safetensors`` with its ``config.json`` beside it, or
            their folder. The model is then built as the config says.
        cache_dir: cache folder of huggingface_hub; None for its default.
        allow_large: accept a folder's or repository's config whose images take far more memory than those of the
            registered model of its name.
        signed_by: file of the public key that must have signed the weights (``gricol_zoo.weights.signature``).
        changes: any field of ``ModelSpec``: parts (``backbone="timm/resnet18"``), sizes, ``num_classes``, ``in_chans``; None
            leaves a field unchanged.
            With weights, another ``num_classes`` starts new classifiers, another ``in_chans`` adapts the first layers, and
            another ``polarity`` adapts the lower branch's classifier (adding polarity keeps the logits; polarity itself must
            still be trained). ``model.load_report`` says what was done with each tensor.

    Returns:
        The model in evaluation mode when pretrained, else in training mode.

    Raises:
        GricolZooError: an unknown name, tag, part or field, or weights that do not fit.
    """
    parsed, cache = parse_model_name(name), str(cache_dir) if cache_dir else None
    if parsed.path:
        source = find_in_dir(parsed.path)
    elif parsed.repo:
        source = find_on_hub(parsed.repo, parsed.revision, cache)
    else:
        source = find_named(parsed.arch, parsed.tag, pretrained and not checkpoint_path, cache)
    if checkpoint_path:
        source = find_file(source.name, checkpoint_path)
    return create_from(source, pretrained or bool(checkpoint_path), deployed, allow_large, signed_by, **changes)


def model_entrypoint(name: str) -> Callable[..., GridModel | DeployedModel]:
    """Return the function that creates the model of a name: ``create_model`` without its first argument.

    Raises:
        GricolZooError: an unknown name or tag.
    """
    parsed = parse_model_name(name)
    if parsed.arch:
        find_named(parsed.arch, parsed.tag)
    return partial(create_model, name)


@overload
def create_from(
    source: Source,
    pretrained: bool,
    deployed: Literal[False] = ...,
    allow_large: bool = ...,
    signed_by: str | Path | None = ...,
    **changes: Any,
) -> GridModel: ...
@overload
def create_from(
    source: Source,
    pretrained: bool,
    deployed: bool,
    allow_large: bool = ...,
    signed_by: str | Path | None = ...,
    **changes: Any,
) -> GridModel | DeployedModel: ...


def create_from(
    source: Source,
    pretrained: bool,
    deployed: bool = False,
    allow_large: bool = False,
    signed_by: str | Path | None = None,
    **changes: Any,
) -> GridModel | DeployedModel:
    """Build a source's model with changes, and load its weights if ``pretrained``; a change to None is ignored, as in timm."""
    spec = source.spec.replace(**{field: value for field, value in changes.items() if value is not None})
    if signed_by is not None:
        check_signed(source, signed_by)
    check_source(source, spec, pretrained, allow_large)
    model = build_deployed(spec) if deployed else build(spec)
    model.name = source.name
    model.pretrained_cfg = model.default_cfg = live_config(spec, source.name, source.tag or source.info.tag)
    if pretrained:
        load_weights(model, source)
        model.eval()
    return model


def check_source(source: Source, spec: ModelSpec, pretrained: bool, allow_large: bool = False) -> None:
    """Check third-party weights against their model, and its memory use against that of the registered model.

    No memory is allocated for the check.

    Args:
        source: where the weights are.
        spec: spec of the model to build: the source's with the caller's changes.
        pretrained: whether the weights are wanted.
        allow_large: the caller's consent to a model whose activations take far more than those of the registered model.

    Raises:
        CheckpointError: the weights do not belong to such a model, or the model takes too much memory.
    """
    if not source.open or source.pinned:
        return
    try:
        with torch.device("meta"):
            outline = build(source.spec).state_dict() if pretrained else {}
            if not (allow_large or os.environ.get(CONSENT) == "1"):
                _check_memory(source, spec)
    except GricolZooError:
        raise
    except Exception as error:  # a third party's part that computes with its tensors while it is built
        if not source.ref:
            return  # a folder of the user's own
        repo = source.ref.partition("@")[0]
        raise CheckpointError(
            f"{source.ref} has a part that cannot be built on torch's meta device ({error}), so its size cannot be checked "
            f"before loading. If you trust it: `hf download {repo} --local-dir DIR`, then `local-dir:DIR`."
        ) from error
    if pretrained:
        check_against(outline, source)


def _check_memory(source: Source, spec: ModelSpec) -> None:
    known = MODELS.get(source.name if source.name in MODELS else LARGEST)
    if not spec.num_classes:  # counting runs `full`, which needs classes
        spec = spec.replace(num_classes=1)
    if takes_the_same(spec, known):
        return
    slack = SLACK if source.name in MODELS else 1
    needed = activation_bytes(build(spec)) / 2**30
    maximum = max(LITTLE, slack * activation_bytes(build(known))) / 2**30
    pixels, max_pixels = prepared(spec) / 1e6, SLACK * prepared(known) / 1e6
    if needed > maximum or pixels > max_pixels:
        raise CheckpointError(
            f"By the config of {source.ref or source.name}, each image has {pixels:.3g} megapixels and would take "
            f"{needed:.3g} GiB; expected at most {max_pixels:.3g} and {maximum:.3g}. If you trust it, pass `allow_large=True` "
            f"(for the commands, set {CONSENT}=1)."
        )


def build(spec: ModelSpec) -> GridModel:
    """Build the full form of a spec, with random weights.

    Raises:
        GricolZooError: parts that do not fit together, or polarity with a backbone that has its own objective.
    """
    overview, backbone = _build_lower_parts(spec)
    splitter = build_splitter(spec)
    head = build_head(spec, backbone.num_features, splitter.num_cells)
    return GridModel(spec, overview, backbone, splitter, head)


def build_deployed(
    spec: ModelSpec, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> DeployedModel:
    """Build the deployed form of a spec, with random weights, on a device and in a dtype."""
    with torch.device(device or torch.get_default_device()):
        model = DeployedModel(spec, *_build_lower_parts(spec))
    return model if dtype is None else model.to(dtype)


def _build_lower_parts(spec: ModelSpec) -> tuple[nn.Module, Backbone]:
    overview, seen = build_overview(spec.overview, spec.in_chans, spec.image_size, spec.cell_size)
    backbone = build_backbone(spec.backbone, spec.in_chans, seen, spec.num_classes, spec.backbone_options)
    if spec.polarity and isinstance(backbone, OwnObjective):
        raise GricolZooError(
            f"The backbone {spec.backbone!r} has its own objective, which does not support polarity. Leave it out."
        )
    return overview, backbone
