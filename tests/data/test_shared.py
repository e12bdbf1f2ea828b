"""Jobs of a sweep in one process load their data once, and come out as if each had run alone."""

import functools
import gc
import os
import random
import weakref

import numpy as np
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from litlab.data.shared import SharedCopy, shared_copy
from litlab.data.splits import Split
from litlab.data.tensors import TensorData
from litlab.verbs.train import train

X = torch.arange(20.0).reshape(10, 2)


class Counted(TensorData):
    """Two columns. It knows how often it was loaded, and does then what the test wants."""

    input_shape, num_outputs = (2,), 1

    def __init__(self, loads, *, file="", action=lambda data: None, **settings):
        super().__init__(**settings)
        self.loads, self.file, self.action = loads, file, action

    def load(self):
        self.loads.append(self)
        return self.action(self) or (Split(X, X[:, 0]), Split(X, X[:, 0]))


@pytest.fixture
def job():
    """The data of one job after another, set up; and how often data were loaded so far."""
    copy, loads = SharedCopy(), []

    def begin(**settings):
        data = Counted(loads, **settings)
        data.shared = functools.partial(copy.get, settings)
        data.setup()
        return data, len(loads)

    return begin


@pytest.mark.parametrize(
    ("other", "loads"),
    [
        ({}, 1),
        ({"batch_size": 2, "eval_batch_size": 5, "shuffle": False, "drop_last": True, "passes_per_epoch": 3}, 1),
        ({"split_seed": 1}, 2),
        ({"val_size": 0.1}, 2),
        ({"folds": 5, "fold": 1}, 2),
        ({"normalize": True}, 2),
    ],
)
def test_jobs_of_the_same_settings_load_once(job, other, loads):
    first, _ = job(val_size=1)
    second, count = job(**{"val_size": 1} | other)
    assert count == loads
    assert (second.splits["train"].inputs is first.splits["train"].inputs) == (loads == 1)
    assert second.splits is not first.splits  # each job moves its own to its device
    assert job(val_size=1)[1] == (1 if loads == 1 else 3)  # the newest copy is the only one


@torch.inference_mode()
def embed(_):
    return Split(X * 1, X[:, 0] * 1), None


@pytest.mark.parametrize("draw", [torch.rand, np.random.rand, lambda _: random.random(), embed])
def test_data_that_are_drawn_by_the_seed_or_do_not_tell_of_changes_are_each_jobs_own(job, draw):
    settings = {"action": embed if draw is embed else lambda _: draw(1) and None, "test_on_train": draw is embed}
    assert [job(**settings)[1], job(**settings)[1]] == [1, 2]


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad])
def test_a_job_that_changes_a_batch_in_place_spoils_no_other(job, mode):
    """A model with nn.ReLU(inplace=True) first does so: unshuffled batches are views of the split."""
    data, _ = job(normalize=True)
    before = data.splits["test"].inputs.clone()
    with mode():
        data.splits["test"].inputs.split(4)[1].relu_()
    assert not torch.equal(data.splits["test"].inputs, before)
    again, loads = job(normalize=True)
    assert loads == 2 and torch.equal(again.splits["test"].inputs, before)


def test_what_loading_sets_is_set_in_each_job_and_changes_are_loaded_again(job, tmp_path):
    def name_columns(data):
        data.feature_names, data.unit = ("a", "b"), None

    settings = {"action": name_columns, "test_on_train": True}
    job(**settings)
    data, loads = job(**settings)
    assert (loads, data.feature_names, data.unit) == (1, ("a", "b"), None)
    job(normalize=True)
    try:
        torch.set_num_threads(torch.get_num_threads() + 1)
        assert job(normalize=True)[1] == 3
    finally:
        torch.set_num_threads(torch.get_num_threads() - 1)
    file = tmp_path / "scores.csv"
    file.write_text("1")
    for path in (str(file), str(tmp_path)):  # the file, or the folder that it lies in
        before = job(file=path)[1]
        assert job(file=path)[1] == before
        file.write_text(file.read_text() + "1")
        assert job(file=path)[1] == before + 1
        os.utime(file, ns=(0, before))  # of the same size
        assert job(file=path)[1] == before + 2


@pytest.fixture
def in_sweep(monkeypatch, tmp_path):
    """From now on this process runs jobs of a sweep in that folder."""

    def begin(folder):
        hydra = {"mode": RunMode.MULTIRUN, "sweep": {"dir": folder}, "sweeper": {"_target_": "hydra_plugins.litlab_x"}}
        monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": hydra}))

    yield begin
    shared_copy.cache_clear()


@pytest.mark.slow
def test_jobs_that_share_data_come_out_as_if_alone(compose, in_sweep, monkeypatch, same_weights):
    jobs = [(0, 64, True), (1, 32, True), (1, 32, False), (0, 64, False), (0, 64, True)]
    words = "seed={}", "data.batch_size={}", "data.normalize={}"
    seen, alive, finished = [], [], TensorData._final_splits

    def watched(data):
        alive.append([each() is not None for each in seen])
        splits = finished(data)
        seen.extend(weakref.ref(each) for each in (data, *splits["train"]))
        return splits

    def outcome(job):
        config = compose(
            *(word.format(value) for word, value in zip(words, job, strict=True)),
            *("model=mlp", "model.hidden_sizes=[8]", "trainer.max_epochs=1", "task.steps_per_execution=8"),
            pictures=False,
        )
        result = train(config)
        return torch.load(result.checkpoint, weights_only=True)["state_dict"], result.metrics

    alone = {job: outcome(job) for job in set(jobs)}
    monkeypatch.setattr(TensorData, "_final_splits", watched)
    in_sweep("first")
    gc.disable()  # it would come by some time, or not
    try:
        together = [outcome(job) for job in jobs]
        in_sweep("second")
        outcome(jobs[-1])
    finally:
        gc.enable()
    for job, (weights, metrics) in zip(jobs, together, strict=True):
        assert same_weights(weights, alone[job][0]) and metrics == alone[job][1]
    assert not same_weights(alone[jobs[0]][0], alone[jobs[3]][0])
    # Loaded at each change of normalize, and by another sweep; no earlier copy was there any more, nor its data module.
    assert alive == [[], [False] * 3, [False] * 6, [False] * 9]
