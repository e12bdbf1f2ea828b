"""What to try next, where a finished run shows a known problem; silent otherwise."""

import logging
import math
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Any

from omegaconf import DictConfig, OmegaConf

from litlab.config.overrides import available, tune_option
from litlab.data.tensors import TensorData
from litlab.diagnostics.classes import ABSENT, IMBALANCED, quoted
from litlab.diagnostics.rule import Rule, advice, diagnose
from litlab.diagnostics.run_summary import RunSummary, summarize
from litlab.diagnostics.scales import NORMALIZED, scale_problem

log = logging.getLogger(__name__)

# Losses are judged relative to the baseline loss, that of the best constant prediction.
STUCK = 0.05  # that training must at least take away
GAP = 0.15  # by which validation may lie above training, or training at the end above its best epoch
RISEN = 1.5  # times the loss of the untrained model (or the baseline), from which no good rate leads back
FEW_STEPS = 20
CRAWL = 0.02  # of the untrained model's loss: ten times what took less away is still too little
ZERO = 0.001  # what counts as none
MEMORIZED = 0.1  # what a model may leave of a few batches that it is to memorize
FEW_SAMPLES = 5  # of a class in validation, too few to tell whether the model predicts it
REGULARIZATION = ("model.dropout=0.2", "optimizer.weight_decay=0.001")


def hints_after(*run: Any) -> list[str]:
    """The hints on a run that `summarize` is given; where that fails none, for the run itself is finished."""
    try:
        return hints(summarize(*run))
    except Exception:
        log.exception("there are no hints on this run")
        return []


def hints(run: RunSummary | None) -> list[str]:
    """A line for each problem that a run shows, each naming the setting to try; of those on one problem the first."""
    if run is None:
        return []
    if OmegaConf.select(run.config, "trainer.fast_dev_run"):
        return ["trainer.fast_dev_run: a trial run on a few batches of each split; its numbers mean nothing"]
    known = 0 < run.baseline_train < math.inf  # 0: all targets are equal; NaN: their classes weigh nothing
    if OmegaConf.select(run.config, "trainer.overfit_batches"):
        return [_memorizing(run)] if known else []
    fit = _first(FIT, run) if known else []
    # A model that has learned nothing leaves out classes for no other reason, where they are balanced.
    classes = _first((UNPREDICTED, IMBALANCED), run) if run.imbalanced or not fit else []
    return [*fit, *diagnose([ABSENT], run), *classes]


def after_divergence(config: DictConfig, data: TensorData, rate: float) -> str:
    """What to try where the loss was no longer a number at this learning rate; where scales are bad, none is good."""
    scales = scale_problem(config, data)
    clip = available(config, "trainer.gradient_clip_val=1")
    return advice(
        scales.message, *(scales.remedies or [lower_rate(config, rate), *clip, "another loss", "or check the data"])
    )


def lower_rate(config: DictConfig, rate: float | None) -> str:
    """The learning rate to try after one that was too high: a tenth, to one digit, and at most 0.1."""
    lower = min(float(f"{rate / 10:.1g}"), 0.1) if rate and math.isfinite(rate) else 0.1
    tune = f" (or {tune_option(config)}, which finds one)" if tune_option(config) else ""
    return (f"optimizer.lr={lower:g}" if rate else "a lower optimizer.lr") + tune


def _first(rules: Sequence[Rule], run: RunSummary) -> list[str]:
    return list(islice(diagnose(rules, run), 1))


def _memorizing(run: RunSummary) -> str:
    """Whether the model could memorize a few batches, where that was what was asked for."""
    number = OmegaConf.select(run.config, "trainer.overfit_batches")
    batches = "few batches" if isinstance(number, float) else "1 batch" if number == 1 else f"{number} batches"
    loss, test = f"debug=overfit: the loss on its {batches}", f"the test is of a model that saw {batches}"
    if run.relative < MEMORIZED:
        return f"{loss} fell to {run.train[-1]:.2g}: the model can learn; {test}"
    constant = f"a constant prediction scores {run.baseline_train:.4g}"
    remedies = "try another optimizer.lr, or look for a bug in the model, the loss or the data"
    return f"{loss} is still {run.train[-1]:.4g} after epoch {len(run.train)} ({constant}): {remedies}; {test}"


