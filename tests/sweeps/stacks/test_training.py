"""Jobs trained as a stack leave what each would have left alone: weights, optimizer, random state, metrics, history."""

import itertools
import json
import random
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from sweeping import Sweep

TINY = ("data=digits", "model.hidden_sizes=[8]", "data.batch_size=256", "task.steps_per_execution=3")


@pytest.fixture
def both(compose):
    """Train jobs of these overrides alone and as a stack: for each the two results, with `folder`."""
    from litlab.runs.recording import recorded
    from litlab.runs.result import Result
    from litlab.sweeps.stacks.stack import Stack
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

    if where.endswith(("'seconds'", "'seconds_compiling'", "'hyper_parameters'", "'best_k_models'")):
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
    "rmsprop": (
        "optimizer=rmsprop optimizer.weight_decay=0.01",
        ["optimizer.lr=0.01", "optimizer.alpha=0.9", "optimizer.lr=0.002 seed=1"],
    ),
    "centered rmsprop": (
        "optimizer=rmsprop optimizer.centered=true scheduler=none",
        ["optimizer.momentum=0.5", "optimizer.momentum=0.9 seed=1"],
    ),
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
def test_members_read_inputs_that_are_kept_as_stored(both, tmp_path):
    import numpy as np

    draw = np.random.default_rng(0)
    np.savez(tmp_path / "own.npz", x=draw.integers(0, 255, (300, 12), dtype=np.uint8), y=draw.integers(0, 3, 300))
    common = f"data=arrays data.file={tmp_path / 'own.npz'} task=classification data.batch_size=32"
    assert compare(both(["seed=0", "seed=1"], "trainer.precision=64-true trainer.max_epochs=2", common), 1e-10) == []


@pytest.mark.slow
@pytest.mark.parametrize("passes", ["auto", 2])
def test_members_take_the_passes_of_a_table(both, tmp_path, passes):
    rows = [f"{number % 7},{number % 3},{number % 7 - number % 3}" for number in range(100)]
    (tmp_path / "own.csv").write_text("\n".join(["a,b,price", *rows]))
    common = (
        f"data=table data.file={tmp_path / 'own.csv'} data.target=price task=regression data.passes_per_epoch={passes}"
    )
    pairs = both(["seed=0", "seed=1"], "trainer.precision=64-true trainer.max_epochs=2", common)
    assert compare(pairs, 1e-10) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", ["sgd", "adamw", "class weights"])
def test_a_compiled_stack_is_compiled_once_and_its_members_are_their_serial_runs(both, case):
    common, jobs = CASES[case]
    pairs = both(jobs, "trainer.precision=64-true", "trainer.max_epochs=3", "task.compile=true", common)
    assert compare(pairs, 1e-10) == []
    assert len({stacked.seconds_compiling for _, stacked in pairs}) == 1, "each has its share"
    assert 0 < pairs[0][1].seconds_compiling < pairs[0][1].seconds_training


@pytest.mark.slow
def test_dropout_in_a_compiled_stack_is_that_of_a_member_alone_without_compiling(both):
    """Alone and compiled, its random numbers are those of the compiler."""
    common, jobs = CASES["dropout"]
    (eager, _), (_, compiled) = (
        both(jobs[:2], "trainer.precision=64-true", "trainer.max_epochs=2", f"task.compile={compile}", common)[1]
        for compile in ("false", "true")
    )
    assert compiled.seconds_compiling > 0 and compiled.metrics == pytest.approx(eager.metrics, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["sgd", "dropout", "by vmap"])
def test_in_bf16_a_member_is_near_its_serial_run_which_is_not_that_of_float32(both, case):
    """On one kind of processor, the first two are equal to the bit."""
    common, jobs = CASES[case]
    pairs = both(jobs[:2], "trainer.precision=bf16-mixed", "trainer.max_epochs=2", common)
    whole = both(jobs[:2], "trainer.max_epochs=2", common)
    for (alone, stacked), (exact, _) in zip(pairs, whole, strict=True):
        assert stacked.stacked == 2 and stacked.metrics == pytest.approx(alone.metrics, rel=5e-3, abs=5e-3)
        near, far = (abs(each.metrics["train/loss"] - stacked.metrics["train/loss"]) for each in (alone, exact))
        assert near < far


