"""Other runtimes for the lower branch: ``make_runner`` returns a model as a callable that ONNX Runtime or OpenVINO runs."""

from gricol_zoo.runtimes.choose import RUNTIMES, make_runner
from gricol_zoo.runtimes.runner import Runner

__all__ = ["RUNTIMES", "Runner", "make_runner"]
