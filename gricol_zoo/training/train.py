"""One training, from a table of images to a folder with weights: a loop that can be read to the end.

It runs on Hugging Face accelerate: the same command on one processor, or under ``accelerate launch`` on several GPUs
and machines. Each step's randomness is derived from (seed, epoch, step) alone, so a run that was killed and resumed
ends with the same weights, bit for bit, as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from gricol_zoo.data.arrays import arms_up, image_factors, label_indices, load_prepared, normalise
from gricol_zoo.data.augment import mix
from gricol_zoo.data.draws import Draws
from gricol_zoo.data.prepare import check_parts, missing_classes, prepare_data
from gricol_zoo.data.quality import UNSURE, Reference, fit_reference, measure
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
from gricol_zoo.progress import Speaker, Stop, peak_memory, stop_on_signals
from gricol_zoo.spec import CHROMOSOMES, ModelSpec
from gricol_zoo.training.checkpoint import LOG_COLUMNS, Training, restore
from gricol_zoo.training.job import CHECKPOINT_FILE, Job
from gricol_zoo.training.losses import GridLoss
from gricol_zoo.training.optim import learning_rate, make_optimizer, update_average
from gricol_zoo.training.recipes import Recipe
from gricol_zoo.training.task import TrainingTask
from gricol_zoo.weights.resolve import find_weights
from gricol_zoo.weights.tensors import half_precision, load_weights, save_model


def train(
    images: ImageSet,
    split: dict[tuple[str, str], str],
    model_name: str,
    recipe: Recipe,
    out: Path,
    *,
    init: str = "",
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    time_limit: float = math.inf,
    device: str = "",
    checkpoint_every: float = 120.0,
    split_name: str = "",
    grad_checkpointing: bool = False,
    compile: bool = False,
    scale: str | float = "none",
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
        init: a name with weights, or a folder, whose weights are the start; "" starts from random ones. With another grid or
            none, its lower branch is the start.
        changes: fields of the model's spec to change; of ``preprocess`` too, as a mapping: what it sets is not measured.
        resume: go on from the folder's checkpoint, if there is one.
        time_limit: seconds after which to stop cleanly, with a checkpoint.
        device: "cpu", "cuda", ...; "" takes what accelerate finds.
        checkpoint_every: seconds between checkpoints.
        split_name: what to write of the split into the config.
        grad_checkpointing: recompute the backbone's blocks in the backward pass: less memory, more time, and with our own
            backbones the same result (timm's count each batch twice in their running statistics).
        compile: run the backbone through torch.compile, which needs a C++ compiler and a minute or two at the first step.
        scale: what the crops' pixels are multiplied by: "none", a number, or "auto", by the lengths of each cell.

    Returns:
        Whether the training is finished (False: stopped by the time limit or by a signal; ``resume`` goes on).

    Raises:
        GricolZooError: leaks, unknown labels, a folder in use, or a checkpoint of another run.
    """
    if grad_checkpointing and compile:
        raise GricolZooError("Gradient checkpointing and compiling do not go together. Choose one.")
    if recipe.freeze_batch_norm and not init:
        raise GricolZooError("`freeze_batch_norm` keeps the statistics of given weights, but there are none. Give `init`.")
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState

    deadline = time.monotonic() + time_limit
    checkpoint = out / CHECKPOINT_FILE
    if checkpoint.exists() and not resume:
        raise GricolZooError(f"{out} holds a run already. Give --resume to go on with it, or another --out.")
    dtype = choose_dtype(recipe.precision, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    # With beta 0 the upper branch sits out the first epochs, which data-parallel training must be told.
    unused = DistributedDataParallelKwargs(find_unused_parameters=recipe.beta == 0)
    precision = "bf16" if dtype == "bf16" else "no"
    AcceleratorState._reset_state()  # it keeps the precision of whatever trained before in this process
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=precision, kwargs_handlers=[unused])
    say = Speaker(accelerator.is_main_process)
    parts = check_parts(images, split)
    check_share(recipe.batch_size, len(parts["train"]), accelerator.num_processes)
    for note in missing_classes(parts):
        say(f"warning: {note}")
    if accelerator.num_processes > 1:
        say(f"{accelerator.num_processes} processes share each batch of {recipe.batch_size}")
    say(f"{len(parts['train'])} images to train on, {len(parts['val'])} for validation; reading them")
    given = set((changes or {}).get("preprocess", {}))
    spec = changed_spec(model_name, images, changes)
    check_polarity(spec, recipe)
    spec, canvases = prepare_data(parts, spec, given, scale)
    labels = {part: label_indices(parts[part].records, spec.labels, images.name) for part in canvases}
    arms = {part: arms_up(parts[part].records) for part in canvases}
    model, start = start_model(spec, model_name, recipe.seed, init, say)
    task = TrainingTask(model, GridLoss(recipe.beta, recipe.ramp * recipe.epochs, recipe.label_smoothing))
    check_phases(task, model_name, recipe)
    unused.find_unused_parameters |= bool(task.phases)
    task.to(memory_format=torch.channels_last)
    run = Training(task, make_optimizer(task, recipe), {key: value.clone() for key, value in model.state_dict().items()})
    seen = parts["train"]
    data: dict[str, Any] = {"data": seen.name, "data_sha256": seen.sha256(), "images": len(seen), "split": split_name}
    if scale != "none":
        data["scale"] = scale
    identity = {"model": model_name, "spec": spec.to_dict(), "recipe": recipe.to_dict(), **data}
    identity["init"] = str(start.get("sha256", ""))  # the weights it starts from, wherever they lie
    if checkpoint.exists():
        restore(run, checkpoint, json.loads(json.dumps(identity)))
        say(f"resuming at epoch {run.epoch}, step {run.step}")
    if grad_checkpointing:
        model.set_grad_checkpointing()
    if compile:
        model.backbone.compile()
    wrapped, run.optimizer = accelerator.prepare(task, run.optimizer)
    run.average = {key: value.to(accelerator.device) for key, value in run.average.items()}
    job = Job(
        run,
        wrapped,
        accelerator,
        recipe,
        spec,
        canvases,
        labels,
        arms,
        parts["val"],
        identity,
        out,
        deadline,
        checkpoint_every,
        Stop(),
        say,
    )
    job.saved = time.monotonic()
    with stop_on_signals() as job.stop:
        while run.epoch < recipe.epochs:
            finished = train_epoch(job)
            job.save()
            if not finished:
                say(f"stopped at epoch {run.epoch + 1}, step {run.step}; go on with --resume")
                return False
    if accelerator.is_main_process:
        groups = {group_of(record) for record in seen.records} - {""}
        groups |= set(start.get("training", {}).get("groups", []))  # what the starting weights saw counts as seen
        write_result(job, model.name, {**data, "init_sha256": str(start.get("sha256", "")), "groups": sorted(groups)})
    accelerator.wait_for_everyone()
    return True


