"""``signature.json``: who vouches for weights. It signs the hashes of config.json and of the weights.

A hash in config.json shows that the weights are those that the config was written for; but whoever can replace one file can
replace both. A signature by a key that the user knows cannot be forged. It is read only if one is required (``signed_by``).
Keys and signatures as such are in ``gricol_zoo.weights.ed25519``, which karyotype records use too.
"""

from __future__ import annotations

from pathlib import Path

from gricol_zoo.errors import CheckpointError, NotOnHubError, SignatureError
from gricol_zoo.files import file_sha256
from gricol_zoo.weights.config import CONFIG_FILE
from gricol_zoo.weights.ed25519 import canonical, check, read_signature, sign, write_signature
from gricol_zoo.weights.source import SIGNATURE_FILE, WEIGHTS_FILE, Source, find_in_dir

KIND = "weights"


def sign_folder(folder: Path, key: Path) -> Path:
    """Sign the weights of a folder; return the signature's file.

    Raises:
        CheckpointError: not a folder of weights that belong to their config.
        SignatureError: not a private key.
    """
    source = find_in_dir(folder)
    if file_sha256(folder / WEIGHTS_FILE) != source.info.sha256:
        raise CheckpointError(f"{folder / WEIGHTS_FILE} is not the file that its config describes, so it is not signed.")
    write_signature(folder / SIGNATURE_FILE, sign(KIND, _hashes(source), key))
    return folder / SIGNATURE_FILE


def check_signed(source: Source, public: str | Path) -> str:
    """Return the fingerprint of the key that signed the weights.

    Raises:
        SignatureError: they are not signed by this key.
        HubError: the signature cannot be downloaded.
    """
    if source.config_file is None:
        raise SignatureError(f"There are no weights of {source.name!r} to be signed.")
    try:
        signature = read_signature(source.signature())
    except NotOnHubError as error:
        raise SignatureError(f"{source.ref} has no {SIGNATURE_FILE}, so nobody has signed it.") from error
    try:
        return check(KIND, _hashes(source), signature, Path(public))
    except SignatureError as error:
        raise SignatureError(f"{source.ref or source.config_file.parent} was refused. {error}") from error


def _hashes(source: Source) -> bytes:
    """Return the bytes to sign. The config names the hashes of all other files; the weights' own is compared on loading."""
    assert source.config_file is not None
    return canonical({CONFIG_FILE: file_sha256(source.config_file), WEIGHTS_FILE: source.info.sha256})
