"""One training, from a table of images to a folder with weights: a loop that can be read to the end.

It runs on Hugging Face accelerate: the same command on one processor, or under ``accelerate launch`` on several GPUs
and machines. Each step's randomness is derived from (seed, epoch, step) alone, so a run that was killed and resumed
ends with the same weights, bit for bit, as one that was not.
"""

from __future__ import annotations

import csv
import io
import json
import math
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gricol_zoo.calibration import expected_calibration_error, fit_temperature, review_threshold, softmax
from gricol_zoo.data.arrays import label_indices, load_canvases, measure, normalise
from gricol_zoo.data.split import apply_split, check_leaks, group_of
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import CheckpointError, GricolZooError
from gricol_zoo.evaluate import predict_logits
from gricol_zoo.factory import build, find_weights
from gricol_zoo.losses import GridLoss
from gricol_zoo.model import GridModel
from gricol_zoo.names import parse_model_name
from gricol_zoo.presets import MODELS
from gricol_zoo.recipes import Recipe
from gricol_zoo.spec import CHROMOSOMES, ModelSpec
from gricol_zoo.task import TrainingTask
from gricol_zoo.weights import find_in_dir, load_weights, save_model, write_atomically

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.csv"
LOG_COLUMNS = ["epoch", "lr", "train_loss", "val_accuracy", "val_loss", "seconds"]


@dataclass
class Training:
    """What a run holds between steps; ``state`` and ``restore`` are what a checkpoint is."""

    task: TrainingTask
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)


