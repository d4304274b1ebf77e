"""The public names, each with the module that it comes from; ``__init__.py`` loads them on first use."""

from .errors import GricolZooError as GricolZooError
from .errors import ImageError as ImageError
from .factory import GridModel as GridModel
from .factory import create_model as create_model
from .factory import from_pretrained as from_pretrained
from .factory import model_entrypoint as model_entrypoint
from .inference.fast import parity as parity
from .inference.transform import Prediction as Prediction
from .inference.transform import classify as classify
from .inference.transform import create_transform as create_transform
from .models.backbones import BACKBONES as BACKBONES
from .models.deployed import DeployedModel as DeployedModel
from .models.flops import count as count
from .models.heads import HEADS as HEADS
from .models.presets import DEFAULT_MODEL as DEFAULT_MODEL
from .models.presets import MODELS as MODELS
from .models.presets import WEIGHTS as WEIGHTS
from .models.splitters import SPLITTERS as SPLITTERS
from .runtimes.choose import optimize as optimize
from .spec import CHROMOSOMES as CHROMOSOMES
from .spec import GridOutput as GridOutput
from .spec import ModelSpec as ModelSpec
from .spec import Preprocess as Preprocess
from .timm_bridge import get_pretrained_cfg as get_pretrained_cfg
from .training.losses import GridLoss as GridLoss
from .training.losses import branch_weights as branch_weights
from .training.losses import grid_loss as grid_loss
from .training.task import TrainingTask as TrainingTask
from .weights.resolve import is_model as is_model
from .weights.resolve import list_models as list_models
from .weights.resolve import list_pretrained as list_pretrained

__version__: str
