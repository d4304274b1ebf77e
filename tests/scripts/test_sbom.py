"""The bill of materials lists what is installed, completely and consistently; and the constraints that CI installs by."""

import json
import re
import subprocess
import sys

from helpers import ROOT
from packaging.requirements import Requirement

from hub.sbom import bill, needed, plain

CONSTRAINTS = ROOT / ".ci" / "constraints.txt"


def test_it_lists_what_is_needed():
    made = bill(["serve"])
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.5")
    names = {one["name"] for one in made["components"]}
    assert {"torch", "timm", "numpy", "safetensors", "huggingface-hub", "pillow", "gradio"} <= names
    assert "pytest" not in names
    references = {one["bom-ref"] for one in made["components"]} | {made["metadata"]["component"]["bom-ref"]}
    assert len(references) == len(made["components"]) + 1
    for one in made["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= references
    assert bill(["serve"]) == made
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", made["serialNumber"])


def test_the_script_runs(tmp_path):
    subprocess.run([sys.executable, "-m", "hub.sbom", "--out", tmp_path / "sbom.json"], cwd=ROOT, check=True)
    assert json.loads((tmp_path / "sbom.json").read_text())["components"]


def test_constraints_are_exact_complete_and_without_addresses():
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if line and not line.startswith("#")]
    assert not [line for line in lines if "@" in line or "/" in line or line.startswith("-")]
    pinned = {}
    for line in lines:
        requirement = Requirement(line)
        (only,) = requirement.specifier
        assert only.operator == "==", line
        pinned[plain(requirement.name)] = only.version
    found, _ = needed("gricol_zoo", ["test"])
    assert set(found) - {"gricol-zoo"} <= set(pinned)
