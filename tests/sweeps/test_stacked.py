"""Jobs trained as a stack leave what each would have left alone: weights, optimizer, random state, metrics, history."""

from pathlib import Path

import pytest
from sweeping import Sweep

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
        common = [word for text in common for word in text.split()]
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
        same = torch.equal(one, other) or torch.allclose(one.double(), other.double(), rtol=tolerance, atol=tolerance)
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
        return (
            []
            if one == pytest.approx(other, rel=tolerance, abs=tolerance, nan_ok=True)
            else [f"{where}: {one} {other}"]
        )
    return [] if one == other or "run" in str(one) else [f"{where}: {one} {other}"]


def compare(pairs, tolerance, stacked=None):
    """What differs between what the jobs left alone and in the stack, of `stacked` members."""
    from litlab.runs.checkpoints import read_checkpoint

    found = []
    members = stacked or len(pairs)
    for alone, stacked in pairs:
        assert stacked.stacked == members and "stacked" not in vars(alone)
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
        "+data.shuffle=false scheduler=none optimizer.nesterov=false",
        ["seed=0", "seed=1 optimizer.lr=0.3"],
    ),
    "plain": ("optimizer.nesterov=false optimizer.momentum=0 model=linear +data.drop_last=true", ["seed=0", "seed=1"]),
    "dropout": (
        "+data.passes_per_epoch=2",
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
    assert compare(both(jobs, "trainer.precision=64-true", "trainer.max_epochs=3", common), 1e-10) == []


@pytest.mark.slow
def test_one_that_diverges_fails_as_it_would_alone_and_the_others_do_not_notice(both):
    from litlab.runs.checkpoints import read_checkpoint

    common = "data=exam_scores model=linear optimizer=sgd scheduler=none data.passes_per_epoch=2 trainer.max_epochs=40"
    pairs = both(["optimizer.lr=0.01", "optimizer.lr=4 seed=1", "optimizer.lr=0.02"], common)
    alone, stacked = pairs.pop(1)
    assert alone.error == stacked.error and "the loss is" in alone.error and alone.epochs > 1
    assert (alone.status, alone.epochs, alone.steps) == (stacked.status, stacked.epochs, stacked.steps)
    checkpoints = [read_checkpoint(each.folder / "checkpoints" / "last.ckpt") for each in (alone, stacked)]
    assert [each["epoch"] for each in checkpoints] == [alone.epochs] * 2
    weights = [{name: weight.double() for name, weight in each["state_dict"].items()} for each in checkpoints]
    largest = max(float(weight.abs().max()) for weight in weights[0].values())
    scaled = [{name: weight / largest for name, weight in each.items()} for each in weights]
    assert largest > 1e6 and differences(*scaled, 1e-4) == []  # rounding has grown with them
    assert [(each.folder / "history.csv").exists() for each in (alone, stacked)] == [True, True]
    for _, other in pairs:
        assert other.status == "completed" and other.stacked == 3
    assert compare(pairs, 1e-5, stacked=3) == []


def test_in_float32_linear_layers_give_the_bits(both):
    from litlab.runs.checkpoints import read_checkpoint

    for alone, stacked in both(["optimizer.lr=0.05", "optimizer.lr=0.2"], "trainer.max_epochs=1"):
        files = [each.folder / "checkpoints" / "best.ckpt" for each in (alone, stacked)]
        assert differences(*(read_checkpoint(file)["state_dict"] for file in files), 0.0) == []
        assert stacked.stacked == 2 and stacked.seconds_training > 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "model=cnn data=digits",
            "2 jobs are trained one by one, not as a stack: Conv2d would not be faster in a stack",
        ),
        ("optimizer=rmsprop", "2 jobs are trained one by one, not as a stack: RMSprop has no update for a stack"),
    ],
)
def test_a_stack_that_cannot_be_built_says_why(compose, capsys, words, line):
    from litlab.sweeps.stacked import Stack

    stack = Stack([compose("data=digits", *words.split(), f"seed={seed}") for seed in (0, 1)])
    assert [stack.replay(0), stack.replay(1)] == [None, None]
    assert capsys.readouterr().out.splitlines() == [line]


def test_out_of_memory_halves_the_stack_and_any_other_failure_parts_it(monkeypatch, capsys):
    from litlab.sweeps import stacked

    class Training:
        def __init__(self, configs):
            self.configs = configs

        def run(self):
            if len(self.configs) > 3:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")
            if 4 in self.configs:
                raise ValueError("four")
            return [f"{each} of {len(self.configs)}" for each in self.configs]

    monkeypatch.setattr(stacked, "StackedTraining", Training)
    assert stacked.Stack(range(6)).replay(2) == "2 of 3"
    assert stacked.Stack(range(6)).replay(5) is None
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "out of memory: half of 6 jobs are trained at once"
    assert out[1] == "3 jobs are trained one by one, as their stack failed: four"


@pytest.mark.slow
def test_a_sweep_of_stacks_has_the_leaderboard_of_any_launcher(tmp_path):
    words = [
        "hydra/launcher=stacked",
        "data=exam_scores",
        "data.passes_per_epoch=5",
        "optimizer=sgd",
        "scheduler=none",
        "trainer.max_epochs=2",
    ]
    words += ["optimizer.lr=0.01,0.02,1e20", "seed=0,1", "threads=1", "sweep.stack=4"]
    sweep = Sweep(tmp_path, *words).end()
    assert sweep.process.returncode == 1, sweep.text
    results = sweep.results
    assert [each["status"] for each in results] == ["completed"] * 4 + ["failed"] * 2, sweep.text
    assert {each["stacked"] for each in results} == {3}
    assert all("the loss is" in each["error"] for each in results[4:])
    assert "4 completed, 2 failed" in sweep.text
    again = Sweep(tmp_path, *words[:-3], "seed=0,1,2", *words[-2:], f"sweep.resume={sweep.folder}").end()
    assert "4 of 9 jobs are already completed" in again.text