def train(
    images: ImageSet,
    split: dict[tuple[str, str], str],
    model_name: str,
    recipe: Recipe,
    out: Path,
    *,
    init: str = "",
    resume: bool = False,
    time_limit: float = math.inf,
    device: str = "",
    checkpoint_every: float = 120.0,
    split_name: str = "",
) -> bool:
    """Train a model on the train part of a split and write it to a folder.

    Writes model.safetensors and config.json (the averaged weights after the last epoch: nothing is selected),
    log.csv (one row an epoch) and checkpoint.pt. The val part is measured after each epoch and calibrates the
    probabilities at the end; the test part is never looked at.

    Args:
        images: the whole labelled set.
        split: (case, cell) -> part.
        model_name: a registered name; what to build.
        recipe: how to train.
        out: the folder.
        init: a name with weights, or a folder, whose weights are the start; "" starts from random ones.
        resume: go on from the folder's checkpoint, if there is one.
        time_limit: seconds after which to stop cleanly, with a checkpoint.
        device: "cpu", "cuda", ...; "" takes what accelerate finds.
        checkpoint_every: seconds between checkpoints.
        split_name: what to write of the split into the config.

    Returns:
        Whether the training is finished (False: stopped by the time limit or by a signal; ``resume`` goes on).

    Raises:
        GricolZooError: leaks, unknown labels, a folder in use, or a checkpoint of another run.
    """
    from accelerate import Accelerator

    started = time.monotonic()
    stop = _stop_on_signals()
    checkpoint = out / CHECKPOINT_FILE
    if checkpoint.exists() and not resume:
        raise GricolZooError(f"{out} holds a run already. Give --resume to go on with it, or another --out.")
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if wants_bf16(recipe.precision, device) else "no")
    say = Speaker(accelerator.is_main_process)

    parts = apply_split(images, split)
    check_leaks(parts)
    for part in ("train", "val"):
        if not parts[part].records:
            raise GricolZooError(f"The split's {part} part is empty.")
    say(f"{len(parts['train'])} images to train on, {len(parts['val'])} for validation; reading them")
    spec, canvases = prepare_data(parts, start_spec(model_name, images))
    labels = {part: label_indices(parts[part].records, spec.labels, images.name) for part in canvases}
    torch.manual_seed(recipe.seed)
    model = build(spec)
    start: dict[str, Any] = {}
    if init:
        load_weights(model, find_weights(init))
        start, model.load_report, model.info = model.info, None, {}
    model.name = parse_model_name(model_name).arch or "unnamed"
    task = TrainingTask(model, GridLoss(recipe.beta, recipe.ramp * recipe.epochs, recipe.label_smoothing))
    task.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(task, recipe)
    identity = {
        "model": model_name,
        "spec": spec.to_dict(),
        "recipe": recipe.to_dict(),
        "init": init,
        "images": len(parts["train"]),
    }
    average = {key: value.detach().clone() for key, value in model.state_dict().items()}
    run = Training(task, optimizer, average)
    if checkpoint.exists():
        restore(run, checkpoint, json.loads(json.dumps(identity)))
        say(f"resuming at epoch {run.epoch}, step {run.step}")
    wrapped, run.optimizer = accelerator.prepare(task, optimizer)
    run.average = {key: value.to(accelerator.device) for key, value in run.average.items()}

    def save() -> None:
        if accelerator.is_main_process:
            out.mkdir(parents=True, exist_ok=True)
            write_atomically(checkpoint, dump(run, identity))

    batch_size = min(recipe.batch_size, len(canvases["train"]))
    steps = len(canvases["train"]) // batch_size
    saved = time.monotonic()
    for epoch in range(run.epoch, recipe.epochs):
        epoch_started = time.monotonic()
        bar = say.bar(steps, f"epoch {epoch + 1}/{recipe.epochs}", run.step)
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(canvases["train"]))
        wrapped.train()
        for step in range(run.step, steps):
            mine = order[step * batch_size : (step + 1) * batch_size][accelerator.process_index :: accelerator.num_processes]
            lr = learning_rate(recipe, epoch + step / steps)
            loss = train_step(
                run, wrapped, accelerator, canvases["train"][mine], labels["train"][mine], recipe, epoch, step, lr
            )
            run.step, run.loss_sum = step + 1, run.loss_sum + loss
            update_average(run.average, model, recipe.ema_decay, epoch * steps + step)
            bar.set_postfix_str(f"loss {run.loss_sum / run.step:.3f}", refresh=False)
            bar.update()
            overtime = time.monotonic() - started > time_limit or stop.is_set
            if _any(accelerator, overtime):
                bar.close()
                save()
                say(f"stopped at epoch {epoch + 1}, step {run.step}; go on with --resume")
                return False
            if time.monotonic() - saved > checkpoint_every:
                save()
                saved = time.monotonic()
        bar.close()
        evaluated = averaged_model(run, spec)
        logits = predict_logits(evaluated, canvases["val"], dtype="bf16" if accelerator.mixed_precision == "bf16" else "fp32")
        accuracy, val_loss = _val_scores(logits, labels["val"])
        row = [epoch + 1, lr, run.loss_sum / steps, accuracy, val_loss, time.monotonic() - epoch_started]
        run.log.append(dict(zip(LOG_COLUMNS, [row[0], *(round(value, 6) for value in row[1:])], strict=True)))
        say(f"epoch {epoch + 1}: train loss {row[2]:.4f}, val accuracy {accuracy:.4f}, {row[5]:.0f} s")
        run.epoch, run.step, run.loss_sum = epoch + 1, 0, 0.0
        if accelerator.is_main_process:
            out.mkdir(parents=True, exist_ok=True)
            write_atomically(out / LOG_FILE, log_text(run.log))
        save()
        saved = time.monotonic()
    if accelerator.is_main_process:
        finish(run, spec, model.name, recipe, parts, canvases["val"], labels["val"], out, split_name, start, say)
    accelerator.wait_for_everyone()
    return True


def start_spec(model_name: str, images: ImageSet) -> ModelSpec:
    """Return the spec to train: the registered one, with the data's own classes where they are not chromosomes."""
    found = sorted({record.label for record in images.records})
    if "" in found:
        raise GricolZooError(f"{images.store.root} has images without a label; training needs one for each.")
    spec = MODELS.get(parse_model_name(model_name).arch)
    if set(found) <= set(CHROMOSOMES):
        return spec
    if len(found) > 1000:
        raise GricolZooError(f"{len(found)} different labels in {images.store.root}: expected at most 1000 classes.")
    return spec.replace(num_classes=len(found), class_names=tuple(found))


