"""Fine-tune released weights on a folder of images, one sub-folder per class, in a training loop of your own.

    python examples/own_training_loop.py FOLDER OUT [EPOCHS]

Only the model and ``create_transform`` are from this package: the data set is torchvision's ``ImageFolder``, or a ten-line
substitute where torchvision is not installed, and the loop is plain torch. ``gricol-zoo train`` does more: augmentation,
splits by case, calibration, a record of the training images.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import gricol_zoo

try:
    from torchvision.datasets import ImageFolder
except ImportError:

    class ImageFolder(Dataset):
        """A substitute for torchvision's class of the same name, with what is used here."""

        def __init__(self, root: str | Path, transform: Callable[[Any], torch.Tensor]) -> None:
            self.classes = sorted(folder.name for folder in Path(root).iterdir() if folder.is_dir())
            self.samples = [(file, i) for i, name in enumerate(self.classes) for file in sorted(Path(root, name).iterdir())]
            self.transform = transform

        def __len__(self) -> int:
            """Return the number of images."""
            return len(self.samples)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            """Return one image after the transform, and the index of its class."""
            file, label = self.samples[index]
            return self.transform(file), label


def fine_tune(
    folder: str | Path,
    out: str | Path,
    epochs: int = 5,
    batch_size: int = 16,
    start: str = gricol_zoo.DEFAULT_MODEL,
    seed: int = 0,
) -> list[float]:
    """Train on all images of a folder, from the weights ``start``, and write the model; return the loss of each epoch."""
    torch.manual_seed(seed)
    names = sorted(each.name for each in Path(folder).iterdir() if each.is_dir())  # in the order of ImageFolder
    model = gricol_zoo.create_model(start, pretrained=True)
    if set(names) == set(model.spec.labels):  # the same classes: the classifier is kept, in its own order
        order = torch.tensor([model.spec.labels.index(name) for name in names])
        model.info = {"training": dict(model.info.training)}  # calibration and scores no longer hold; what it has seen does
    else:  # other classes: a new classifier
        model = gricol_zoo.create_model(start, pretrained=True, num_classes=len(names), class_names=names)
        order = torch.arange(len(names))
    images = ImageFolder(folder, gricol_zoo.create_transform(model))
    loader = DataLoader(images, batch_size, shuffle=True, drop_last=len(images) > batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=epochs * len(loader))
    losses = []
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, labels in loader:
            x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)  # a mirrored chromosome is as valid
            loss = F.cross_entropy(model(x), order[labels], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() / len(loader)
        losses.append(total)
        print(f"epoch {epoch + 1}: loss {total:.3f}")
    model.eval().save_pretrained(out)  # create_model("local-dir:OUT", pretrained=True) loads it, as does timm
    return losses


if __name__ == "__main__":
    fine_tune(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
