"""Build one registered part: it is offered the standard arguments by name, and gets its own options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from gricol_zoo.errors import GricolZooError


def build_part(
    kind: str, name: str, make: Callable[..., nn.Module], offered: Mapping[str, Any], options: Mapping[str, Any]
) -> nn.Module:
    """Call a part's constructor with the ``offered`` arguments that it has parameters for, and with all of ``options``.

    Raises:
        GricolZooError: an option that the constructor does not take, or a required argument that neither supplies.
    """
    parameters = inspect.signature(make).parameters
    for option in options:
        if option not in parameters or option in offered:
            own = [parameter for parameter in parameters if parameter not in offered]
            raise GricolZooError(f"The {kind} {name!r} has no option {option!r}. Its options: {', '.join(own) or 'none'}.")
    arguments = {key: value for key, value in offered.items() if key in parameters} | dict(options)
    for key, parameter in parameters.items():
        if key not in arguments and parameter.default is inspect.Parameter.empty:
            raise GricolZooError(
                f"The {kind} {name!r} needs `{key}`: give it in `{kind}_options`. The model provides: {', '.join(offered)}."
            )
    return make(**arguments)
