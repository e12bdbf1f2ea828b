"""What a run shows in TensorBoard without any setting, read back from its event files; and that it changes nothing."""

import logging
from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

from litlab.callbacks import dashboard, pictures
from litlab.verbs.train import train

DIGITS = ("data=digits", "model=mlp", "logger=tensorboard", "trainer.log_every_n_steps=5")
PARTS = ("charts", "graph", "samples", "settings", "histograms", "gradient_norm", "speed")
OFF = (*(f"callbacks.dashboard.{part}=false" for part in PARTS), "callbacks.dashboard.train_metrics=0")
SCALARS = {"train/gradient_norm", "train/samples_per_second"}


def events(run_dir):
    everything = dict.fromkeys(("scalars", "images", "tensors", "histograms", "compressedHistograms"), 0)
    return EventAccumulator(str(run_dir / "tensorboard"), size_guidance=everything).Reload()


@pytest.fixture
def run(compose):
    """Train, and read what TensorBoard shows."""

    def run(*overrides, pictures=False):
        config = compose(*DIGITS, *overrides, pictures=pictures)
        result = train(config)
        return result, events(Path(config.paths.run_dir))

    return run


def test_a_run_shows_all_of_this_without_any_setting(run):
    result, shown = run("trainer.max_epochs=4", "evaluate_train=true", "callbacks.dashboard.train_metrics=2000",
                        "reference='](http://evil) <script>\n```\n# \x1b[31m'", pictures=True)  # fmt: skip
    tags = shown.Tags()
    layout = Layout.FromString(shown.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    metrics, others = layout.category
    assert metrics.title == "Training and validation"
    assert [chart.title for chart in metrics.chart][:2] == ["loss", "accuracy"] and len(metrics.chart) == 7
    drawn = [tag.strip("^$") for chart in metrics.chart for tag in chart.multiline.tag]
    assert drawn[:4] == ["train/loss", "val/loss", "train/accuracy", "val/accuracy"]
    assert {*drawn, *(tag.strip("^$") for chart in others.chart for tag in chart.multiline.tag)} <= {*tags["scalars"]}
    for tag in ("train/accuracy", "val/accuracy", "train/samples_per_second", "train/loss"):
        assert [each.step for each in shown.Scalars(tag)] == [20, 40, 60, 80], "of batches of 64, the last is cut"
    assert result.monitor.epoch == 4, "or the tested weights would not be the last"
    assert shown.Scalars("train/accuracy")[-1].value == pytest.approx(result.metrics["train/accuracy"], abs=1e-6)
    assert tags["graph"] and b"MLP/Linear" in shown.Graph().SerializeToString()
    assert {"plots/samples", "plots/confusion_matrix", "plots/mistakes"} <= {*tags["images"]}
    assert [each.step for each in shown.Histograms("weights/1.weight")] == [0, 20, 40, 80], "epochs 1, 2 and 4"
    assert len(tags["histograms"]) == 6
    curves = [tag for tag in tags["tensors"] if tag.startswith("test/")]
    assert curves == [f"test/{number}" for number in range(10)]
    precision, recall = shown.Tensors("test/3")[0].tensor_proto, 5
    values = torch.tensor(precision.float_val or list(memoryview(precision.tensor_content).cast("f"))).view(6, -1)
    assert values[recall, 0] == 1 and values[:, 0][:2].sum() == 360, "at the threshold 0, all 360 samples of the test"
    text = shown.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "    optimizer:\n      _target_: torch.optim.SGD" in text and "\x1b" not in text
    assert all(line.startswith("    ") for line in text.split("\n")), "one block of code"


@pytest.mark.parametrize("clipping", [(), ("trainer.gradient_clip_val=0.01",)])
def test_the_norm_is_that_of_the_gradients_before_clipping(fit, clipping):
    class Norms(L.Callback):
        norms: dict[int, float] = {}  # noqa: RUF012

        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            pass

        def on_after_backward(self, trainer, pl_module):
            weights = [weight.grad.flatten() for weight in pl_module.parameters()]
            self.norms[trainer.global_step + 1] = float(torch.cat(weights).norm())

    words = (*DIGITS, *clipping)
    fast = fit(*words)  # without the callback: updates of our own
    by_lightning = fit(*words, callbacks=[Norms()])
    one, two = (events(Path(each.config.paths.run_dir)).Scalars("train/gradient_norm") for each in (fast, by_lightning))
    assert [each.step for each in one] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert [each.value for each in one] == pytest.approx([Norms.norms[each.step] for each in one], rel=1e-5)
    assert [each.value for each in two] == pytest.approx([each.value for each in one], rel=1e-6)
    assert min(each.value for each in one) > 0.01


def test_each_part_is_off_by_a_word_and_a_sweeps_jobs_log_two_scalars(run, monkeypatch):
    _, none = run(*OFF)
    tags = none.Tags()
    hparams = {*tags["tensors"]}
    assert not (tags["graph"] or tags["images"] or tags["histograms"])
    assert all(tag.startswith("_hparams_/") for tag in hparams)
    assert not {*SCALARS, "train/accuracy"} & {*tags["scalars"]}
    monkeypatch.setattr(dashboard, "in_sweep", lambda: True)
    monkeypatch.setattr(pictures, "in_sweep", lambda: True)
    _, job = run("callbacks.pictures={_target_: litlab.callbacks.pictures.Pictures, folder: '${paths.run_dir}/plots'}",
                 "callbacks.pictures.pr_curves=10")  # fmt: skip
    assert {*job.Tags()["scalars"]} - {*tags["scalars"]} == SCALARS
    assert not (job.Tags()["graph"] or job.Tags()["histograms"] or {*job.Tags()["tensors"]} - hparams)


@pytest.mark.parametrize("words", [("model.dropout=0.3",), ("model=cnn", "augmentation=shift")])
def test_the_weights_are_the_same_to_the_bit(fit, same_weights, words):
    shown = fit(*DIGITS, *words)
    plain = fit("data=digits", "model=mlp", *words, "callbacks=none")
    assert same_weights(shown.weights, plain.weights)
    assert shown.task.steps_per_execution == plain.task.steps_per_execution == 16


@pytest.mark.slow
def test_the_compiled_weights_too_and_their_norm_is_left_out(fit, same_weights):
    shown, plain = fit(*DIGITS, "task.compile=true"), fit("data=digits", "model=mlp", "task.compile=true")
    assert same_weights(shown.weights, plain.weights)


def test_a_part_that_fails_is_a_line_in_the_log(fit, monkeypatch, caplog, capsys):
    def fail(*_, **__):
        raise RuntimeError("no tracing here")

    monkeypatch.setattr(torch.jit, "trace", fail)
    with caplog.at_level(logging.INFO, logger="litlab"):
        run = fit(*DIGITS, "trainer.max_epochs=1")
    assert "callbacks.dashboard.graph: left out: no tracing here" in caplog.text
    assert "no tracing here" not in "".join(capsys.readouterr())
    tags = events(Path(run.config.paths.run_dir)).Tags()
    assert not tags["graph"] and tags["images"] == ["plots/samples"]
