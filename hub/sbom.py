"""Write a CycloneDX software bill of materials (SBOM) of the installed package.

    python -m hub.sbom --out sbom.json

It lists the package and all its installed dependencies, including those of the extras given by --extra. It only reads the
metadata of installed distributions and makes no network request.
"""

from __future__ import annotations

import argparse
import json
import re
import uuid
from collections.abc import Iterable
from email.message import Message
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, cast

from packaging.requirements import Requirement

ROOT = "gricol_zoo"


def plain(name: str) -> str:
    """Return a project's name in the normalised form that package indexes compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(root: str, extras: Iterable[str] = ()) -> tuple[dict[str, Distribution], dict[str, set[str]]]:
    """Return the installed distributions that a project depends on, itself included, and the dependencies of each.

    Both mappings have normalised names as keys. A dependency that is not installed is left out.
    """
    found: dict[str, Distribution] = {}
    arrows: dict[str, set[str]] = {}
    waiting, seen = [(root, frozenset(extras))], set()
    while waiting:
        name, wanted = waiting.pop()
        if (plain(name), wanted) in seen:
            continue
        seen.add((plain(name), wanted))
        try:
            found[plain(name)] = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform, or part of an extra that is not installed
        own = arrows.setdefault(plain(name), set())
        for line in found[plain(name)].requires or []:
            requirement = Requirement(line)
            if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                continue
            own.add(plain(requirement.name))
            waiting.append((requirement.name, frozenset(requirement.extras)))
    return found, {name: {other for other in others if other in found} for name, others in arrows.items()}


def component(one: Distribution) -> dict[str, Any]:
    """Return a distribution as a CycloneDX component."""
    about = cast(Message, one.metadata)  # as importlib.metadata says it is; its declared type lacks `get`
    name, licence = plain(about["Name"]), about.get("License-Expression") or about.get("License") or ""
    purl = f"pkg:pypi/{name}@{one.version}"
    made: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": one.version, "purl": purl}
    licence = licence.strip().splitlines()[0][:200] if licence.strip() else ""
    return made | ({"licenses": [{"license": {"name": licence}}]} if licence else {})


def bill(extras: Iterable[str] = ()) -> dict[str, Any]:
    """Return the bill of materials as a JSON-able dictionary (CycloneDX 1.5)."""
    found, arrows = needed(ROOT, extras)
    components = {name: component(one) for name, one in sorted(found.items())}
    own = components.pop(plain(ROOT))
    reference = {name: made["bom-ref"] for name, made in [*components.items(), (plain(ROOT), own)]}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(sorted(reference.values())))}",
        "version": 1,
        "metadata": {"component": {**own, "type": "application"}},
        "components": list(components.values()),
        "dependencies": [
            {"ref": reference[name], "dependsOn": sorted(reference[other] for other in others)}
            for name, others in sorted(arrows.items())
        ],
    }


def main() -> None:
    """Write the bill of materials to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME", help="an extra of the package; repeatable")
    options = parser.parse_args()
    options.out.write_text(json.dumps(bill(options.extra), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
