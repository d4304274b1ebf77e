"""Environment variables of other tools that change results although no command and no recipe mentions them."""

from __future__ import annotations

import os
from collections.abc import Mapping

CHANGING = (
    "ACCELERATE_DYNAMO_BACKEND",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
    "ACCELERATE_USE_DEEPSPEED",
    "ACCELERATE_USE_FSDP",
    "ACCELERATE_USE_MEGATRON_LM",
    "DNNL_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
HARMLESS = ("", "0", "1", "FALSE", "NO", "NONE", "STRICT")  # values that a launcher sets, and the tools' own defaults
ONE_CHANGES = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")


def changing_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that are set and change results, with their values; usually none.

    They are respected, but reports, training records and karyotypes record them, and the commands warn.
    """
    found = {name: environment[name] for name in CHANGING if name in environment}
    return {
        name: value
        for name, value in found.items()
        if value.strip().upper() not in HARMLESS or (name in ONE_CHANGES and value.strip() == "1")
    }