def prepare_data(parts: dict[str, ImageSet], spec: ModelSpec) -> tuple[ModelSpec, dict[str, np.ndarray]]:
    """Read the train and val images; return the spec with the train part's mean and deviation, and the canvases."""
    canvases = {part: load_canvases(parts[part], spec) for part in ("train", "val")}
    mean, std = measure(canvases["train"])
    return spec.replace(preprocess=replace(spec.preprocess, mean=mean, std=std)), canvases


def train_step(
    run: Training,
    wrapped: nn.Module,
    accelerator: Any,
    canvases: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    epoch: int,
    step: int,
    lr: float,
) -> float:
    """Do one optimizer step on this process's share of the batch; return its loss."""
    seed = int(np.random.SeedSequence([recipe.seed, epoch, step, accelerator.process_index]).generate_state(1)[0])
    torch.manual_seed(seed)  # dropout, if any
    spec = run.task.model.spec
    images = torch.from_numpy(canvases).to(accelerator.device).float() / 255
    images = recipe.augment(images, torch.Generator().manual_seed(seed)) * 255
    batch = normalise(images, spec).contiguous(memory_format=torch.channels_last)
    for group in run.optimizer.param_groups:
        group["lr"] = lr
    loss = wrapped(batch, torch.from_numpy(labels).to(accelerator.device), float(epoch))
    value = float(loss.detach())
    if not math.isfinite(value):
        raise GricolZooError(
            f"The loss became {value} in epoch {epoch + 1}, step {step}. Try a lower `lr`, or `precision` fp32."
        )
    accelerator.backward(loss)
    if recipe.clip_grad:
        accelerator.clip_grad_norm_(wrapped.parameters(), recipe.clip_grad)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    return value


def wants_bf16(precision: str, device: str) -> bool:
    """Say whether to train in bf16: as told, or with "auto" where the machine computes in it."""
    if precision != "auto":
        return precision == "bf16"
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return device in ("", "cpu") and bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def make_optimizer(task: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer; matrices and kernels decay, norms and biases do not."""
    matrices = [parameter for parameter in task.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in task.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    make: Callable[..., torch.optim.Optimizer] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    return make(groups, lr=recipe.lr)


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Return the learning rate after ``progress`` epochs (fractions count)."""
    if progress < recipe.warmup_epochs:
        return recipe.lr * (progress + 1e-2) / (recipe.warmup_epochs + 1e-2)
    if recipe.schedule == "constant":
        return recipe.lr
    done = (progress - recipe.warmup_epochs) / max(recipe.epochs - recipe.warmup_epochs, 1e-9)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float, step: int) -> None:
    """Move the exponential average towards the model; early on it follows faster, to forget the random start."""
    keep = min(decay, (1 + step) / (10 + step))
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            average[key].lerp_(value, 1 - keep)
        else:
            average[key].copy_(value)


def averaged_model(run: Training, spec: ModelSpec) -> GridModel:
    """Return a copy of the model with the averaged weights, for evaluation."""
    model = build(spec)
    model.load_state_dict(run.average)
    device = next(run.task.parameters()).device
    return model.to(device).to(memory_format=torch.channels_last).eval()