# ---- a training loss that is no better than a constant prediction's


def _rose(run: RunSummary) -> bool:
    # The training loss is the mean over an epoch: where that is the first, it tells little of the end.
    end = run.relative if len(run.train) > 1 else min(run.relative, run.selected())
    return end >= 1 - STUCK and max(run.train) >= RISEN * max(run.untrained(), run.baseline_train)


def _stuck(run: RunSummary) -> bool:
    return run.relative >= 1 - STUCK and run.selected() >= 1 - STUCK


def _crawls(run: RunSummary) -> bool:
    if not _stuck(run):
        return False
    losses = [1.01 * run.untrained(), *run.train]  # the untrained model's is of a part of the samples
    # Dropout, augmentation and class weights make noise; validation has none, and shows that hardly anything happens.
    crawling = len(run.val) > 1 and _falls(run.val) and run.val[-1] > 0.99 * run.val[0]
    # What came down to the baseline loss, and stays there, is not on its way.
    arrived = abs(run.relative - 1) < min(STUCK, 0.1 * (run.untrained() / run.baseline_train - 1))
    return not arrived and (crawling or _falls(losses))


def _falls(losses: Sequence[float]) -> bool:
    return all(later <= before * (1 + 1e-6) for before, later in pairwise(losses))


def _loss(run: RunSummary) -> str:
    constant = f"a constant prediction scores {run.baseline_train:.4g}"
    return f"the last epoch's mean training loss is {run.train[-1]:.4g}, and {constant}"


def _cause(run: RunSummary, otherwise: str = "") -> str:
    return f"; {run.scales().message}" if run.scales().message else otherwise


def _more_steps(run: RunSummary) -> list[str]:
    smaller = 2 ** int(math.log2(max(1, min(64, run.samples / 16))))  # a size as one would type it
    size = OmegaConf.select(run.config, "data.batch_size") or 64  # as TensorData has it
    return [run.longer, *(run.settings(f"data.batch_size={smaller}") if smaller < size else [])]


def _faster(run: RunSummary) -> list[str]:
    tune = tune_option(run.config)
    if run.scales().message:
        return [*run.scales().remedies, tune]
    # Where next to nothing has happened, a tenfold rate is as bad, and tune=lr finds one.
    happened = run.train[-1] < (1 - CRAWL) * run.untrained()
    more = run.settings(_rate(run, 10), run.longer) if happened or not tune else []
    return [tune, *more, *run.settings(NORMALIZED)]


def _another_start(run: RunSummary) -> list[str]:
    plain = "augmentation=none" if run.config.get("augmentation") else ""  # it may leave nothing to see
    others = [*run.scales().remedies, plain, _hidden_layers(run)]
    if run.scales().message:
        return others
    rose = run.train[-1] > (1 + STUCK) * min(run.untrained(), *run.train)  # then a higher rate is none to try
    higher = [tune_option(run.config)] if rose else run.settings(_rate(run, 10))
    return [*others, *run.settings(_rate(run, 0.1)), *higher, *run.settings(NORMALIZED)]


def _lower_rate(run: RunSummary) -> list[str]:
    return [lower_rate(run.config, OmegaConf.select(run.config, "optimizer.lr"))]


def _rate(run: RunSummary, factor: float) -> str:
    rate = OmegaConf.select(run.config, "optimizer.lr")
    return f"optimizer.lr={rate * factor if rate else 0.01:g}"


def _hidden_layers(run: RunSummary) -> str:
    model = run.config.model
    if not str(model.get("_target_")).endswith(".MLP") or model.get("hidden_sizes") or model.get("embedding"):
        return ""
    return "model.hidden_sizes=[256,128]" if "hidden_sizes" in model else "model=mlp"


