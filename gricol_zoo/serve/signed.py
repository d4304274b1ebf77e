"""The signature of a checked cell, if the server has a key: the same as ``gricol-zoo sign`` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.weights.ed25519 import canonical, sign


def sign_checked(karyotype: Karyotype, key: Path) -> Mapping[str, str]:
    """Return the signature of a record, as its karyotype.json will be written.

    Raises:
        SignatureError: not a private key.
    """
    return sign("karyotype", canonical(json.loads(karyotype.to_json())), key)


def check_key(key: Path) -> str:
    """Return the fingerprint of a private key, so that a server does not start with one that cannot sign.

    Raises:
        SignatureError: not a private key.
        OSError: the file cannot be read.
    """
    return sign("karyotype", b"", key)["key"]
