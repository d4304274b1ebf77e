"""One training, from a table of images to a folder with weights, in one plain loop.

It runs on Hugging Face accelerate: the same command on one processor, or under ``accelerate launch`` on several GPUs
and machines. Each step's random numbers depend on (seed, epoch, step) alone, so a run that was killed and resumed
ends with the same weights, bit for bit, as one that was not.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gricol_zoo.data.arrays import arms_up, label_indices, normalise
from gricol_zoo.data.augment import mix
from gricol_zoo.data.crops import read_once
from gricol_zoo.data.draws import Draws
from gricol_zoo.data.prepare import check_parts, missing_classes, prepare_data
from gricol_zoo.data.split import IMAGE_LEVEL, group_of, split_rows, write_split
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel, build
from gricol_zoo.inference.calibration import (
    negative_log_likelihood,
)
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.inference.precision import choose_dtype
from gricol_zoo.inference.variables import changing_variables
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.models.names import parse_model_name
from gricol_zoo.models.presets import MODELS
from gricol_zoo.progress import Speaker, peak_memory, stop_on_signals
from gricol_zoo.spec import ModelSpec
from gricol_zoo.training.checks import changed_spec, check_phases, check_polarity, check_share
from gricol_zoo.training.config import TrainConfig
from gricol_zoo.training.losses import GridLoss
from gricol_zoo.training.optim import learning_rate, make_optimizer, update_average
from gricol_zoo.training.recipes import Recipe
from gricol_zoo.training.result import averaged_model, measure_val, write_result
from gricol_zoo.training.state import CHECKPOINT_FILE, LOG_COLUMNS, Data, Job, Training, restore
from gricol_zoo.training.task import TrainingTask
from gricol_zoo.weights.pixels import count_known, pack, unpack
from gricol_zoo.weights.resolve import find_weights
from gricol_zoo.weights.tensors import load_weights


def train(
    images: ImageSet, split: dict[tuple[str, str], str], model_name: str, recipe: Recipe, out: Path, **options: Any
) -> bool:
    """Train a model on the train part of a split and write it to a folder.

    Writes model.safetensors and config.json (the averaged weights after the last epoch: nothing is selected),
    log.csv (one row per epoch), checkpoint.pt, and split.csv if the split is by case or cell. The val part is evaluated
    after each epoch and calibrates the probabilities at the end; the test part is never used.

    Args:
        images: the whole labelled set.
        split: (case, cell) -> part.
        model_name: a registered name.
        recipe: how to train.
        out: the output folder.
        options: the other fields of ``gricol_zoo.training.config.TrainConfig``, which documents them.

    Returns:
        Whether the training is finished (False: stopped by the time limit or by a signal; ``resume`` continues it).

    Raises:
        GricolZooError: leaks, unknown labels, a folder in use, or a checkpoint of another run.
    """
    return run_training(images, split, TrainConfig(model_name, recipe, out, **options))


def run_training(images: ImageSet, split: dict[tuple[str, str], str], config: TrainConfig) -> bool:
    """Train by a config; returns and raises as ``train`` does."""
    out = config.out
    deadline = time.monotonic() + config.time_limit
    if (out / CHECKPOINT_FILE).exists() and not config.resume:
        raise GricolZooError(f"{out} already has a run. Give --resume to continue it, or another --out.")
    accelerator = make_accelerator(config)
    say = Speaker(accelerator.is_main_process)
    spec, data = read_data(images, split, config, accelerator.num_processes, say)
    run, start = start_run(spec, config, say)
    if known := count_known(data.pixels["val"], run.task.model.training_pixels):
        total = len(data.pixels["val"])
        say(f"warning: {config.init} was trained on {known} of the {total} validation images; the val accuracy is optimistic")
    identity = {"model": config.model_name, "spec": spec.to_dict(), "recipe": config.recipe.to_dict(), **data.record}
    identity["init"] = start.sha256  # the weights it starts from, wherever they are stored
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
    if accelerator.is_main_process and not config.split_name.startswith(IMAGE_LEVEL):
        out.mkdir(parents=True, exist_ok=True)
        write_split(split_rows(split), out / "split.csv")  # so that the test part can be scored if the split was made here
    finished = train_epochs(job)
    if finished and accelerator.is_main_process:
        groups = data.groups | (start.groups or set())  # images that the initial weights have seen count as seen
        record = {**data.record, "init_sha256": identity["init"], "groups": sorted(groups)}
        if variables := changing_variables():
            record["environment"] = variables
        write_result(job, record, all_pixels(data.pixels["train"], run.task.model.training_pixels, config.init, say))
    accelerator.wait_for_everyone()
    return finished


def all_pixels(own: list[bytes], starts: bytes | None, init: str, say: Speaker) -> bytes | None:
    """Return the bytes of pixels.bin: of the training images, and of those of the initial weights; None if not known."""
    if init and starts is None:
        say(f"warning: {init} does not record its training images, so these weights will not either")
        return None
    return pack([*own, *unpack(starts or b"")])


def make_accelerator(config: TrainConfig) -> Any:
    """Return the accelerator, with the requested device and precision."""
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState

    recipe, device = config.recipe, config.device
    dtype = choose_dtype(recipe.precision, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    # With beta 0 the upper branch is not used in the first epochs, which data-parallel training has to know.
    unused = DistributedDataParallelKwargs(find_unused_parameters=recipe.beta == 0)
    precision = "bf16" if dtype == "bf16" else "no"
    AcceleratorState._reset_state()  # it keeps the precision of whatever trained before in this process
    return Accelerator(cpu=device == "cpu", mixed_precision=precision, kwargs_handlers=[unused])


def read_data(
    images: ImageSet, split: dict[tuple[str, str], str], config: TrainConfig, processes: int, say: Speaker
) -> tuple[ModelSpec, Data]:
    """Split the images and read each once; return the spec to train, and the data of train and val."""
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
    pixels = {part: [parts[part].pixel_hash(record) for record in parts[part].records] for part in canvases}
    val = measure_val(parts["val"], spec, config.scale)
    return spec, Data(canvases, labels, arms, describe_data(seen, config), groups, pixels, val)


def start_run(spec: ModelSpec, config: TrainConfig, say: Speaker) -> tuple[Training, WeightsInfo]:
    """Return a run before its first step, and the info of the weights it starts from (empty for random ones)."""
    recipe = config.recipe
    model, start = start_model(spec, config.model_name, recipe.seed, config.init, say)
    task = TrainingTask(model, GridLoss(recipe.beta, recipe.ramp * recipe.epochs, recipe.label_smoothing))
    check_phases(task, config.model_name, recipe)
    task.to(memory_format=torch.channels_last)
    average = {key: value.clone() for key, value in model.state_dict().items()}
    return Training(task, make_optimizer(task, recipe), average), start


def describe_data(seen: ImageSet, config: TrainConfig) -> dict[str, Any]:
    """Return what the config records about the training images."""
    data = {"data": seen.name, "data_sha256": seen.sha256(), "images": len(seen), "split": config.split_name}
    return data if config.scale == "none" else {**data, "scale": config.scale}


def wrap(run: Training, accelerator: Any, config: TrainConfig) -> nn.Module:
    """Move a run to its device; return its task, wrapped by accelerate."""
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
    """Train the remaining epochs, with a checkpoint after each; False if it was stopped before the end."""
    run = job.run
    with stop_on_signals() as job.stop:
        while run.epoch < job.recipe.epochs:
            finished = train_epoch(job)
            job.save()
            if not finished:
                job.say(f"not finished: stopped at epoch {run.epoch + 1}, step {run.step}; continue with --resume")
                return False
    return True


def train_epoch(job: Job) -> bool:
    """Train the rest of the current epoch and evaluate on val; False if it was stopped before the end."""
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
    # One seed for all processes, so that a batch is augmented in the same way however many processes share it.
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
    """Turn about half of the images by 180 degrees; return (B, H, W) images, and (B,) bool, whether the short arm is up now.

    Args:
        images: (B, H, W).
        up: (B,) bool, whether the short arm was up.
        draws: random numbers that decide which images are turned.
    """
    turned = (draws.rand() < 0.5).to(images.device)
    return torch.where(turned[:, None, None], images.flip(1, 2), images), up ^ turned


def start_model(spec: ModelSpec, model_name: str, seed: int, init: str, say: Speaker) -> tuple[GridModel, WeightsInfo]:
    """Return the model to train, and the info of the weights it starts from (empty for random ones)."""
    torch.manual_seed(seed)
    model = build(spec)
    start = WeightsInfo()
    if init:
        source = find_weights(init)
        report = load_weights(model, source, other_grid=True)
        say(
            f"starting from {init}: {len(report.kept) + len(report.adapted)} tensors reused, {len(report.new)} initialised anew"
        )
        start, model.load_report, model.info = source.info, None, WeightsInfo()
    model.name = MODELS.resolve(parse_model_name(model_name).arch)
    return model, start
