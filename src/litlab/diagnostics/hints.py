"""What to try next, where a finished run shows a known problem; silent otherwise."""

import logging
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from omegaconf import DictConfig, OmegaConf

from litlab.config.overrides import available, tune_option
from litlab.data.tensors import TensorData
from litlab.diagnostics.rules import NORMALIZED, Rule, advice, class_rules, imbalanced, scale_rule
from litlab.diagnostics.run_summary import RunSummary

log = logging.getLogger(__name__)

# Losses are judged relative to the baseline loss, that of the best constant prediction.
STUCK = 0.05  # the least improvement on it
GAP = 0.15  # of validation above training, or of the last epoch above the best
RISEN = 1.5  # times the loss of the untrained model (or the baseline): the rate is too high
FEW_STEPS = 20
CRAWL = 0.02  # of the untrained model's loss: after less, ten times the rate or the epochs is still too little
ZERO = 0.001
MEMORIZED = 0.1  # the most that overfitting a few batches may leave


def hints_after(*run: Any) -> list[str]:
    """The hints on a run, given the arguments of `RunSummary`; none if that fails, for the run itself is finished."""
    try:
        return hints(RunSummary(*run))
    except Exception:
        log.exception("there are no hints on this run")
        return []


def hints(run: RunSummary) -> list[str]:
    """A line for each problem of a run, naming the setting to try; of the rules on the fit, the first that applies."""
    if not run.train:  # there was no training
        return []
    if OmegaConf.select(run.config, "trainer.fast_dev_run"):
        return ["trainer.fast_dev_run: a trial run on a few batches of each split; its numbers mean nothing"]
    known = 0 < run.baseline_train < math.inf  # 0: all targets are equal; NaN: their classes weigh nothing
    if OmegaConf.select(run.config, "trainer.overfit_batches"):
        return advice(overfit_rules(run)) if known else []
    fit = advice([*(loss_rules(run) if run.relative >= 1 - STUCK else []), *gap_rules(run)])[:1] if known else []
    # A model that has learned nothing misses classes for that reason alone, unless they are imbalanced.
    unpredicted = run.unpredicted if imbalanced(run.class_counts) or not fit else {}
    return fit + advice(class_rules(run.config, run.class_counts, bool(run.val), unpredicted, run.longer))


def after_divergence(config: DictConfig, data: TensorData, rate: float) -> str:
    """What to try after a loss that was not finite at this learning rate; bad scales come first."""
    scales = scale_rule(config, data)
    clip = available(config, "trainer.gradient_clip_val=1")
    remedies = list(scales.remedies) or [lower_rate(config, rate), *clip, "another loss", "or check the data"]
    return advice([Rule(True, scales.message, remedies)])[0]


def lower_rate(config: DictConfig, rate: float | None) -> str:
    """The learning rate to try after one that was too high: a tenth, to one digit, and at most 0.1."""
    lower = min(float(f"{rate / 10:.1g}"), 0.1) if rate and math.isfinite(rate) else 0.1
    tune = f" (or {tune_option(config)}, which finds one)" if tune_option(config) else ""
    return (f"optimizer.lr={lower:g}" if rate else "a lower optimizer.lr") + tune


