"""What to try next, where a finished run shows a known trouble; silent otherwise."""

import logging
import math
from typing import Any

from omegaconf import OmegaConf

from litlab.diagnostics.advice import tried
from litlab.diagnostics.class_hints import absent, imbalance, never_answered, out_of_balance
from litlab.diagnostics.evidence import Evidence, gather
from litlab.diagnostics.loss_hints import FEW_STEPS, stuck, too_fast, too_few_steps, too_slow

log = logging.getLogger(__name__)

# Losses are judged as shares of the constant answer's, which does not look at its input.
GAP = 0.15  # by which validation may lie above training
ZERO = 0.001  # what counts as none
BY_HEART = 0.1  # what a model may leave of a few batches that it is to learn by heart


def hints_after(*run: Any) -> list[str]:
    """The hints on a run of which `gather` is told; where that fails none, for the run itself is finished."""
    try:
        return hints(gather(*run))
    except Exception:
        log.exception("there are no hints on this run")
        return []


def hints(run: Evidence | None) -> list[str]:
    """A line for each trouble that a run shows, each naming the setting to try; of those on one trouble the first."""
    if run is None:
        return []
    if OmegaConf.select(run.config, "trainer.fast_dev_run"):
        return ["trainer.fast_dev_run: a rehearsal on a batch or a few of each split; these numbers mean nothing"]
    known = 0 < run.constant_train < math.inf  # 0: all targets are equal; NaN: their classes weigh nothing
    if OmegaConf.select(run.config, "trainer.overfit_batches"):
        return [learned(run)] if known else []
    rules = (too_fast, too_few_steps, too_slow, stuck, by_heart, overfitting)
    fit = next(filter(None, (rule(run) for rule in rules)), None) if known else None
    # A model that has learned nothing leaves out classes for no other reason, where they are in balance.
    answers = never_answered(run) if out_of_balance(run) or not fit else None
    return [hint for hint in (fit, absent(run), answers or imbalance(run)) if hint]


def learned(run: Evidence) -> str:
    """Whether the model could learn a few batches by heart, where that was what was asked for."""
    batches = OmegaConf.select(run.config, "trainer.overfit_batches")
    some = "few batches" if isinstance(batches, float) else "1 batch" if batches == 1 else f"{batches} batches"
    found, test = f"debug=overfit: the loss on its {some}", f"the test is of a model that saw {some}"
    if run.left < BY_HEART:
        return f"{found} fell to {run.train[-1]:.2g}: the model can learn; {test}"
    found += (
        f" is still {run.train[-1]:.4g} after epoch {len(run.train)} (ignoring its input: {run.constant_train:.4g})"
    )
    return f"{found}: try another optimizer.lr, or look for a fault in the model, the loss or the data; {test}"


def by_heart(run: Evidence) -> str | None:
    """No loss is left, with too little data to mean much."""
    alone = not run.val and run.parameters > run.samples
    if run.left > ZERO or not (alone or run.gap > GAP):
        return None
    found = f"the training loss is zero ({run.train[-1]:.2g})"
    found += f": {run.parameters:,} weights know {run.samples:,} samples by heart"
    hidden = OmegaConf.select(run.config, "model.hidden_sizes") or [0]
    narrower = ["model.hidden_sizes=[32]"] if min(hidden) >= 32 and len(hidden) * max(hidden) > 32 else []
    smaller = [*narrower, *run.settings("model.dropout=0.2", "optimizer.weight_decay=0.001")]
    measure = "" if run.val else "".join(run.settings("data.val_size=0.1"))
    found += f": try more data{', or ' if smaller else ''}{', '.join(smaller)}"
    return f"{found}; {measure} would show how new samples fare" if measure else found


def overfitting(run: Evidence) -> str | None:
    """Training is far better than validation, or validation grew worse while training went on."""
    if not run.gap or run.steps < FEW_STEPS:  # the running statistics of batch norm are behind at first
        return None
    best = min(range(len(run.val)), key=run.val.__getitem__)
    risen = (run.val[-1] - run.val[best]) / run.constant_val > GAP / 2 and run.train[-1] < run.train[0]
    if not (run.gap > GAP or risen):
        return None
    found = f"overfitting: loss {run.train[-1]:.4g} in training, {run.val[-1]:.4g} in validation"
    if risen:
        found += f" (lowest after epoch {best + 1}: {run.val[best]:.4g})"
    stops = "early_stopping" in run.config.get("callbacks", {})
    remedies = run.settings("model.dropout=0.2", "optimizer.weight_decay=0.001")
    return f"{found}: " + tried(*remedies, "" if stops else "callbacks=early_stopping", "more data")
