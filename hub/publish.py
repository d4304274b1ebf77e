"""Upload staged weights to the Hub, and pin the commits in the package's table.

    python -m hub.publish --dry-run              # check everything and list what would be uploaded; no request is made
    python -m hub.publish --sign KEY [NAME.TAG]  # also sign the weights (make a key with `gricol-zoo sign --new --key KEY`)
    python -m hub.publish [NAME.TAG ...]         # needs `hf auth login` or HF_TOKEN, with write access

Weights are uploaded only if they load again with the same logits, and if their hash, size, card and licence are as expected.
The upload is then downloaded and compared before its commit is written to gricol_zoo/assets/weights.json; commit that file
afterwards. The organisation is ``HUB_ORG`` in gricol_zoo/models/presets.py.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import torch

import gricol_zoo
from gricol_zoo.files import file_sha256
from gricol_zoo.models.presets import TABLE, read_table
from gricol_zoo.weights.config import CONFIG_FILE
from gricol_zoo.weights.hub.upload import README, upload
from gricol_zoo.weights.pixels import KEY, PIXELS_FILE
from gricol_zoo.weights.signature import sign_folder
from gricol_zoo.weights.source import SIGNATURE_FILE, WEIGHTS_FILE
from hub.card import EVAL_RESULTS, card, eval_results, staged
from hub.keep import keep

HUB = Path(__file__).parent
FILES = {CONFIG_FILE, WEIGHTS_FILE, README}
LICENSE = re.compile(r"\A---\n(?:.*\n)*?license: apache-2\.0\n(?:.*\n)*?---\n")


def logits(model: Any) -> torch.Tensor:
    """Return a model's logits for two fixed random images, (2, classes), from the lower branch."""
    images = torch.randn(2, model.in_chans, *model.spec.image_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return model.eval()(images)


def load(folder: Path | str, deployed: bool = False) -> Any:
    """Return the model in a folder, with its weights."""
    return gricol_zoo.create_model(f"local-dir:{folder}", pretrained=True, deployed=deployed)


def check(name: str) -> list[str]:
    """Return the problems found with staged weights; an empty list if they can be uploaded."""
    folder, wrong = HUB / name, []
    arch, _, tag = name.rpartition(".")
    weights = read_table(TABLE).get(arch, {}).get(tag)
    if weights is None:
        return [f"{TABLE.name} does not list it"]
    files = {file.name for file in folder.iterdir()}
    if files - {PIXELS_FILE, EVAL_RESULTS, SIGNATURE_FILE} != FILES:
        wrong.append(f"its files are {sorted(files)}; expected {sorted(FILES)}, and optionally {PIXELS_FILE}")
        return wrong
    info = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["gricol_zoo"]
    if (PIXELS_FILE in files) != (KEY in info["training"]):
        wrong.append(f"{PIXELS_FILE} exists but the config does not name it, or the config names it and it is missing")
    found = (file_sha256(folder / WEIGHTS_FILE), (folder / WEIGHTS_FILE).stat().st_size)
    for where, said in (("its config", (info["sha256"], info["size"])), (TABLE.name, (weights.sha256, weights.size))):
        if said != found:
            wrong.append(f"{WEIGHTS_FILE} has hash and size {found}, but {where} says {said}")
    ranked = [file.read_text(encoding="utf-8") for file in folder.glob(f"{EVAL_RESULTS}/*")]
    if ranked != [text for text in [eval_results(name)] if text]:
        wrong.append(f"{EVAL_RESULTS} is not what `hub.card` writes from the results")
    text = (folder / README).read_text(encoding="utf-8")
    if text != card(name):
        wrong.append(f"{README} is not what `hub.card` writes from the results")
    if not LICENSE.match(text):
        wrong.append(f"{README} does not begin with a header that says `license: apache-2.0`")
    if not wrong:
        with tempfile.TemporaryDirectory() as again:
            model = load(folder)
            model.save_pretrained(again)
            for other in (load(folder, deployed=True), load(again)):
                if not torch.equal(logits(model), logits(other)):
                    wrong.append("loaded again, it gives different logits")
    return wrong


def pin(name: str, commit: str) -> None:
    """Write the Hub commit of weights into the package's table of weights."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    arch, _, tag = name.rpartition(".")
    table[arch][tag]["revision"] = commit
    TABLE.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def publish(name: str, token: str | None = None, private: bool = False) -> str:
    """Upload one staged folder, download it again, pin its commit if the logits are equal, and return the commit.

    Raises:
        SystemExit: what was downloaded gives different logits.
    """
    arch, _, tag = name.rpartition(".")
    repo = read_table(TABLE)[arch][tag].repo
    message = f"{name}, gricol_zoo {gricol_zoo.__version__}"
    commit = upload(HUB / name, repo, message, token, private or None, "main", keep_card=False)
    with tempfile.TemporaryDirectory() as cache:
        back = gricol_zoo.GridModel.from_pretrained(repo, revision=commit, cache_dir=cache, token=token)
    if not torch.equal(logits(back), logits(load(HUB / name))):
        raise SystemExit(f"{repo} at {commit} gives different logits from hub/{name}: nothing was pinned")
    pin(name, commit)
    keep(name, HUB / name)
    return commit


def main() -> None:
    """Check the staged weights and upload them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="weights to publish; default: all that are staged")
    parser.add_argument("--dry-run", action="store_true", help="check and list the files; upload nothing")
    parser.add_argument("--sign", type=Path, metavar="KEY", help="sign the weights with this Ed25519 key (PEM)")
    parser.add_argument("--private", action="store_true", help="make new repositories private")
    options = parser.parse_args()
    names = options.names or staged()
    for name in names:
        if name not in staged():
            raise SystemExit(f"hub/{name} is not staged. Staged: {', '.join(staged())}")
    wrong = {name: check(name) for name in names}
    if options.sign and not any(wrong.values()):
        for name in names:
            print(f"signed: {sign_folder(HUB / name, options.sign)}")
    for name in names:
        arch, _, tag = name.rpartition(".")
        listed = read_table(TABLE).get(arch, {}).get(tag)
        print(f"{name} -> {listed.repo if listed else '?'}{', already pinned' if listed and listed.revision else ''}")
        for file in sorted(file for file in (HUB / name).rglob("*") if file.is_file()):
            print(f"    {file.relative_to(HUB / name)!s:20} {file.stat().st_size:>10} bytes")
        for reason in wrong[name]:
            print(f"    WRONG: {reason}")
    if any(wrong.values()):
        raise SystemExit("nothing was uploaded")
    if options.dry_run:
        print("dry run: all checks passed; nothing was uploaded")
        return
    for name in names:
        print(f"{name}: {publish(name, private=options.private)}")


if __name__ == "__main__":
    main()
