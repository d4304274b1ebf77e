"""One training, from a table of images to a folder with weights: a loop that can be read to the end.

It runs on Hugging Face accelerate: the same command on one processor, or under ``accelerate launch`` on several GPUs
and machines. Each step's randomness is derived from (seed, epoch, step) alone, so a run that was killed and resumed
ends with the same weights, bit for bit, as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gricol_zoo.data.arrays import arms_up, image_factors, label_indices, load_prepared, normalise
from gricol_zoo.data.augment import mix
from gricol_zoo.data.crops import read_once
from gricol_zoo.data.draws import Draws
from gricol_zoo.data.prepare import check_parts, missing_classes, prepare_data
from gricol_zoo.data.quality import UNSURE, fit_reference, measure
from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.evaluation.report import polarity_accuracy
from gricol_zoo.factory import GridModel, build
from gricol_zoo.inference.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    review_threshold,
    softmax,
)
from gricol_zoo.inference.logits import predict_both, predict_logits
from gricol_zoo.inference.precision import choose_dtype
from gricol_zoo.models.names import parse_model_name
from gricol_zoo.models.presets import MODELS
from gricol_zoo.progress import Speaker, peak_memory, stop_on_signals
from gricol_zoo.spec import CHROMOSOMES, ModelSpec
from gricol_zoo.training.config import TrainConfig
from gricol_zoo.training.losses import GridLoss
from gricol_zoo.training.optim import learning_rate, make_optimizer, update_average
from gricol_zoo.training.recipes import Recipe
from gricol_zoo.training.state import CHECKPOINT_FILE, LOG_COLUMNS, Data, Job, Likeness, Training, restore
from gricol_zoo.training.task import TrainingTask
from gricol_zoo.weights.resolve import find_weights
from gricol_zoo.weights.tensors import half_precision, load_weights, save_model


def train(
    images: ImageSet, split: dict[tuple[str, str], str], model_name: str, recipe: Recipe, out: Path, **options: Any
) -> bool:
    """Train a model on the train part of a split and write it to a folder.

    Writes model.safetensors and config.json (the averaged weights after the last epoch: nothing is selected),
    log.csv (one row an epoch) and checkpoint.pt. The val part is measured after each epoch and calibrates the
    probabilities at the end; the test part is never looked at.

    Args:
        images: the whole labelled set.
        split: (case, cell) -> part.
        model_name: a registered name.
        recipe: how to train.
        out: the folder.
        options: the other fields of ``gricol_zoo.training.config.TrainConfig``, which says what they do.

    Returns:
        Whether the training is finished (False: stopped by the time limit or by a signal; ``resume`` goes on).

    Raises:
        GricolZooError: leaks, unknown labels, a folder in use, or a checkpoint of another run.
    """
    return run_training(images, split, TrainConfig(model_name, recipe, out, **options))


def run_training(images: ImageSet, split: dict[tuple[str, str], str], config: TrainConfig) -> bool:
    """Train as a config says; what it returns and raises is as for ``train``."""
    out = config.out
    deadline = time.monotonic() + config.time_limit
    if (out / CHECKPOINT_FILE).exists() and not config.resume:
        raise GricolZooError(f"{out} already has a run. Give --resume to continue it, or another --out.")
    accelerator = make_accelerator(config)
    say = Speaker(accelerator.is_main_process)
    spec, data = read_data(images, split, config, accelerator.num_processes, say)
    run, start = start_run(spec, config, say)
    identity = {"model": config.model_name, "spec": spec.to_dict(), "recipe": config.recipe.to_dict(), **data.record}
    identity["init"] = str(start.get("sha256", ""))  # the weights it starts from, wherever they lie
    if (out / CHECKPOINT_FILE).exists():
        restore(run, out / CHECKPOINT_FILE, identity)
        say(f"resuming at epoch {run.epoch}, step {run.step}")
    wrapped = wrap(run, accelerator, config)
    job = Job(
        run=run,
        wrapped=wrapped,
        accelerator=accelerator,
        config=config,
        spec=spec,
        data=data,
        identity=identity,
        deadline=deadline,
        say=say,
    )
    finished = train_epochs(job)
    if finished and accelerator.is_main_process:
        groups = data.groups | set(start.get("training", {}).get("groups", []))  # what the starting weights saw is seen
        write_result(job, {**data.record, "init_sha256": identity["init"], "groups": sorted(groups)})
    if finished:
        accelerator.wait_for_everyone()
    return finished


def make_accelerator(config: TrainConfig) -> Any:
    """Return the accelerator: of the device and in the precision that were asked for."""
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState

    recipe, device = config.recipe, config.device
    dtype = choose_dtype(recipe.precision, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    # With beta 0 the upper branch sits out the first epochs, which data-parallel training must be told.
    unused = DistributedDataParallelKwargs(find_unused_parameters=recipe.beta == 0)
    precision = "bf16" if dtype == "bf16" else "no"
    AcceleratorState._reset_state()  # it keeps the precision of whatever trained before in this process
    return Accelerator(cpu=device == "cpu", mixed_precision=precision, kwargs_handlers=[unused])


def read_data(
    images: ImageSet, split: dict[tuple[str, str], str], config: TrainConfig, processes: int, say: Speaker
) -> tuple[ModelSpec, Data]:
    """Part the images and read each once; return the spec to train, and what is kept of train and val."""
    recipe = config.recipe
    spec = changed_spec(config.model_name, images, config.changes)
    check_polarity(spec, recipe)
    parts = check_parts(read_once(images, spec.preprocess.ground), split)
    check_share(recipe.batch_size, len(parts["train"]), processes)
    for note in missing_classes(parts):
        say(f"warning: {note}")
    if processes > 1:
        say(f"{processes} processes share each batch of {recipe.batch_size}")
    say(f"reading images: {len(parts['train'])} for training, {len(parts['val'])} for validation")
    given = set((config.changes or {}).get("preprocess", {}))
    spec, canvases = prepare_data(parts, spec, given, config.scale)
    labels = {part: label_indices(parts[part].records, spec.labels, images.name) for part in canvases}
    arms = {part: arms_up(parts[part].records) for part in canvases}
    seen = parts["train"]
    groups = {group_of(record) for record in seen.records} - {""}
    return spec, Data(
        canvases, labels, arms, describe_data(seen, config), groups, measure_val(parts["val"], spec, config.scale)
    )


def start_run(spec: ModelSpec, config: TrainConfig, say: Speaker) -> tuple[Training, dict[str, Any]]:
    """Return a run before its first step, and what came with the weights it starts from (nothing for random ones)."""
    recipe = config.recipe
    model, start = start_model(spec, config.model_name, recipe.seed, config.init, say)
    task = TrainingTask(model, GridLoss(recipe.beta, recipe.ramp * recipe.epochs, recipe.label_smoothing))
    check_phases(task, config.model_name, recipe)
    task.to(memory_format=torch.channels_last)
    average = {key: value.clone() for key, value in model.state_dict().items()}
    return Training(task, make_optimizer(task, recipe), average), start


def describe_data(seen: ImageSet, config: TrainConfig) -> dict[str, Any]:
    """Return what is to be remembered of the images that are trained on."""
    data = {"data": seen.name, "data_sha256": seen.sha256(), "images": len(seen), "split": config.split_name}
    return data if config.scale == "none" else {**data, "scale": config.scale}


def wrap(run: Training, accelerator: Any, config: TrainConfig) -> nn.Module:
    """Move a run to where it trains; return its task as accelerate wraps it."""
    if config.grad_checkpointing:
        run.task.model.set_grad_checkpointing()
    if config.compile:
        run.task.model.backbone.compile()
    accelerator.ddp_handler.find_unused_parameters |= bool(run.task.phases)
    wrapped: nn.Module
    wrapped, run.optimizer = accelerator.prepare(run.task, run.optimizer)
    run.average = {key: value.to(accelerator.device) for key, value in run.average.items()}
    return wrapped


def train_epochs(job: Job) -> bool:
    """Do the epochs that are left, with a checkpoint after each; False if it had to stop in between."""
    run = job.run
    with stop_on_signals() as job.stop:
        while run.epoch < job.recipe.epochs:
            finished = train_epoch(job)
            job.save()
            if not finished:
                job.say(f"stopped at epoch {run.epoch + 1}, step {run.step}; continue with --resume")
                return False
    return True


def check_share(batch_size: int, images: int, processes: int) -> None:
    """Refuse a batch that processes cannot share evenly: their mean would not be the batch's.

    Raises:
        GricolZooError: names the sizes that would do; or there are fewer images than processes.
    """
    if images < processes:
        raise GricolZooError(
            f"Expected at least one image per process, but got {images} for {processes} processes. Start fewer."
        )
    if batch_size % processes:
        below = batch_size - batch_size % processes
        near = f"{below} or {below + processes}" if below else str(processes)
        raise GricolZooError(
            f"Expected a `batch_size` divisible by the {processes} processes that share it, but got {batch_size}. "
            f"Set it to {near} in the recipe."
        )


def check_phases(task: TrainingTask, model_name: str, recipe: Recipe) -> None:
    """Refuse a recipe that ends before the model's last stage, which would leave its classifier untrained.

    Raises:
        GricolZooError: says how many epochs it takes.
    """
    if task.phases and recipe.epochs <= task.phases[-1]:
        raise GricolZooError(
            f"{model_name} trains in stages, and the last one starts after {task.phases[-1]} epochs, but the recipe has "
            f"{recipe.epochs}. Raise `epochs`, or start it earlier: `--change backbone_options.OPTION=EPOCHS`."
        )


def train_epoch(job: Job) -> bool:
    """Do what is left of the current epoch and measure it on val; False if it had to stop in between."""
    run, recipe, epoch, started = job.run, job.recipe, job.run.epoch, time.monotonic()
    bar = job.say.bar(job.steps, f"epoch {epoch + 1}/{recipe.epochs}", run.step)
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(job.data.canvases["train"]))
    job.wrapped.train()
    if recipe.freeze_batch_norm:
        for module in run.task.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
    for step in range(run.step, job.steps):
        run.loss_sum += train_step(job, order[step * job.batch_size : (step + 1) * job.batch_size], epoch, step)
        run.step = step + 1
        update_average(run.average, run.task.model, recipe.ema_decay, epoch * job.steps + step)
        bar.set_postfix_str(f"loss {run.loss_sum / run.step:.3f}", refresh=False)
        bar.update()
        if job.stopping:
            bar.close()
            return False
        if time.monotonic() - job.saved > job.config.checkpoint_every:
            job.save()
    bar.close()
    dtype = "bf16" if job.accelerator.mixed_precision == "bf16" else "fp32"
    logits = predict_logits(averaged_model(run, job.spec), job.data.canvases["val"], dtype=dtype)
    accuracy = float((logits.argmax(1) == job.data.labels["val"]).mean())
    val_loss = negative_log_likelihood(logits, job.data.labels["val"])
    lr = learning_rate(recipe, epoch + (job.steps - 1) / job.steps)
    values = [lr, run.loss_sum / job.steps, accuracy, val_loss, time.monotonic() - started]
    run.log.append(dict(zip(LOG_COLUMNS, [epoch + 1, *(round(value, 6) for value in values)], strict=True)))
    memory = peak_memory(job.accelerator.device) / 2**20
    job.say(
        f"epoch {epoch + 1}: train loss {values[1]:.4f}, val accuracy {accuracy:.4f}, {values[4]:.0f} s, "
        f"peak memory so far {memory:.0f} MiB"
    )
    run.epoch, run.step, run.loss_sum = epoch + 1, 0, 0.0
    return True


def train_step(job: Job, batch: np.ndarray, epoch: int, step: int) -> float:
    """Do one optimizer step on this process's share of the batch's indices; return the whole batch's loss."""
    accelerator, recipe, run = job.accelerator, job.recipe, job.run
    index, count = accelerator.process_index, accelerator.num_processes
    mine = batch[index::count]
    # One seed for all, by which the images of a batch are augmented alike however many processes share it.
    seed, own = (int(np.random.SeedSequence([recipe.seed, epoch, step, i]).generate_state(1)[0]) for i in (0, index))
    torch.manual_seed(own)  # dropout, if any
    images = torch.from_numpy(job.data.canvases["train"][mine]).to(accelerator.device).float() / 255
    generator = torch.Generator().manual_seed(seed)
    polarity = None
    if job.spec.polarity:
        up = torch.from_numpy(job.data.arms["train"][mine]).to(accelerator.device)
        images, polarity = turn_some(images, up, Draws(generator, len(images), index, count))
    images = recipe.augment(images, generator, index, count) * 255
    labels: torch.Tensor = torch.from_numpy(job.data.labels["train"][mine]).to(accelerator.device)
    if recipe.mixup:
        images, labels = mix(images, labels, job.spec.num_classes, recipe.mixup, own)
    inputs = normalise(images, job.spec).contiguous(memory_format=torch.channels_last)
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(recipe, epoch + step / job.steps)
    loss = job.wrapped(inputs, labels, float(epoch), polarity)
    value = job.share(float(loss.detach()))  # before the backward pass, in which processes wait for each other
    if not math.isfinite(value):
        raise job.diverged("the loss")
    accelerator.backward(loss)
    if recipe.clip_grad:
        accelerator.clip_grad_norm_(job.wrapped.parameters(), recipe.clip_grad)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    return value


