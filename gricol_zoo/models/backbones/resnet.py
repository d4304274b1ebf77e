"""ResNet backbones in the widths that the zoo needs: (B, C, h, w) -> (B, F, h/32, w/32).

He et al., CVPR 2016, with the stride on the 3x3 convolution (the "v1.5" placement), parameter names as in timm, so
that a state dict of the same shape fits both. ``r50half`` is the paper's backbone (section 2.3: half the output
channels of the residual blocks), which means a bottleneck expansion of 2 instead of 4; see docs/reference/method.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.backbones.registry import BACKBONES, build_backbone
from gricol_zoo.models.contracts import Backbone, Level


def _conv(in_channels: int, channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    # Torch would draw random weights, which `init_weights` then draws again: half the time of building a model. On its meta
    # device nothing is drawn. Torch's own `skip_init` does the same, but its imports take a second.
    conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False, device="meta")
    conv.weight = nn.Parameter(torch.empty(conv.weight.shape, device=torch.get_default_device()))
    return conv


def conv_with_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Apply a convolution and its frozen batch-norm as one convolution: (B, C, h, w) -> (B, C', h', w').

    A batch-norm with fixed statistics is linear, so it can scale the kernels instead of the far larger maps. Weights
    and biases of both still get their gradients.
    """
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    shift = torch.addcmul(norm.bias, mean, scale, value=-1)
    return conv._conv_forward(x, conv.weight * scale.view(-1, 1, 1, 1), shift)


