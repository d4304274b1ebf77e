"""gricol_zoo: a model zoo for chromosome classification by grid reconstruction learning.

Start with ``create_model(name)``. The public names are listed in ``__init__.pyi`` and loaded on first use.
"""

import importlib
import sys

import lazy_loader

from gricol_zoo._moved import Finder

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

sys.meta_path.append(Finder())  # old module paths, from before the package had subpackages

# If timm is loaded already, our names are added to its registry now; otherwise `import gricol_zoo.timm_bridge` adds them.
if "timm.models" in sys.modules:
    importlib.import_module("gricol_zoo.timm_bridge")
