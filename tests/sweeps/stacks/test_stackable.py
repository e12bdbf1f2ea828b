"""Which jobs are trained together."""

import pytest

from litlab.sweeps.job import Job
from litlab.sweeps.stacks.stackable import groups, refusal, stacks

STOPPING = "lightning.pytorch.callbacks.EarlyStopping"
CHECKPOINT = {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "filename": "best", "monitor": "val/loss"}


def settings(**changed):
    """A job's, with `group__name=value` changed."""
    made = {
        "seed": 0,
        "data": {"batch_size": 64},
        "model": {"dropout": 0.0, "hidden_sizes": [8]},
        "task": {"monitor": "val/loss", "mode": "min", "compile": False},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9},
        "scheduler": {"max_lr": 0.1},
        "trainer": {"max_epochs": 3, "max_steps": -1, "precision": "32-true", "limit_train_batches": 1.0},
        "augmentation": {},
        "callbacks": {"checkpoint": dict(CHECKPOINT), "pictures": {"_target_": "litlab.callbacks.pictures.Pictures"}},
    }
    for name, value in changed.items():
        group, _, setting = name.partition("__")
        if setting:
            made[group][setting] = value
        else:
            made[group] = value
    return made


def test_rates_seeds_and_the_like_share_a_stack_and_shapes_part_them():
    together = [settings(), settings(seed=1, optimizer__lr=0.2, scheduler={}), settings(task__monitor="val/accuracy")]
    apart = [
        *(settings(data__batch_size=32), settings(model__hidden_sizes=[9]), settings(model__dropout=0.1)),
        *(settings(trainer__max_epochs=4), settings(optimizer__momentum=0.0)),
        settings(optimizer__nesterov=True),
    ]
    assert groups([*together, *apart, settings(seed=7)], 32) == [[0, 1, 2, 9], [3], [4], [5], [6], [7], [8]]
    assert groups([settings(seed=seed) for seed in range(7)], 3) == [[0, 1], [2, 3], [4, 5, 6]]
    assert groups([settings(seed=seed) for seed in range(8)], 6) == [[0, 1, 2, 3], [4, 5, 6, 7]], "as even as can be"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, None),
        ({"trainer__max_steps": 10}, "trainer.max_steps=10"),
        ({"trainer__limit_train_batches": 1}, "trainer.limit_train_batches=1"),
        ({"trainer__precision": "bf16-true"}, "trainer.precision=bf16-true"),
        ({"trainer__max_epochs": None}, "trainer.max_epochs=null"),
        ({"task__compile": True}, None),
        ({"task__loss": "focal"}, "task.loss=focal"),
        ({"evaluate_train": "epoch"}, "evaluate_train=epoch: needs the weights of every epoch"),
        ({"augmentation": {"_target_": "a"}}, "augmentation: changes the training of each job in its own way"),
        ({"trainer__devices": 2}, "trainer.devices=2"),
        ({"trainer__strategy": "ddp"}, "trainer.strategy=ddp"),
        (
            {"callbacks__stop": {"_target_": "a.EarlyStopping"}},
            "callbacks.stop: EarlyStopping watches a training of its own",
        ),
        ({"callbacks__stop": {"_target_": STOPPING}}, None),
        (
            {"callbacks__stop": {"_target_": STOPPING}, "trainer__min_epochs": 2},
            "callbacks.stop with trainer.min_epochs=2",
        ),
        ({"callbacks__checkpoint": CHECKPOINT | {"save_top_k": 3}}, "callbacks.checkpoint.save_top_k=3"),
        ({"callbacks__checkpoint": CHECKPOINT | {"save_top_k": 1, "every_n_epochs": None}}, None),
        (
            {"callbacks__checkpoint": CHECKPOINT | {"monitor": "val/f1"}},
            "callbacks.checkpoint.monitor=val/f1: is not task.monitor",
        ),
    ],
)
def test_what_a_stack_does_not_have_is_named(changed, why):
    assert refusal(settings(**changed)) == why


def test_jobs_that_are_trained_alone_come_last_with_the_reason(tmp_path, capsys):
    jobs = [Job([f"optimizer.lr={number}"], settings(optimizer__lr=number)) for number in range(5)]
    jobs[0].settings, jobs[2].settings = settings(task__loss="focal"), settings(task__loss="focal")
    jobs[1].resume = tmp_path
    assert stacks(jobs, "auto", ["optimizer.lr"]) == [[jobs[3], jobs[4]], [jobs[0]], [jobs[1]], [jobs[2]]]
    assert capsys.readouterr().out.splitlines() == [
        "lr=0 and 1 more: trained alone, not in a stack: task.loss=focal",
        "lr=1: trained alone, not in a stack: it resumes from its checkpoint",
    ]
    assert stacks(jobs[3:], 1, ["optimizer.lr"]) == [[jobs[3]], [jobs[4]]]
