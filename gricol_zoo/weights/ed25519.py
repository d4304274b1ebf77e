"""Signatures with an Ed25519 key: who vouches for a file, and that it is still what they vouched for.

A hash shows that bytes are what a config or a record says; but whoever writes both can forge both. A signature needs the
private key. A signature is a small JSON file beside the file that it signs. The keys are PEM files, like those of ``openssl
genpkey -algorithm ed25519``. Needs the extra ``sign``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gricol_zoo.errors import GricolZooError, SignatureError
from gricol_zoo.files import read_json, write_json

MAX_KEY = 1 << 14  # bytes of a key file, or of a signature
ALGORITHM = "ed25519"


def canonical(data: Mapping[str, Any]) -> bytes:
    """Return data as bytes that do not depend on the layout of a JSON file."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def make_keys(private: Path) -> Path:
    """Write a new private key, which only its owner may read, and its public key, ``.pub``, beside it; return the public file.

    Raises:
        FileExistsError: there is a key already.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)
    public = private.with_name(f"{private.name}.pub")
    public.write_bytes(key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    return public


def sign(what: str, data: bytes, private: Path) -> dict[str, str]:
    """Return the signature of data.

    Args:
        what: the kind of data, such as "karyotype"; a signature of one kind is not valid for another.
        data: any bytes.
        private: file of the private key.

    Raises:
        SignatureError: not an unencrypted Ed25519 private key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(private), None)
    except (ValueError, TypeError) as error:
        raise SignatureError(f"Expected {private} to be an unencrypted private key in PEM form: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(f"Expected {private} to be an Ed25519 key, but got a {type(key).__name__}.")
    public = key.public_key().public_bytes_raw()
    return {"algorithm": ALGORITHM, "key": fingerprint(public), "signature": key.sign(_message(what, data)).hex()}


def check(what: str, data: bytes, signature: Any, public: Path) -> str:
    """Check a signature and return the fingerprint of its key.

    Raises:
        SignatureError: it is not this key's signature of this data.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_read(public))
    except (ValueError, TypeError) as error:
        raise SignatureError(f"Expected {public} to be a public key in PEM form: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(f"Expected {public} to be an Ed25519 key, but got a {type(key).__name__}.")
    own = fingerprint(key.public_bytes_raw())
    try:
        if signature["algorithm"] != ALGORITHM:
            raise SignatureError(f"Expected a signature by {ALGORITHM}, but got {str(signature['algorithm'])[:40]!r}.")
        key.verify(bytes.fromhex(signature["signature"]), _message(what, data))
    except (KeyError, TypeError, ValueError, InvalidSignature) as error:
        if isinstance(error, SignatureError):
            raise
        raise SignatureError(f"It does not bear a valid signature by the key {own} ({public}) for this {what}.") from error
    return own


def fingerprint(public: bytes) -> str:
    """Return a short name of a public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def write_signature(file: Path, signature: Mapping[str, str]) -> None:
    """Write a signature file."""
    write_json(file, signature)


def read_signature(file: Path) -> Any:
    """Read a signature file.

    Raises:
        SignatureError: there is no such file.
        ConfigError: it is not JSON.
    """
    if not file.is_file():
        raise SignatureError(f"There is no signature: expected {file}.")
    return read_json(file, "a signature", MAX_KEY)


def _read(file: Path) -> bytes:
    if file.stat().st_size > MAX_KEY:
        raise GricolZooError(f"Expected a key of at most {MAX_KEY} bytes, but {file} has {file.stat().st_size}.")
    return file.read_bytes()


def _message(what: str, data: bytes) -> bytes:
    return f"gricol_zoo {what} 1\n".encode() + data
