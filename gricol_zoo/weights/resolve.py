"""From a name to its weights: which names have weights, and where these are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from gricol_zoo.errors import CheckpointError, CorruptWeightsError, GricolZooError, NoWeightsError
from gricol_zoo.models.names import parse_model_name
from gricol_zoo.models.presets import MODELS, WEIGHTS, Weights
from gricol_zoo.weights.checkout import find_in_checkout
from gricol_zoo.weights.hub import find_on_hub
from gricol_zoo.weights.source import WEIGHTS_FILE, Source, find_in_dir

ASSETS = Path(__file__).parent.parent / "assets"


def packaged_file(name: str, tag: str) -> Path:
    """Return the path of a tag's weights in the package; the file exists only if they are packaged."""
    return ASSETS / f"{name}.{tag}" / WEIGHTS_FILE


def find_in_table(name: str, tag: str, weights: Weights, cache_dir: str | None = None) -> Source:
    """Find released weights: in the package, else in a clone, else in the Hub's cache, else on the Hub at the pinned commit.

    Raises:
        CheckpointError: in none of these, and not uploaded yet, or not the weights that this package pins.
        HubError: not in the cache, and the Hub does not deliver them.
    """
    staged = None if weights.packaged else find_in_checkout(f"{name}.{tag}", weights)
    if weights.packaged:
        source = find_in_dir(packaged_file(name, tag).parent)
    elif staged:
        source = find_in_dir(staged)
    elif weights.revision:
        source = find_on_hub(weights.repo, weights.revision, cache_dir)
    else:
        raise CheckpointError(
            f"Expected the weights {name}.{tag} in the package, in the clone that it was installed from, or on the Hub, but "
            "they are not here: not packaged, no clone has them unchanged, and they have not been uploaded yet. "
            f"Load them from a clone of the repository: `local-dir:CLONE/hub/{name}.{tag}`."
        )
    found = source.info
    if (found.sha256, found.size) != (weights.sha256, weights.size):
        raise CorruptWeightsError(
            f"The config of {name}.{tag} describes other weights (SHA-256 {found.sha256[:12]}, {found.size} bytes) than this "
            f"version of the package knows ({weights.sha256[:12]}, {weights.size} bytes). Upgrade or reinstall gricol-zoo."
        )
    return dataclasses.replace(source, name=name, tag=tag, pinned=staged is None)  # a clone's config is not verified


def place_of(name: str) -> str:
    """Return where the weights of ``name.tag`` are: "package", "checkout FOLDER", "Hub", or "not here, not yet uploaded".

    ``create_model`` takes them from the first of these; only "Hub" needs a network, and only once.
    """
    arch, _, tag = name.rpartition(".")
    weights = WEIGHTS[arch][tag]
    if weights.packaged:
        return "package"
    if staged := find_in_checkout(name, weights):
        return f"checkout {staged}"
    return "Hub" if weights.revision else "not here, not yet uploaded"


def find_weights(name: str) -> Source:
    """Return the weights that a name, or a folder, stands for.

    Raises:
        GricolZooError: there are no weights.
    """
    if Path(name).is_dir():
        return find_in_dir(name)
    parsed = parse_model_name(name)
    if parsed.path:
        return find_in_dir(parsed.path)
    if parsed.repo:
        return find_on_hub(parsed.repo, parsed.revision)
    return find_named(parsed.arch, parsed.tag, pretrained=True)


def find_named(arch: str, tag: str = "", pretrained: bool = False, cache_dir: str | None = None) -> Source:
    """Return the spec of a named model and, if ``pretrained``, where its weights are.

    Raises:
        GricolZooError: an unknown model or tag, or no weights.
    """
    arch = MODELS.resolve(arch)
    spec = MODELS.get(arch)
    tags = WEIGHTS.get(arch, {})
    if tag and tag not in tags:
        known = f"Its tags: {', '.join(tags)}." if tags else "It has no released weights yet."
        raise GricolZooError(f"Unknown tag {tag!r} of the model {arch!r}. {known}")
    if not pretrained:
        return Source(arch, spec)
    if not tags:
        ready = ", ".join(list_pretrained()) or "none"
        raise NoWeightsError(f"No pretrained weights exist for {arch!r}. Models with weights: {ready}.")
    tag = tag or next(iter(tags))
    return find_in_table(arch, tag, tags[tag], cache_dir)


def list_models(
    filter: str | Sequence[str] = "",
    module: str | Sequence[str] = "",
    pretrained: bool = False,
    exclude_filters: str | Sequence[str] = "",
) -> list[str]:
    """Return the model names that match, sorted. The arguments are those of timm's ``list_models``.

    Args:
        filter: a shell pattern such as ``gricol_*``, or several, one of which must match; "" matches all. With ``pretrained``
            it may match the name or ``name.tag``.
        module: only models with this backbone (``r18half``), or one of these.
        pretrained: only models with released weights, one ``name.tag`` per set of weights.
        exclude_filters: patterns of names that are left out.

    Raises:
        GricolZooError: a pattern that is not a string.
    """
    wanted, backbones, unwanted = (
        _patterns(*one) for one in (("filter", filter), ("module", module), ("exclude_filters", exclude_filters))
    )
    found = []
    for name in sorted(WEIGHTS) if pretrained else MODELS:
        if backbones and not _matches((MODELS.get(name).backbone,), backbones):
            continue
        for full in [f"{name}.{tag}" for tag in WEIGHTS[name]] if pretrained else [name]:
            if (not wanted or _matches((name, full), wanted)) and not _matches((name, full), unwanted):
                found.append(full)
    return found


def list_pretrained(filter: str | Sequence[str] = "", exclude_filters: str | Sequence[str] = "") -> list[str]:
    """Return the names of released weights, ``name.tag``; the arguments are those of ``list_models``."""
    return list_models(filter, pretrained=True, exclude_filters=exclude_filters)


def _patterns(argument: str, value: str | Sequence[str]) -> list[str]:
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, Sequence) or not all(isinstance(pattern, str) for pattern in patterns):
        raise GricolZooError(f"Expected `{argument}` to be a pattern or a list of patterns, but got {value!r}.")
    return [pattern for pattern in patterns if pattern]


def _matches(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def is_model(name: str) -> bool:
    """Return whether ``name`` (without a tag, or with a known one) can be created."""
    try:
        parsed = parse_model_name(name)
    except GricolZooError:
        return False
    return parsed.arch in MODELS and (not parsed.tag or parsed.tag in WEIGHTS.get(parsed.arch, {}))
