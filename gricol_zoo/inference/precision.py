"""Which number format to compute in."""

from __future__ import annotations

import platform

import torch

from gricol_zoo.errors import GricolZooError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
CPU_BF16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # torch's names of the abilities of x86 and Arm processors


def has_bf16(device: str | torch.device = "cpu") -> bool:
    """Return whether a device multiplies in bfloat16; False for a processor that only emulates it (ten times slower)."""
    kind = torch.device(device or "cpu").type
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # torch 2.10 and later
    if capabilities is None:
        # torch's own function for oneDNN says yes on x86 even if bfloat16 would only be emulated.
        arm = platform.machine().lower() in ("aarch64", "arm64")
        return bool(arm and torch.ops.mkldnn._is_mkldnn_bf16_supported()) or _x86_bf16()
    known = capabilities()
    return any(known.get(name, False) for name in CPU_BF16)


def _x86_bf16() -> bool:
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def choose_dtype(name: str, device: str | torch.device = "cpu") -> str:
    """Return "fp32" or "bf16" for "auto" (bf16 if the device has it) or for one of the two.

    Raises:
        GricolZooError: another name.
    """
    if name == "auto":
        return "bf16" if has_bf16(device) else "fp32"
    if name == "int8":
        raise GricolZooError("torch computes in fp32 or bf16. For int8 take another runtime: onnxruntime or openvino.")
    if name not in DTYPES:
        raise GricolZooError(f"Expected `dtype` to be one of auto, {', '.join(DTYPES)}, but got {name!r}.")
    return name