# ---- a validation loss above the training loss


def _less_to_memorize(run: RunSummary) -> list[str]:
    hidden = OmegaConf.select(run.config, "model.hidden_sizes") or [0]
    narrower = "model.hidden_sizes=[32]" if min(hidden) >= 32 and len(hidden) * max(hidden) > 32 else ""
    unseen = [] if run.val else [f"{each} to see how new samples fare" for each in run.settings("data.val_size=0.1")]
    return ["more data", narrower, *run.settings(*REGULARIZATION), *unseen]


def _rises(run: RunSummary) -> bool:
    return (run.val[-1] - min(run.val)) / run.baseline_val > GAP / 2 and run.train[-1] < run.train[0]


def _overfits(run: RunSummary) -> bool:
    # At first the running statistics of batch norm are behind.
    return run.steps >= FEW_STEPS and run.gap > 0 and (run.gap > GAP or _rises(run))


def _overfitting(run: RunSummary) -> str:
    lowest = f" (lowest after epoch {run.val.index(min(run.val)) + 1}: {min(run.val):.4g})" if _rises(run) else ""
    return f"overfitting: training loss {run.train[-1]:.4g}, validation loss {run.val[-1]:.4g}{lowest}"


def _regularization(run: RunSummary) -> list[str]:
    stops = "early_stopping" in run.config.get("callbacks", {})
    return [*run.settings(*REGULARIZATION), "" if stops else "callbacks=early_stopping", "more data"]


# ---- classes


def _unpredicted(run: RunSummary) -> dict[str, int]:
    """Where there are enough samples; of classes without training samples `ABSENT` tells."""
    return {name: n for name, n in run.unpredicted.items() if n >= FEW_SAMPLES and run.class_counts.get(name)}


def _never_predicts(run: RunSummary) -> str:
    found = _unpredicted(run)
    samples = f"({sum(found.values()):,} validation samples)"
    if len(found) == 1:
        return f"the model never predicts {quoted(found)} {samples}"
    return f"{len(found)} of {len(run.class_counts)} classes are never predicted {samples}: {quoted(found)}"


def _predict_all(run: RunSummary) -> list[str]:
    by_f1 = [f"{each} (selects by F1)" for each in run.by_f1]
    more = f"more samples of {'them' if len(_unpredicted(run)) > 1 else 'it'}"
    return [*(run.class_weights or by_f1), more] if run.imbalanced else [run.longer, *by_f1]


UNPREDICTED = Rule(_unpredicted, _never_predicts, _predict_all)
TOO_HIGH = ": the learning rate is too high"
FIT = (
    Rule(
        _rose,
        lambda run: (
            f"{_loss(run)}; it rose to {max(run.train):.4g}, from {run.untrained():.4g} untrained"
            f"{_cause(run, TOO_HIGH)}"
        ),
        lambda run: run.scales().remedies or _lower_rate(run),
    ),
    Rule(
        lambda run: _stuck(run) and run.steps < FEW_STEPS,
        lambda run: f"{_loss(run)}; {run.steps} optimizer steps are too few",
        _more_steps,
    ),
    Rule(_crawls, lambda run: f"{_loss(run)}; it falls, but slowly{_cause(run)}", _faster),
    Rule(_stuck, lambda run: f"{_loss(run)}{_cause(run)}", _another_start),
    Rule(  # the tested weights are better, then
        lambda run: run.relative >= max(1 - STUCK, min(run.train) / run.baseline_train + GAP),
        lambda run: f"{_loss(run)}; it rose from {min(run.train):.4g}{TOO_HIGH}",
        _lower_rate,
    ),
    Rule(
        lambda run: run.relative <= ZERO and (run.gap > GAP or (not run.val and run.parameters > run.samples)),
        lambda run: (
            f"the training loss is zero ({run.train[-1]:.2g}): {run.parameters:,} weights have memorized "
            f"{run.samples:,} samples"
        ),
        _less_to_memorize,
    ),
    Rule(_overfits, _overfitting, _regularization),
)