class Draw(random.Random):
    """Draws stacks: what their members share, and what each has for itself.

    Trainings that amplify the last bit of a weight themselves, a million times, are left out: large rates of Adam,
    small gradients divided by a smaller eps, clipped ones by their variance (centered), and ReLU, whose dead units make
    ties that AUROC ranks by rounding.
    """

    def words(self, **values):
        return [f"{name.replace('__', '.')}={value}" for name, value in values.items()]

    def rate(self, low, high):
        return f"{low * (high / low) ** self.random():.4g}"

    def model(self, kind):
        names = ["linear", "mlp", "mlp", *["mlp_periodic"] * (kind == "binary")]
        if (name := self.choice(names)) == "linear":
            return ["model=linear"]
        widths = ",".join(str(self.randint(3, 12)) for _ in range(self.randint(1, 3)))
        words = [f"model={name}", f"model.hidden_sizes=[{widths}]"]
        return (
            words if name == "mlp_periodic" else [*words, f"model.activation={self.choice(['SiLU', 'Tanh', 'GELU'])}"]
        )

    def common(self):
        kind = self.choice(["classes", "classes", "binary", "numbers", "sine"])
        data = {"classes": "digits", "binary": "breast_cancer", "numbers": "exam_scores", "sine": "sine"}[kind]
        words = [f"data={data}", f"data.batch_size={self.choice([100, 256, 500])}"]
        words += ["model=polynomial"] if kind == "sine" else self.model(kind)
        words += [f"+data.passes_per_epoch={self.choice([1, 2])}"] if kind != "sine" else ["+data.passes_per_epoch=3"]
        words += [f"+data.drop_last={self.choice(['true', 'false'])}"] if kind != "numbers" else []
        if kind in ("classes", "binary") and self.random() < 0.3:
            words.append("task.class_weights=balanced")
        if kind in ("numbers", "sine") and self.random() < 0.5:
            words.append("task.standardize_targets=false")
        optimizer = self.choice(["sgd", "adam", "adamw", "rmsprop"])
        if optimizer == "sgd" and (momentum := self.choice(["0.0", "0.9"])) == "0.0":
            words += [f"optimizer.momentum={momentum}", "optimizer.nesterov=false"]
        if optimizer != "sgd":
            words.append("+optimizer.eps=1e-5")
        if optimizer == "rmsprop":
            words += self.words(optimizer__centered=self.choice(["true", "false"]))
        validates = kind in ("classes", "binary")
        schedules = ["none", "cosine", "exponential", "onecycle", *["plateau"] * validates]
        algorithm = self.choice(["norm", "value"])
        words += [f"scheduler={self.choice(schedules)}", f"trainer.gradient_clip_algorithm={algorithm}"]
        stops = self.random() < 0.3 and validates
        words += ["callbacks=early_stopping", "trainer.max_epochs=4"] if stops else ["trainer.max_epochs=3"]
        return [f"optimizer={optimizer}", *words]

    def member(self, common):
        words = self.words(
            seed=self.randint(0, 2),
            optimizer__lr=self.rate(*(0.003, 0.1) if "optimizer=sgd" in common else (0.0005, 0.01)),
        )
        if self.random() < 0.5:
            words += self.words(optimizer__weight_decay=self.rate(1e-3, 0.1))
        if self.random() < 0.5 and "optimizer.centered=true" not in common:
            words += self.words(trainer__gradient_clip_val=self.rate(1e-3, 1.0))
        if self.random() < 0.3 and {"optimizer=adam", "optimizer=adamw"} & {*common}:
            words.append(f"optimizer.betas=[{self.uniform(0.7, 0.95):.3f},{self.uniform(0.9, 0.999):.3f}]")
        if self.random() < 0.5 and "data=digits" in common:
            words += self.words(task__label_smoothing=self.rate(0.01, 0.3))
        if "callbacks=early_stopping" in common:
            words += self.words(callbacks__early_stopping__patience=self.randint(1, 2))
            words += self.words(callbacks__early_stopping__min_delta=self.choice([0.0, 0.02]))
        return " ".join(words)

    def stack(self):
        common = self.common()
        members = [self.member(common) for _ in range(self.randint(2, 4))]
        if "model=mlp" in common and self.random() < 0.5:
            members = [f"{each} model.dropout={self.choice([0.1, 0.4])}" for each in members]
        return " ".join(common), list(dict.fromkeys(members))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_in_float64_members_of_any_stack_are_their_serial_runs(both, seed):
    common, jobs = Draw(seed).stack()
    pairs = both(jobs, "trainer.precision=64-true", common)
    assert compare(pairs, 1e-10) == [], (common, jobs)


