"""The table of splitters, and how one is built from a spec."""

from collections.abc import Callable

from torch import nn

from gricol_zoo.models.contracts import Splitter, complete
from gricol_zoo.models.parts import build_part
from gricol_zoo.registry import Registry
from gricol_zoo.spec import ModelSpec

SPLITTERS: Registry[Callable[..., nn.Module]] = Registry("splitter", "gricol_zoo.splitters")


def build_splitter(spec: ModelSpec) -> Splitter:
    """Build the splitter of a spec."""
    offered = {"grid": spec.grid, "image_size": spec.image_size, "cell_size": spec.cell_size}
    return complete(
        build_part("splitter", spec.splitter, SPLITTERS.get(spec.splitter), offered, spec.splitter_options), Splitter
    )