def loss_rules(run: RunSummary) -> list[Rule]:
    """Training loss that ends no better than a constant prediction's."""
    start, end, peak, best = run.untrained, run.train[-1], max(run.train), min(run.train)
    scales, tune, rate = run.scales, tune_option(run.config), OmegaConf.select(run.config, "optimizer.lr")
    constant = f"a constant prediction scores {run.baseline_train:.4g}"
    loss = f"the last epoch's mean training loss is {end:.4g}, and {constant}"
    cause = f"; {scales.message}" if scales.message else ""
    too_high, lower = ": the learning rate is too high", [lower_rate(run.config, rate)]
    tenth, tenfold = (run.settings(f"optimizer.lr={rate * x if rate else 0.01:g}") for x in (0.1, 10))

    stuck = run.selected >= 1 - STUCK
    # The training loss is the mean over an epoch: the first one's says little about its end.
    rose = peak >= RISEN * max(start, run.baseline_train) and (len(run.train) > 1 or stuck)
    # Dropout and augmentation make the training loss noisy; the validation loss shows slow progress better.
    crawling = len(run.val) > 1 and _falls(run.val) and run.val[-1] > 0.99 * run.val[0]
    # A loss that has settled at the baseline is not slow but stuck.
    arrived = abs(run.relative - 1) < min(STUCK, 0.1 * (start / run.baseline_train - 1))
    # 1.01: the untrained model's loss is estimated from some of the samples.
    slow = stuck and not arrived and (crawling or _falls([1.01 * start, *run.train]))

    smaller = 2 ** int(math.log2(max(1, min(64, run.samples / 16))))  # a power of 2
    size = OmegaConf.select(run.config, "data.batch_size") or 64  # as TensorData has it
    batches = run.settings(f"data.batch_size={smaller}") if smaller < size else []
    # After next to no progress a tenfold rate is too low as well, and tune=lr finds one.
    faster = [*tenfold, *run.settings(run.longer)] if end < (1 - CRAWL) * start or not tune else []
    higher = [tune] if end > (1 + STUCK) * min(start, best) else tenfold  # after a rise, no higher rate
    normalized = run.settings(NORMALIZED)
    plain = "augmentation=none" if run.config.get("augmentation") else ""  # it may destroy the images
    rates = [] if cause else [*tenth, *higher, *normalized]
    return [
        Rule(
            rose,
            f"{loss}; it rose to {peak:.4g}, from {start:.4g} untrained{cause or too_high}",
            [*scales.remedies] or lower,
        ),
        Rule(
            stuck and run.steps < FEW_STEPS,
            f"{loss}; {run.steps} optimizer step{' is' if run.steps == 1 else 's are'} too few",
            [run.longer, *batches],
        ),
        Rule(
            slow,
            f"{loss}; it falls, but slowly{cause}",
            [*scales.remedies, tune, *([] if cause else [*faster, *normalized])],
        ),
        Rule(stuck, loss + cause, [*scales.remedies, plain, _hidden_layers(run.config), *rates]),
        Rule(end - best >= GAP * run.baseline_train, f"{loss}; it rose from {best:.4g}{too_high}", lower),
    ]


def _falls(losses: Sequence[float]) -> bool:
    return all(later <= before * (1 + 1e-6) for before, later in pairwise(losses))


def _hidden_layers(config: DictConfig) -> str:
    """A model with hidden layers, as a setting, where this one has none."""
    model = config.model
    if not str(model.get("_target_")).endswith(".MLP") or model.get("hidden_sizes") or model.get("embedding"):
        return ""
    return "model.hidden_sizes=[256,128]" if "hidden_sizes" in model else "model=mlp"


def gap_rules(run: RunSummary) -> list[Rule]:
    """Validation loss above training loss."""
    regularized = run.settings("model.dropout=0.2", "optimizer.weight_decay=0.001")
    hidden = OmegaConf.select(run.config, "model.hidden_sizes") or [0]
    narrower = "model.hidden_sizes=[32]" if min(hidden) >= 32 and len(hidden) * max(hidden) > 32 else ""
    unseen = [] if run.val else [f"{each} to see how new samples fare" for each in run.settings("data.val_size=0.1")]
    stopping = "" if "early_stopping" in run.config.get("callbacks", {}) else "callbacks=early_stopping"

    end, last, best = run.train[-1], *((run.val[-1], min(run.val)) if run.val else (0.0, 0.0))
    rises = run.gap > 0 and (last - best) / run.baseline_val > GAP / 2 and end < run.train[0]
    lowest = f" (lowest after epoch {run.val.index(best) + 1}: {best:.4g})" if rises else ""
    return [
        Rule(
            run.relative <= ZERO and (run.gap > GAP or (not run.val and run.parameters > run.samples)),
            f"the training loss is zero ({end:.2g}): {run.parameters:,} weights have memorized {run.samples:,} samples",
            ["more data", narrower, *regularized, *unseen],
        ),
        Rule(
            run.steps >= FEW_STEPS and (run.gap > GAP or rises),  # at first batch norm's running statistics are behind
            f"overfitting: training loss {end:.4g}, validation loss {last:.4g}{lowest}",
            [*regularized, stopping, "more data"],
        ),
    ]


def overfit_rules(run: RunSummary) -> list[Rule]:
    """Whether a run memorized its few batches (debug=overfit)."""
    number, loss = OmegaConf.select(run.config, "trainer.overfit_batches"), run.train[-1]
    batches = "few batches" if isinstance(number, float) else "1 batch" if number == 1 else f"{number} batches"
    left = f"still {loss:.4g} after epoch {len(run.train)} (a constant prediction scores {run.baseline_train:.4g})"
    what, test = f"debug=overfit: the loss on its {batches}", f"; the test is of a model that saw {batches}"
    fault = f"or look for a bug in the model, the loss or the data{test}"
    return [
        Rule(run.relative < MEMORIZED, f"{what} fell to {loss:.2g}: the model can learn{test}"),
        Rule(run.relative >= MEMORIZED, f"{what} is {left}", ["another optimizer.lr", fault]),
    ]