@pytest.mark.slow
def test_a_member_stops_early_as_it_would_alone_and_the_others_go_on(both):
    common = "trainer.precision=64-true callbacks=early_stopping trainer.max_epochs=8 scheduler=none"
    patient = "callbacks.early_stopping.patience=1 callbacks.early_stopping.min_delta=0.03"
    jobs = [f"optimizer.lr=0.05 {patient} seed=0", "optimizer.lr=0.05", f"optimizer.lr=1e-6 {patient}", "seed=1"]
    pairs = both([*jobs, "+callbacks.early_stopping.stopping_threshold=0.5"], common)
    assert compare(pairs, 1e-10) == []
    assert [stacked.epochs for _, stacked in pairs][1:3] == [8, 2]
    assert len({stacked.epochs for _, stacked in pairs}) > 2


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
        (
            "optimizer=adam +optimizer.amsgrad=true",
            "2 jobs are trained one by one, not as a stack: optimizer.amsgrad has no update for a stack",
        ),
    ],
)
def test_a_stack_that_cannot_be_built_says_why(compose, capsys, words, line):
    from litlab.sweeps.stacks.stack import Stack

    stack = Stack([compose("data=digits", *words.split(), f"seed={seed}") for seed in (0, 1)])
    assert [stack.replay(0), stack.replay(1)] == [None, None]
    assert capsys.readouterr().out.splitlines() == [line]


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


@pytest.mark.slow
@pytest.mark.parametrize("halved", [[], ["sweep.eta=2", "sweep.rung=3"]])
def test_when_the_time_is_over_a_stack_ends_after_its_epoch_and_goes_on_when_resumed(
    command, tmp_path, monkeypatch, halved
):
    words = ["-m", "hydra/launcher=stacked", "trainer=cpu", "trainer.precision=64-true", "threads=1", "logger=none"]
    words += [*TINY[:-1], "~callbacks.pictures", "optimizer.lr=0.3,0.05", "trainer.max_epochs=4", "sweep.stack=2"]
    words += ["data.batch_size=256,512", *halved]

    def results(folder):
        files = sorted(folder.glob("*/result.json"), key=lambda file: int(file.parent.name.split("_")[0]))
        found = [json.loads(file.read_text()) for file in files]  # of a job, what it is resumed in comes last
        return {json.dumps(each["settings"]["data"]) + str(each["settings"]["optimizer"]["lr"]): each for each in found}

    assert command(*words, f"hydra.sweep.dir={tmp_path / 'whole'}")[0] == 0
    now = time.time()
    clock = itertools.chain([now, now], itertools.repeat(now + 3600))  # the first job, the first epoch
    with monkeypatch.context() as patch:
        patch.setattr("litlab.sweeps.folder.time", SimpleNamespace(time=lambda: next(clock)))
        code, out, err = command(*words, f"hydra.sweep.dir={tmp_path / 'cut'}", "sweep.minutes=10")
    assert (code, err) == (0, "")
    assert [(each["status"], each["epochs"]) for each in results(tmp_path / "cut").values()] == [("pruned", 2)] * 2
    last = out.splitlines()[-1]
    left = "2 jobs did not start" if halved else "2 jobs ended early, 2 jobs did not start"
    assert last.startswith(f"the time limit sweep.minutes=10 is reached; {left}; the same command with sweep.resume=")
    code, out, err = command(*words, f"sweep.resume={tmp_path / 'cut'}")
    assert (code, err) == (0, "")
    whole, cut = results(tmp_path / "whole"), results(tmp_path / "cut")
    assert whole.keys() == cut.keys() and len(whole) == 4
    for name, result in whole.items():
        assert (result["status"], result["epochs"]) == (cut[name]["status"], cut[name]["epochs"])
        assert result["metrics"] == pytest.approx(cut[name]["metrics"], rel=1e-9, abs=1e-10)