def _val_scores(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    probabilities = softmax(logits)
    right = probabilities[np.arange(len(labels)), labels]
    return float((logits.argmax(1) == labels).mean()), float(-np.log(np.maximum(right, 1e-12)).mean())


def finish(
    run: Training,
    spec: ModelSpec,
    name: str,
    recipe: Recipe,
    parts: dict[str, ImageSet],
    canvases: np.ndarray,
    labels: np.ndarray,
    out: Path,
    split_name: str,
    start: dict[str, Any],
    say: Callable[[str], None],
) -> None:
    """Write the weights, and calibrate what they say on the val part, as they are on disk."""
    model = averaged_model(run, spec).cpu()
    model.name = name
    save_model(model, out, {})
    load_weights(model, find_in_dir(out))  # as rounded on disk
    logits = predict_logits(model, canvases)
    temperature = fit_temperature(logits, labels)
    confidence = softmax(logits, temperature).max(1)
    correct = logits.argmax(1) == labels
    threshold = review_threshold(confidence, correct)
    groups = {group_of(record) for record in parts["train"].records} - {""}
    groups |= set(start.get("training", {}).get("groups", []))  # what the starting weights saw counts as seen
    info: dict[str, Any] = {
        "temperature": round(temperature, 4),
        "review_threshold": round(threshold, 4),
        "val": {
            "images": len(labels),
            "accuracy": float(correct.mean()),
            "ece": expected_calibration_error(confidence, correct),
            "review_fraction": float((confidence < threshold).mean()),
        },
        "training": {
            "data": parts["train"].name,
            "data_sha256": parts["train"].sha256(),
            "images": len(parts["train"]),
            "split": split_name,
            "recipe": recipe.to_dict(),
            "init_sha256": str(start.get("sha256", "")),
            "groups": sorted(groups),
            "library": {"torch": torch.__version__, "numpy": np.__version__},
        },
    }
    save_model(model, out, info)
    say(f"val accuracy {info['val']['accuracy']:.4f}; weights in {out}")


def dump(run: Training, identity: dict[str, Any]) -> bytes:
    """Return a checkpoint's bytes."""
    buffer = io.BytesIO()
    optimizer = run.optimizer.state_dict()
    state = {
        "identity": json.dumps(identity, sort_keys=True),
        "model": run.task.model.state_dict(),
        "average": run.average,
        "optimizer": optimizer,
        "epoch": run.epoch,
        "step": run.step,
        "loss_sum": run.loss_sum,
        "log": run.log,
    }
    torch.save(state, buffer)
    return buffer.getvalue()


def restore(run: Training, file: Path, identity: dict[str, Any]) -> None:
    """Set a run to a checkpoint.

    Raises:
        CheckpointError: cut, damaged, or of another model, recipe or number of images (the difference is named).
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        found = json.loads(state["identity"])
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointError(
            f"{file} cannot be read (cut in half?): {str(error).splitlines()[0]} Delete it to start anew."
        ) from error
    for key, value in identity.items():
        if found.get(key) != value:
            raise CheckpointError(
                f"{file} is of another run: its {key} is {_difference(found.get(key), value)}. "
                "Use the same command, or another --out."
            )
    run.task.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.average = state["average"]
    run.epoch, run.step, run.loss_sum, run.log = state["epoch"], state["step"], state["loss_sum"], state["log"]


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in wanted:
            if found.get(key) != wanted[key]:
                return f"{key} {_difference(found.get(key), wanted[key])}"
    return f"{found!r}, not {wanted!r}"


def log_text(rows: list[dict[str, Any]]) -> bytes:
    """Return log.csv's bytes."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, LOG_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def _any(accelerator: Any, flag: bool) -> bool:
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.gather(torch.tensor([int(flag)], device=accelerator.device)).max())


class _Stop:
    is_set = False


def _stop_on_signals() -> _Stop:
    stop = _Stop()

    def handle(number: int, frame: Any) -> None:
        stop.is_set = True

    try:
        signal.signal(signal.SIGTERM, handle)
        signal.signal(signal.SIGINT, handle)
    except ValueError:
        pass  # not in the main thread: signals stay as they are
    return stop


class Speaker:
    """Print progress on stderr, from the main process alone."""

    def __init__(self, aloud: bool) -> None:
        self.aloud = aloud

    def __call__(self, line: str) -> None:
        """Print a line."""
        if self.aloud:
            print(line, file=sys.stderr, flush=True)

    def bar(self, total: int, title: str, initial: int) -> Any:
        """Return a progress bar, which shows only on a terminal."""
        from tqdm import tqdm

        quiet = not self.aloud or not sys.stderr.isatty()
        return tqdm(total=total, desc=title, initial=initial, file=sys.stderr, leave=False, disable=quiet)