def turn_some(images: torch.Tensor, up: torch.Tensor, draws: Draws) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn half of the images by 180 degrees: returns (B, H, W) images, and (B,) bool whether the short arm is up now.

    Args:
        images: (B, H, W).
        up: (B,) bool, whether the short arm was up.
        draws: which are turned.
    """
    turned = (draws.rand() < 0.5).to(images.device)
    return torch.where(turned[:, None, None], images.flip(1, 2), images), up ^ turned


def check_polarity(spec: ModelSpec, recipe: Recipe) -> None:
    """Refuse what would teach a model with polarity the wrong end.

    Raises:
        GricolZooError: names the field of the recipe.
    """
    if spec.polarity and recipe.augment.flip_arms:
        raise GricolZooError("Training with polarity already turns half of the images. Set the recipe's `flip_arms` to 0.")
    if spec.polarity and recipe.mixup:
        raise GricolZooError("`mixup` blends images of both polarities, so it cannot be used with polarity. Set it to 0.")


def measure_val(images: ImageSet, spec: ModelSpec, scale: str | float) -> Likeness | None:
    """Measure what the val images are like; None where the preparation measures nothing."""
    how = spec.preprocess
    if how.version < 2 or how.orientation == "as-is":
        return None
    factors = image_factors(how, images, scale)
    prepared = load_prepared(images, spec, factors)
    each = np.ones(len(prepared)) if factors is None else factors
    measures = [measure(one, how.length, float(by)) for one, by in zip(prepared, each, strict=True)]
    cells = [f"{record.case}/{record.cell}" if record.cell else "" for record in images.records]
    return Likeness(measures, cells, [one.light for one in prepared])


def start_model(spec: ModelSpec, model_name: str, seed: int, init: str, say: Speaker) -> tuple[GridModel, dict[str, Any]]:
    """Return the model to train, and what came with the weights it starts from (nothing for random ones)."""
    torch.manual_seed(seed)
    model = build(spec)
    start: dict[str, Any] = {}
    if init:
        report = load_weights(model, find_weights(init), other_grid=True)
        say(
            f"starting from {init}: {len(report.kept) + len(report.adapted)} tensors reused, {len(report.new)} initialised anew"
        )
        start, model.load_report, model.info = model.info, None, {}
    model.name = MODELS.resolve(parse_model_name(model_name).arch)
    return model, start


def changed_spec(model_name: str, images: ImageSet, changes: Mapping[str, Any] | None = None) -> ModelSpec:
    """Return the spec to train: the registered one, changed, with the data's own classes where they are not chromosomes."""
    found = sorted({record.label for record in images.records})
    if "" in found:
        raise GricolZooError(f"{images.store.root} has images without a label. Training needs a label for each image.")
    spec = MODELS.get(parse_model_name(model_name).arch).replace(**(changes or {}))
    if set(found) <= set(CHROMOSOMES):
        return spec
    if len(found) > 1000:
        raise GricolZooError(f"Expected at most 1000 classes, but {images.store.root} has {len(found)} different labels.")
    return spec.replace(num_classes=len(found), class_names=tuple(found))


