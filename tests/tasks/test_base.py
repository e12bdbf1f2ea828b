"""Steps per call change nothing; every setting means what Lightning's documents say; metrics are of a whole split."""

from collections import Counter

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.plugins import MixedPrecision
from sklearn.metrics import accuracy_score, log_loss
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from litlab.build import build_data, build_task, build_trainer

PLAIN = ("optimizer=sgd", "scheduler=none")


@pytest.mark.parametrize(
    ("data", "task", "width", "settings"),
    [
        ("digits", "classification", 10, "task.label_smoothing=0.1"),
        ("breast_cancer", "binary", 1, "task.class_weights=balanced"),
        ("exam_scores", "regression", 1, "task.standardize_targets=true"),
        ("exam_scores", "regression", 1, "task.reduction=sum"),
    ],
)
def test_an_ensemble_is_trained_on_the_mean_of_its_members_losses(compose, data, task, width, settings):
    config = compose(f"data={data}", f"task={task}", "model=tabm", "model.embedding=null", "model.members=3", settings)
    built = build_task(config, build_data(config))
    outputs, targets = torch.randn(5, 3, width), torch.tensor([0, 1, 1, 0, 1])
    targets = targets.float() if task == "regression" else targets
    if task == "regression":
        built.learn_scale(targets)
    found = built.training_objective(outputs, targets)
    of_members = [torch.stack(built.objective(each, targets)) for each in outputs.unbind(1)]
    torch.testing.assert_close(torch.stack(found), torch.stack(of_members).mean(0))
    of_mean, _ = built.objective(outputs.mean(1), targets)
    assert abs(found[0] - of_mean) > 0.01


@pytest.mark.slow  # seconds, together
@pytest.mark.parametrize(
    "overrides",
    [
        "",
        "scheduler=onecycle",
        "scheduler=exponential",
        "scheduler=cosine trainer.accumulate_grad_batches=3",
        "trainer.accumulate_grad_batches=3",
        "trainer.gradient_clip_val=0.1",
        "trainer.gradient_clip_val=0.01 trainer.gradient_clip_algorithm=value",
        "trainer.accumulate_grad_batches=3 trainer.gradient_clip_val=0.1",
        "trainer.max_steps=27",
        "trainer.max_steps=5 scheduler=onecycle",
        "trainer.max_steps=5 trainer.accumulate_grad_batches=3",
        "trainer.limit_train_batches=5",
        "trainer.limit_train_batches=0.3 scheduler=onecycle",
        "trainer.limit_train_batches=5 trainer.accumulate_grad_batches=3",
        "trainer.val_check_interval=0.25",
        "trainer.val_check_interval=7",
        "trainer.precision=bf16-mixed",
        "trainer.precision=64-true",
        "optimizer=adamw model.dropout=0.2",
        "trainer.overfit_batches=3",
        "data.passes_per_epoch=3",
        "data.val_size=0",
    ],
)
def test_steps_per_execution_and_manual_optimization_change_nothing(fit, fit_automatically, same_weights, overrides):
    groups = {override.split("=")[0] for override in overrides.split()}
    overrides = (*overrides.split(), *(each for each in PLAIN if each.split("=")[0] not in groups))
    single = fit(*overrides, "task.steps_per_execution=1")
    chunked = fit(*overrides, "task.steps_per_execution=16")
    expected = fit_automatically(*overrides)
    assert single.trainer.global_step == chunked.trainer.global_step == expected.global_step > 0
    assert same_weights(single.weights, chunked.weights)
    assert same_weights(single.weights, dict(expected.lightning_module.state_dict()))


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        ((), 40),
        (("trainer.accumulate_grad_batches=3",), 14),  # the rest of an epoch is a step
        (("trainer.max_steps=27",), 27),
        (("trainer.limit_train_batches=0.5",), 20),
        (("data.passes_per_epoch=3",), 120),
        (("trainer.max_epochs=0",), 0),
    ],
)
def test_number_of_steps(fit, overrides, steps):
    assert fit(*PLAIN, *overrides).trainer.global_step == steps