def check_share(batch_size: int, images: int, processes: int) -> None:
    """Refuse a batch that processes cannot share evenly: their mean would not be the batch's.

    Raises:
        GricolZooError: names the sizes that would do; or there are fewer images than processes.
    """
    if images < processes:
        raise GricolZooError(f"Expected at least one image a process, but got {images} for {processes}. Start fewer processes.")
    if batch_size % processes:
        below = batch_size - batch_size % processes
        near = f"{below} or {below + processes}" if below else str(processes)
        raise GricolZooError(
            f"`batch_size` is of all {processes} processes together and has to be shared evenly: {batch_size} cannot be, "
            f"{near} can. Change it in the recipe."
        )


def check_phases(task: TrainingTask, model_name: str, recipe: Recipe) -> None:
    """Refuse a recipe that ends before the model's last stage, which would leave its classifier untrained.

    Raises:
        GricolZooError: says how many epochs it takes.
    """
    if task.phases and recipe.epochs <= task.phases[-1]:
        raise GricolZooError(
            f"{model_name} trains in stages, the last of which begins after {task.phases[-1]} epochs, but the recipe has "
            f"{recipe.epochs}. Raise `epochs`, or let it begin sooner: `--change backbone_options.OPTION=EPOCHS`."
        )


def train_epoch(job: Job) -> bool:
    """Do what is left of the current epoch and measure it on val; False if it had to stop in between."""
    run, recipe, epoch, started = job.run, job.recipe, job.run.epoch, time.monotonic()
    bar = job.say.bar(job.steps, f"epoch {epoch + 1}/{recipe.epochs}", run.step)
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(job.canvases["train"]))
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
        if time.monotonic() - job.saved > job.checkpoint_every:
            job.save()
    bar.close()
    dtype = "bf16" if job.accelerator.mixed_precision == "bf16" else "fp32"
    logits = predict_logits(averaged_model(run, job.spec), job.canvases["val"], dtype=dtype)
    accuracy = float((logits.argmax(1) == job.labels["val"]).mean())
    val_loss = negative_log_likelihood(logits, job.labels["val"])
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
    images = torch.from_numpy(job.canvases["train"][mine]).to(accelerator.device).float() / 255
    generator = torch.Generator().manual_seed(seed)
    polarity = None
    if job.spec.polarity:
        up = torch.from_numpy(job.arms["train"][mine]).to(accelerator.device)
        images, polarity = turn_some(images, up, Draws(generator, len(images), index, count))
    images = recipe.augment(images, generator, index, count) * 255
    labels: torch.Tensor = torch.from_numpy(job.labels["train"][mine]).to(accelerator.device)
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
        raise GricolZooError("A model with polarity turns half of its images in training. Set the recipe's `flip_arms` to 0.")
    if spec.polarity and recipe.mixup:
        raise GricolZooError("`mixup` blends images that may lie either way up, which a model with polarity cannot learn from.")


