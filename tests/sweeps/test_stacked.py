"""Jobs trained as a stack leave what each would have left alone: weights, optimizer, random state, metrics, history."""

from pathlib import Path

import pytest

TINY = ("data=digits", "model.hidden_sizes=[8]", "data.batch_size=256", "task.steps_per_execution=3")


@pytest.fixture
def both(compose):
    """Train jobs of these overrides alone and as a stack: for each the two results, with `folder`."""
    from litlab.runs.recording import recorded
    from litlab.runs.result import Result
    from litlab.sweeps.stacked import Stack
    from litlab.verbs.train import train

    def run(config):
        folder = Path(config.paths.run_dir)
        result = Result()
        try:
            with recorded(folder, result):
                train(config, result)
        except Exception as error:
            assert result.status == "failed" and str(error) == result.error, error
        result.folder = folder
        return result

    def both(jobs, *common):
        small = [
            word
            for word in TINY
            if not word.startswith("model.") or not {"model=linear", "model=polynomial"} & {*common}
        ]
        jobs = [(*small, *common, *job.split()) for job in jobs]
        alone = [run(compose(*job, pictures=False)) for job in jobs]
        configs = [compose(*job, pictures=False) for job in jobs]
        stack = Stack(configs)
        stacked = []
        for number, config in enumerate(configs):
            with stack.job(number):
                stacked.append(run(config))
        return list(zip(alone, stacked, strict=True))

    return both


def differences(one, other, tolerance, where=""):
    """The places in two checkpoints that are not the same; but for the clock and the paths."""
    import torch

    if where.endswith(("'seconds'", "'hyper_parameters'", "'best_k_models'")):
        return []
    if isinstance(one, torch.Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            return [f"{where}: {one.shape} {one.dtype} {other.shape} {other.dtype}"]
        same = torch.equal(one, other) or torch.allclose(one.double(), other.double(), rtol=0, atol=tolerance)
        return [] if same else [f"{where}: {(one.double() - other.double()).abs().max():.3g}"]
    if isinstance(one, dict):
        keys = list(one) if list(one) == list(other) else []
        found = [] if keys or not one else [f"{where}: {sorted(map(str, set(one) ^ set(other)))}"]
        return found + [
            text for key in keys for text in differences(one[key], other[key], tolerance, f"{where}{key!r}")
        ]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} {len(other)}"]
        pairs = zip(one, other, strict=True)
        return [
            text for number, pair in enumerate(pairs) for text in differences(*pair, tolerance, f"{where}[{number}]")
        ]
    if isinstance(one, float):
        return [] if one == pytest.approx(other, rel=0, abs=tolerance, nan_ok=True) else [f"{where}: {one} {other}"]
    return [] if one == other or "run" in str(one) else [f"{where}: {one} {other}"]


def compare(pairs, tolerance):
    """What differs between what the jobs left alone and in the stack."""
    from litlab.runs.checkpoints import read_checkpoint

    found = []
    for alone, stacked in pairs:
        assert stacked.stacked == len(pairs) and "stacked" not in vars(alone)
        found += differences(alone.metrics, stacked.metrics, 10 * tolerance)
        found += differences(vars(alone.monitor), vars(stacked.monitor), tolerance)
        for name in ("status", "epochs", "steps", "hints"):
            assert getattr(alone, name) == getattr(stacked, name)
        files = [sorted((each.folder / "checkpoints").iterdir()) for each in (alone, stacked)]
        assert [file.name for file in files[0]] == [file.name for file in files[1]] != []
        for pair in zip(*files, strict=True):
            found += differences(*map(read_checkpoint, pair), tolerance, pair[0].name)
    return found


CASES = {  # common settings, and the jobs that differ
    "sgd": ("", ["optimizer.lr=0.05 seed=1", "optimizer.lr=0.2 seed=0", "optimizer.lr=0.1 seed=1", "seed=0"]),
    "own batches": ("", ["seed=0", "seed=1", "seed=0 optimizer.lr=0.2 optimizer.weight_decay=0.01"]),
    "no shuffling": (
        "data.shuffle=false scheduler=none optimizer.nesterov=false",
        ["seed=0", "seed=1 optimizer.lr=0.3"],
    ),
    "plain": ("optimizer.nesterov=false optimizer.momentum=0 model=linear data.drop_last=true", ["seed=0", "seed=1"]),
    "dropout": (
        "data.passes_per_epoch=2",
        [f"model.dropout={rate} seed={seed}" for rate in (0.2, 0.5) for seed in (0, 1)],
    ),
    "adam": (
        "optimizer=adam scheduler=cosine model.activation=Tanh",
        ["optimizer.lr=0.01", "optimizer.lr=0.02 optimizer.betas=[0.8,0.9]", "optimizer.weight_decay=0.1 seed=2"],
    ),
    "adamw": ("optimizer=adamw scheduler=exponential", ["optimizer.lr=0.01", "optimizer.weight_decay=0.2 seed=1"]),
    "clipping": (
        "scheduler.cycle_momentum=true",
        ["trainer.gradient_clip_val=0.1", "optimizer.lr=0.05", "trainer.gradient_clip_val=1 optimizer.lr=0.3"],
    ),
    "clipping by value": (
        "trainer.gradient_clip_algorithm=value",
        ["trainer.gradient_clip_val=0.01", "trainer.gradient_clip_val=0.001 seed=3"],
    ),
    "class weights": (
        "task.class_weights=balanced",
        ["task.label_smoothing=0.1", "task.label_smoothing=0.2 task.monitor=val/loss task.mode=min", "seed=1"],
    ),
    "plateau": (
        "scheduler=plateau scheduler.patience=0 scheduler.factor=0.5 scheduler.monitor=train/loss",
        ["optimizer.lr=3", "optimizer.lr=1"],
    ),
    "other schedules": ("", ["optimizer.lr=0.1", "scheduler.pct_start=0.5 optimizer.lr=0.1"]),
    "binary": ("data=breast_cancer task.class_weights=balanced", ["optimizer.lr=0.1", "optimizer.lr=0.01 seed=1"]),
    "regression": ("data=exam_scores model=linear", ["optimizer.lr=0.1", "optimizer.lr=0.01 seed=1"]),
    "a sum": (
        "data=exam_scores task.reduction=sum task.standardize_targets=false evaluate_train=true",
        ["optimizer.lr=0.001", "optimizer.lr=0.01 seed=1"],
    ),
    "by vmap": ("data=sine model=polynomial data.batch_size=500", ["optimizer.lr=0.1 seed=0", "seed=1", "seed=2"]),
    "periodic": (
        "data=breast_cancer model=mlp_periodic",
        ["optimizer.lr=0.1 seed=0", "seed=0", "optimizer.lr=0.02 seed=1"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_in_float64_a_member_is_its_serial_run(both, case):
    common, jobs = CASES[case]
    assert compare(both(jobs, "trainer.precision=64-true", "trainer.max_epochs=3", *common.split()), 1e-10) == []