def test_epoch_loss_is_weighted_by_batch_size_and_smoothed(fit):
    run = fit(*PLAIN, "optimizer.lr=1e-30", "optimizer.momentum=0", "optimizer.nesterov=false", "trainer.max_epochs=1")
    inputs, targets = run.data.splits["train"]
    assert len(inputs) == 1257
    with torch.no_grad():
        expected = F.cross_entropy(run.task.model(inputs), targets).item()
    assert run.metrics["train/loss"] == pytest.approx(expected, rel=1e-5)
    losses = [F.cross_entropy(run.task.model(x), y).item() for x, y in run.data.train_dataloader().loader]
    assert run.metrics["train/loss"] != pytest.approx(sum(losses) / len(losses), rel=1e-5)
    setting = (*PLAIN, "trainer.max_epochs=1", "optimizer.lr=1e-30")
    smooth = fit(*setting, "task.label_smoothing=0.2")
    inputs, targets = smooth.data.splits["train"]
    with torch.no_grad():
        log_shares = smooth.task.model(inputs).log_softmax(dim=1)
    own = -log_shares.gather(1, targets[:, None]).mean().item()
    expected = 0.8 * own + 0.2 * -log_shares.mean().item()
    assert smooth.metrics["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_losses_of_a_fixed_run(fit):
    """A change of these numbers is a change of what litlab trains: it must be meant, and said in the commit."""
    seen = {"train/loss": [], "val/loss": []}

    class Losses(L.Callback):
        def on_train_epoch_start(self, trainer, *_):
            if trainer.current_epoch:
                for name, losses in seen.items():
                    losses.append(float(trainer.callback_metrics[name]))

    run = fit(*PLAIN, "optimizer.lr=0.05", "trainer.max_epochs=3", callbacks=[Losses()])
    for name, losses in seen.items():
        losses.append(run.metrics[name])
    assert seen["train/loss"] == pytest.approx([1.7436700, 0.3480057, 0.1350083], rel=1e-4)
    assert seen["val/loss"] == pytest.approx([0.6026208, 0.1922386, 0.0889966], rel=1e-4)


def test_the_call_takes_several_steps(fit):
    steps, calls = [], L.Callback()
    calls.counts_batches = False
    calls.on_train_batch_end = lambda trainer, *_: steps.append(trainer.global_step)
    fit(*PLAIN, "task.steps_per_execution=16", "trainer.max_epochs=1", callbacks=[calls])
    assert steps == [16, 20]


class Hooks(L.Callback):
    """Counts the calls around optimizer steps, and sees that there is a gradient."""

    def __init__(self):
        self.calls, self.norms = Counter(), []

    def on_before_backward(self, *_):
        self.calls["before"] += 1

    def on_after_backward(self, *_):
        self.calls["after"] += 1

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.norms.append(float(torch.stack([weight.grad.norm() for weight in pl_module.parameters()]).norm()))


def test_callbacks_see_every_step(fit, same_weights):
    hooks = Hooks()
    setting = (*PLAIN, "trainer.accumulate_grad_batches=2", "trainer.max_epochs=1")
    seen = fit(*setting, callbacks=[hooks])
    assert (len(hooks.norms), hooks.calls) == (10, {"before": 20, "after": 20}) and min(hooks.norms) > 0
    assert same_weights(seen.weights, fit(*setting).weights)


def test_hooks_of_the_optimizer_see_every_step(fit, same_weights):
    steps = []

    class Registers(L.Callback):
        def on_train_start(self, trainer, pl_module):
            trainer.optimizers[0].register_step_pre_hook(lambda *_: steps.append("before"))
            trainer.optimizers[0].register_step_post_hook(lambda *_: steps.append("after"))

    setting = ("optimizer=adam", "scheduler=none", "trainer.max_epochs=1")
    seen = fit(*setting, callbacks=[Registers()])
    assert steps == ["before", "after"] * 20
    assert same_weights(seen.weights, fit(*setting).weights)


class HalfPrecision(L.Callback):
    """precision=16-mixed as a GPU has it: gradients are of a loss times 65536. On a CPU Lightning takes bf16-mixed."""

    def setup(self, trainer, pl_module, stage):
        scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
        trainer.strategy.precision_plugin = MixedPrecision("16-mixed", "cpu", scaler)


@pytest.mark.parametrize(
    "others",
    [pytest.param([], id="direct"), pytest.param([Hooks()], id="hooks"), pytest.param([HalfPrecision()], id="scaled")],
)
def test_gradients_are_clipped_before_the_step(fit, others):
    """Plain SGD: a step moves the weights by rate times gradient, of norm 0.01 at most."""
    lengths = []

    class Steps(L.Callback):
        def on_train_batch_start(self, trainer, pl_module, *_):
            self.before = torch.cat([weight.detach().flatten().clone() for weight in pl_module.parameters()])

        def on_train_batch_end(self, trainer, pl_module, *_):
            after = torch.cat([weight.detach().flatten() for weight in pl_module.parameters()])
            lengths.append(float((after - self.before).norm()))

    setting = ("optimizer.lr=0.5", "optimizer.momentum=0", "optimizer.nesterov=false", "trainer.gradient_clip_val=0.01")
    fit(*PLAIN, *setting, "task.steps_per_execution=1", callbacks=[Steps(), *others])
    assert len(lengths) == 40
    assert max(lengths) == pytest.approx(0.005, rel=1e-2)


def test_overfitting_uses_the_same_batches_each_epoch(fit):
    seen = []

    class Batches(L.Callback):
        def on_train_epoch_start(self, *_):
            seen.append([])

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen[-1].append(batch[1])

    fit(*PLAIN, "debug=overfit", "trainer.max_epochs=3", callbacks=[Batches()])
    first, *others = seen
    assert len(first) == 3 and len(others) == 2
    for other in others:
        assert all(torch.equal(one, two) for one, two in zip(first, other, strict=True))


class Foreign(L.LightningDataModule):
    """A LightningDataModule as others write it: torch's DataLoader, and nothing of litlab's but three attributes."""

    input_shape, num_outputs, has_validation = (4,), 3, True

    def __init__(self):
        super().__init__()
        random = torch.Generator().manual_seed(0)
        inputs = torch.randn(50, 4, generator=random)
        self.set = TensorDataset(inputs, inputs[:, :3].argmax(dim=1))

    def train_dataloader(self):
        return DataLoader(self.set, batch_size=8)

    def val_dataloader(self):
        return DataLoader(self.set, batch_size=20)


def test_plain_dataloaders_work(compose, same_weights):
    def weights(size):
        config = compose(*PLAIN, f"task.steps_per_execution={size}", "trainer.max_epochs=5")
        seed_everything(0, verbose=False)
        data = Foreign()
        task = build_task(config, data)
        trainer = build_trainer(config, data)
        trainer.fit(task, datamodule=data)
        assert trainer.global_step == 35
        assert trainer.callback_metrics["val/accuracy"] > 0.8
        return dict(task.state_dict())

    assert same_weights(weights(1), weights(16))


def test_frozen_weights_stay(fit):
    frozen = {}

    class Freezes(L.Callback):
        def setup(self, trainer, pl_module, stage):
            first, last = pl_module.model[1], pl_module.model[-1]
            first.requires_grad_(False)
            frozen.update(first=first.weight.clone(), last=last.weight.detach().clone())

    model = fit(*PLAIN, callbacks=[Freezes()]).task.model
    assert torch.equal(model[1].weight, frozen["first"]) and not torch.equal(model[-1].weight, frozen["last"])


def test_metrics_are_those_of_the_whole_split(fit):
    """Batches of 100 of 360 samples, the last of 60: a mean of batch accuracies would differ."""
    run = fit(*PLAIN, "trainer.max_epochs=1", "data.eval_batch_size=100")
    for part, evaluate in (("val", run.trainer.validate), ("test", run.trainer.test)):
        evaluate(run.task, datamodule=run.data, verbose=False)
        metrics = run.metrics
        inputs, targets = run.data.splits[part]
        with torch.no_grad():
            shares = run.task.model.eval()(inputs).softmax(dim=1).double().numpy()
        assert metrics[f"{part}/accuracy"] == pytest.approx(accuracy_score(targets, shares.argmax(1)), abs=1e-7)
        assert metrics[f"{part}/loss"] == pytest.approx(log_loss(targets, shares, labels=range(10)), rel=1e-5)
        assert 0.5 < metrics[f"{part}/accuracy"] < 1