def val_reference(job: Job, confidence: np.ndarray) -> Reference | None:
    """Note what the val images are like, for warnings about others; None where the preparation measures nothing.

    Args:
        job: with its val images.
        confidence: (n,) calibrated probability of the class that each got.
    """
    how = job.spec.preprocess
    if how.version < 2 or how.orientation == "as-is":
        return None
    factors = image_factors(how, job.val, job.identity.get("scale", "none"))
    prepared = load_prepared(job.val, job.spec, factors)
    each = np.ones(len(prepared)) if factors is None else factors
    measures = [measure(one, how.length, float(by)) for one, by in zip(prepared, each, strict=True)]
    cells = [f"{record.case}/{record.cell}" if record.cell else "" for record in job.val.records]
    return fit_reference(measures, cells, confidence < UNSURE, [one.light for one in prepared])


def start_model(spec: ModelSpec, model_name: str, seed: int, init: str, say: Speaker) -> tuple[GridModel, dict[str, Any]]:
    """Return the model to train, and what came with the weights it starts from (nothing for random ones)."""
    torch.manual_seed(seed)
    model = build(spec)
    start: dict[str, Any] = {}
    if init:
        report = load_weights(model, find_weights(init), other_grid=True)
        say(f"starting from {init}: {len(report.kept) + len(report.adapted)} tensors taken, {len(report.new)} started anew")
        start, model.load_report, model.info = model.info, None, {}
    model.name = MODELS.resolve(parse_model_name(model_name).arch)
    return model, start


def changed_spec(model_name: str, images: ImageSet, changes: Mapping[str, Any] | None = None) -> ModelSpec:
    """Return the spec to train: the registered one, changed, with the data's own classes where they are not chromosomes."""
    found = sorted({record.label for record in images.records})
    if "" in found:
        raise GricolZooError(f"{images.store.root} has images without a label; training needs one for each.")
    spec = MODELS.get(parse_model_name(model_name).arch).replace(**(changes or {}))
    if set(found) <= set(CHROMOSOMES):
        return spec
    if len(found) > 1000:
        raise GricolZooError(f"{len(found)} different labels in {images.store.root}: expected at most 1000 classes.")
    return spec.replace(num_classes=len(found), class_names=tuple(found))


def averaged_model(run: Training, spec: ModelSpec) -> GridModel:
    """Return a copy of the model with the averaged weights, for evaluation."""
    model = build(spec)
    model.load_state_dict(run.average)
    device = next(run.task.parameters()).device
    return model.to(device).to(memory_format=torch.channels_last).eval()


def write_result(job: Job, name: str, record: dict[str, Any]) -> None:
    """Write the averaged weights, and calibrate what they say on the val part, as they are on disk."""
    model = averaged_model(job.run, job.spec).cpu()
    model.name = name
    model.load_state_dict(half_precision(model.state_dict()))  # as they will be on disk
    labels = job.labels["val"]
    logits, up = predict_both(model, job.canvases["val"])
    temperature = fit_temperature(logits, labels)
    confidence = softmax(logits, temperature).max(1)
    correct = logits.argmax(1) == labels
    threshold = review_threshold(confidence, correct)
    reference = val_reference(job, confidence)
    every = predict_logits(model, job.canvases["val"], full=True) if model.splitter.num_cells else logits
    info: dict[str, Any] = {
        "temperature": round(temperature, 4),
        "temperature_full": round(fit_temperature(every, labels), 4),
        "review_threshold": threshold,
        "val": {
            "images": len(labels),
            "accuracy": float(correct.mean()),
            "ece": expected_calibration_error(confidence, correct),
            "review_fraction": float((confidence < threshold).mean()),
            **({} if up is None else {"polarity_accuracy": polarity_accuracy(model, job.canvases["val"], job.arms["val"], up)}),
        },
        **({} if reference is None else {"reference": reference.to_dict()}),
        "training": {
            **record,
            "recipe": job.recipe.to_dict(),
            "library": {"torch": torch.__version__, "numpy": np.__version__},
        },
    }
    save_model(model, job.out, info)
    job.say(f"val accuracy {info['val']['accuracy']:.4f}; weights in {job.out}")