def averaged_model(run: Training, spec: ModelSpec) -> GridModel:
    """Return a copy of the model with the averaged weights, for evaluation."""
    model = build(spec)
    model.load_state_dict(run.average)
    device = next(run.task.parameters()).device
    return model.to(device).to(memory_format=torch.channels_last).eval()


def write_result(job: Job, record: dict[str, Any]) -> None:
    """Write the averaged weights, and calibrate what they say on the val part, as they are on disk."""
    model = averaged_model(job.run, job.spec).cpu()
    model.name = job.run.task.model.name
    model.load_state_dict(half_precision(model.state_dict()))  # as they will be on disk
    canvases, labels, arms = job.data.canvases["val"], job.data.labels["val"], job.data.arms["val"]
    logits, up = predict_both(model, canvases)
    temperature = fit_temperature(logits, labels)
    confidence = softmax(logits, temperature).max(1)
    correct = logits.argmax(1) == labels
    threshold = review_threshold(confidence, correct)
    val = job.data.val
    reference = None if val is None else fit_reference(val.measures, val.cells, confidence < UNSURE, val.light)
    every = predict_logits(model, canvases, full=True) if model.splitter.num_cells else logits
    polarity = {} if up is None else {"polarity_accuracy": polarity_accuracy(model, canvases, arms, up)}
    info: dict[str, Any] = {
        "temperature": round(temperature, 4),
        "temperature_full": round(fit_temperature(every, labels), 4),
        "review_threshold": threshold,
        "val": {
            "images": len(labels),
            "accuracy": float(correct.mean()),
            "ece": expected_calibration_error(confidence, correct),
            "review_fraction": float((confidence < threshold).mean()),
            **polarity,
        },
        **({} if reference is None else {"reference": reference.to_dict()}),
        "training": {
            **record,
            "recipe": job.recipe.to_dict(),
            "library": {"torch": torch.__version__, "numpy": np.__version__},
        },
    }
    save_model(model, job.config.out, info)
    job.say(f"val accuracy {info['val']['accuracy']:.4f}; weights in {job.config.out}")
