"""Several processes, started by accelerate's launcher, train the same as one process."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from helpers.processes import FROZEN, INIT, arguments, finish, launched, same, training
from helpers.synthetic import tiny_set
from safetensors.numpy import load_file
from torch.distributed.elastic.utils.distributed import get_free_port

from gricol_zoo import GricolZooError
from gricol_zoo.cli import main
from gricol_zoo.data.augment import Augment
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import split_for
from gricol_zoo.training.checks import check_share
from gricol_zoo.training.train import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    tiny_set(folder / "set")
    (folder / "recipe.json").write_text(json.dumps(FROZEN.to_dict()))
    return folder


@pytest.fixture(scope="module")
def one(folder):
    assert main(arguments(folder, folder / "one")) == 0
    return folder / "one"


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(folder, one):
    ((said, code),) = finish(training(launched(2, get_free_port()), folder, folder / "two"))
    assert code == 0, said
    assert "2 processes share each batch of 4" in said
    assert said.count("epoch 1: train loss") == 1
    same(one, folder / "two")


@pytest.mark.slow
def test_two_machines_have_it_too(folder, one):
    port = get_free_port()
    runs = [training(launched(2, port, 2, rank), folder, folder / "machines") for rank in (0, 1)]
    for said, code in finish(*runs):
        assert code == 0, said
    same(one, folder / "machines")


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(folder, one):
    out = folder / "stopped"
    ((said, code),) = finish(training(launched(2, get_free_port()), folder, out, "--time-limit", "0"))
    assert "continue with --resume" in said, said
    ((said, code),) = finish(training(launched(2, get_free_port()), folder, out, "--resume"))
    assert code == 0, said
    assert "resuming at epoch 0, step 1" in said
    same(one, out)


@pytest.mark.parametrize(
    ("numbers", "said"), [((3, 9, 4), "but got 3. Set it to 4"), ((8, 3, 4), "one image per process, but got 3 for 4")]
)
def test_what_cannot_be_shared(numbers, said):
    with pytest.raises(GricolZooError, match=said):
        check_share(*numbers)
    check_share(8, 9, 4)


def test_frozen_norms_need_statistics(chromosomes, tmp_path):
    images, split, _ = split_for(open_images(chromosomes), 0)
    with pytest.raises(GricolZooError, match="Give `init`"):
        train(images, split, "r18half_128", FROZEN, tmp_path, device="cpu")


@pytest.mark.slow
def test_frozen_norms_keep_their_statistics(one):
    from gricol_zoo import create_model

    before = create_model(INIT, pretrained=True).state_dict()
    after = load_file(one / "model.safetensors")
    kept = [key for key in before if key.endswith(("running_mean", "running_var"))]
    assert len(kept) == 84  # both sets
    for key in kept:
        np.testing.assert_array_equal(before[key].numpy(), after[key], err_msg=key)
    assert not np.array_equal(before["backbone.bn1.weight"].numpy(), after["backbone.bn1.weight"])


@pytest.mark.parametrize("processes", [2, 3])
def test_a_batch_is_augmented_alike_however_many_share_it(processes):
    strengths = {field.name: 0.3 for field in dataclasses.fields(Augment)}
    augment = Augment(**{**strengths, "neighbour": 0})  # a neighbour is a piece of another image of the same process
    images = torch.rand(6, 40, 30)
    whole = augment(images, torch.Generator().manual_seed(3))
    for index in range(processes):
        mine = augment(images[index::processes], torch.Generator().manual_seed(3), index, processes)
        torch.testing.assert_close(mine, whole[index::processes], rtol=0, atol=1e-5)