def run_frozen(block: BasicBlock | Bottleneck, x: Tensor) -> Tensor:
    """Do what a block's ``forward`` does, in training with frozen batch-norms: (B, in, h, w) -> (B, out, h', w')."""
    y = conv_with_norm(block.conv1, block.bn1, x)
    y = conv_with_norm(block.conv2, block.bn2, block.act1(y))
    if isinstance(block, Bottleneck):
        y = conv_with_norm(block.conv3, block.bn3, block.act2(y))
    last = block.act3 if isinstance(block, Bottleneck) else block.act2
    if isinstance(block.downsample, nn.Sequential):
        conv, norm = block.downsample
        x = conv_with_norm(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm), x)
    return last(y + x)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, in_channels: int, width: int, expansion: int, stride: int) -> None:
        super().__init__()
        channels = width * expansion
        self.conv1 = _conv(in_channels, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = _conv(width, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) -> (B, out, h/stride, w/stride)."""
        if self.training and not self.bn1.training and not torch.jit.is_scripting():
            return run_frozen(self, x)
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        return self.act2(y + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 (strided) and 1x1 convolutions with a shortcut; ``expansion`` is out channels / width."""

    def __init__(self, in_channels: int, width: int, expansion: int, stride: int) -> None:
        super().__init__()
        channels = width * expansion
        self.conv1 = _conv(in_channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.act2 = nn.ReLU(inplace=True)
        self.conv3 = _conv(width, channels, 1)
        self.bn3 = nn.BatchNorm2d(channels)
        self.act3 = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) -> (B, out, h/stride, w/stride)."""
        if self.training and not self.bn1.training and not torch.jit.is_scripting():
            return run_frozen(self, x)
        y = self.act1(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.act2(self.bn2(self.conv2(y)))))
        return self.act3(y + self.downsample(x))


def _shortcut(in_channels: int, channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    return nn.Sequential(_conv(in_channels, channels, 1, stride), nn.BatchNorm2d(channels))


def checkpointed(stage: nn.Module, x: Tensor) -> Tensor:
    """Run the blocks of a stage, each recomputed in the backward pass; batch-norm still counts each batch once."""
    for block in stage.children():
        x = checkpoint(block, x, use_reentrant=False, context_fn=partial(_contexts, block))
    return x


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _frozen_statistics(block)


@contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Do not update the running statistics of a block's batch-norms, which still normalise by the batch."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches


class ResNet(Backbone):
    """A stem (/4) and four stages (/4, /8, /16, /32).

    Args:
        in_chans: image channels.
        block: BasicBlock or Bottleneck.
        depths: blocks in each stage.
        width: channels of the stem and inner width of the first stage; it doubles with each stage.
        expansion: output channels of a block / its inner width.
        pooled_stem: 7x7 convolution of stride 2 and max-pooling (He et al.); else a 3x3 convolution of stride 2, and the
            first stage strides instead of the pooling, which keeps thin bands apart on small images.
    """

    def __init__(
        self,
        in_chans: int,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, ...],
        width: int,
        expansion: int,
        pooled_stem: bool = True,
    ) -> None:
        super().__init__()
        kernel = 7 if pooled_stem else 3
        self.conv1 = _conv(in_chans, width, kernel, 2)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool2d(3, 2, 1) if pooled_stem else nn.Identity()
        self.layer1: nn.Sequential
        self.layer2: nn.Sequential
        self.layer3: nn.Sequential
        self.layer4: nn.Sequential
        self.feature_info: list[Level] = [{"num_chs": width, "reduction": 2, "module": "act1"}]
        channels = width
        for stage, depth in enumerate(depths):
            stride = 1 if stage == 0 and pooled_stem else 2
            blocks = []
            for index in range(depth):
                blocks.append(block(channels, width << stage, expansion, stride if index == 0 else 1))
                channels = (width << stage) * expansion
            name = f"layer{stage + 1}"
            self.add_module(name, nn.Sequential(*blocks))
            self.feature_info.append({"num_chs": channels, "reduction": 4 << stage, "module": name})
        self.num_stages = len(depths)
        self.num_features = channels
        self.grad_checkpointing = False
        self.init_weights()

    @torch.jit.ignore
    def init_weights(self) -> None:
        """He initialisation; the last batch-norm of each block starts at zero, so a block starts as its shortcut."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, (BasicBlock, Bottleneck)):
                last = module.bn2 if isinstance(module, BasicBlock) else module.bn3
                nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, F, h/32, w/32)."""
        x = self.before_last_stage(x)
        if self.grad_checkpointing and not torch.jit.is_scripting():
            return checkpointed(self.layer4, x)
        return self.layer4(x)

    def before_last_stage(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, F', h/16, w/16): the stem and the first three stages."""
        x = self.maxpool(self.act1(self.stem(x)))
        if self.grad_checkpointing and not torch.jit.is_scripting():
            for stage in (self.layer1, self.layer2, self.layer3):
                x = checkpointed(stage, x)
            return x
        return self.layer3(self.layer2(self.layer1(x)))

    def stem(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, width, h/2, w/2): the first convolution and its batch-norm."""
        if self.training and not self.bn1.training and not torch.jit.is_scripting():
            return conv_with_norm(self.conv1, self.bn1, x)
        return self.bn1(self.conv1(x))

    @torch.jit.ignore
    def to_stage(self, x: Tensor, stage: int) -> Tensor:
        """(B, C, h, w) -> the map after stage ``stage``; 0 is the stem, pooling included."""
        return self.run(x, 0, stage)[0]

    @torch.jit.ignore
    def from_stage(self, x: Tensor, stage: int) -> Tensor:
        """Run what comes after stage ``stage`` on that stage's map; gives (B, F, h', w')."""
        return self.run(x, stage + 1, self.num_stages)[0]

    @torch.jit.ignore
    def stages_after(self, stage: int) -> list[nn.Module]:
        """Return the stages after stage ``stage``, 0 being the stem."""
        return [self.get_submodule(f"layer{later}") for later in range(stage + 1, self.num_stages + 1)]

    @torch.jit.ignore
    def keep_resolution(self) -> None:
        """Remove the stride of the last stage, so that its map has the size of the one before: h/16 x w/16."""
        for module in self.layer4.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
        self.feature_info[-1]["reduction"] = self.feature_info[-2]["reduction"]

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade time for memory: recompute each block in the backward pass."""
        self.grad_checkpointing = enable

    @torch.jit.ignore
    def run(self, x: Tensor, first: int, last: int, taps: Sequence[int] = ()) -> tuple[Tensor, list[Tensor]]:
        """Run some of the stages, 0 being the stem.

        Args:
            x: the image, or the map after the stage before ``first``.
            first: stage to begin with.
            last: stage to end with.
            taps: stages whose maps are wanted; the stem's is the one before pooling.

        Returns:
            The map after ``last``, and the maps of ``taps``.
        """
        maps = []
        for stage in range(first, last + 1):
            if stage == 0:
                tap = self.act1(self.stem(x))
                x = self.maxpool(tap)
            else:
                layer = self.get_submodule(f"layer{stage}")
                tap = x = checkpointed(layer, x) if self.grad_checkpointing else layer(x)
            if stage in taps:
                maps.append(tap)
        return x, maps

    @torch.jit.ignore
    def forward_intermediates(self, x: Tensor, indices: Sequence[int], stop_early: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return the last map and the maps of levels (0 the stem, 1..4 the stages); ``stop_early`` ends at the last of them."""
        return self.run(x, 0, max(indices) if stop_early else self.num_stages, indices)

    @torch.jit.ignore
    def prune_intermediate_layers(self, indices: Sequence[int]) -> None:
        """Replace every stage after the last of these levels by the identity."""
        level = max(indices)
        for stage in range(level + 1, self.num_stages + 1):
            setattr(self, f"layer{stage}", nn.Identity())
        if level == 0:
            self.maxpool = nn.Identity()  # it follows the stem's tap


def build_resnet(name: str, in_chans: int, input_size: tuple[int, int]) -> ResNet:
    """Build a registered ResNet, as the trunk of a larger network.

    Raises:
        GricolZooError: another kind of backbone.
    """
    net = build_backbone(name, in_chans, input_size)
    if not isinstance(net, ResNet):
        raise GricolZooError(f"Expected the trunk to be one of r18half, r50half, r50, but got {name!r}.")
    return net


@BACKBONES.register("r50half")
def r50half(in_chans: int) -> ResNet:
    """The paper's backbone: 16.73 M parameters, 1024 features, 2.89 G multiply-adds at 224x224."""
    return ResNet(in_chans, Bottleneck, (3, 4, 6, 3), 64, 2)


@BACKBONES.register("r50")
def r50(in_chans: int) -> ResNet:
    """ResNet-50: 2048 features."""
    return ResNet(in_chans, Bottleneck, (3, 4, 6, 3), 64, 4)


@BACKBONES.register("r18half")
def r18half(in_chans: int) -> ResNet:
    """ResNet-18 at half width, without max-pooling: 2.8 M parameters, 256 features; the light family."""
    return ResNet(in_chans, BasicBlock, (2, 2, 2, 2), 32, 1, pooled_stem=False)
