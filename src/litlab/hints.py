"""What to try next, where a finished run shows a known trouble; silent otherwise."""

import math
from collections.abc import Sequence
from itertools import pairwise

from omegaconf import OmegaConf

from litlab.evidence import Evidence
from litlab.tasks.losses import lower_rate

# Losses are judged as shares of the constant answer's, which does not look at its input.
STUCK = 0.05  # that training must at least take away
GAP = 0.15  # by which validation may lie above training
ZERO = 0.001  # what counts as none
BY_HEART = 0.1  # what a model may leave of a few batches that it is to learn by heart
RISEN = 1.5  # times the loss of the untrained model (or the constant answer's), where no good rate leads
FEW_STEPS = 20
FEW_SAMPLES = 5  # of a class in the test, which tell nothing of whether the model answers it
IMBALANCE = 4.0  # times as many samples in the most common class as in the rarest
NAMED = 5  # classes, at most

NORMALIZED, BALANCED = "data.normalize=true", "task.class_weights=balanced"


def hints(run: Evidence | None) -> list[str]:
    """A line for each trouble that a run shows, each naming the setting to try; of those on one trouble the first."""
    if run is None:
        return []
    if OmegaConf.select(run.config, "trainer.fast_dev_run"):
        return ["trainer.fast_dev_run: a rehearsal on a batch or a few of each split; these numbers mean nothing"]
    known = run.constant_train > 0  # 0: all targets are equal
    if OmegaConf.select(run.config, "trainer.overfit_batches"):
        return [learned(run)] if known else []
    rules = (too_fast, too_few_steps, too_slow, stuck, by_heart, overfitting)
    fit = next(filter(None, (rule(run) for rule in rules)), None) if known else None
    # A model that has learned nothing leaves out classes for no other reason, where they are in balance.
    classes = (never_answered(run) if _out_of_balance(run) or not fit else None) or imbalance(run)
    return [hint for hint in (fit, classes) if hint]


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


def too_fast(run: Evidence) -> str | None:
    """The training loss rose far above the untrained model's, and never came down."""
    # The training loss is the mean over an epoch: where that is the first, it tells little of the end.
    end = run.left if len(run.train) > 1 else min(run.left, run.tested)
    if end < 1 - STUCK or max(run.train) < RISEN * max(run.untrained(), run.constant_train):
        return None
    rate = OmegaConf.select(run.config, "optimizer.lr")
    lower = f"optimizer.lr={lower_rate(rate):g}" if rate else "a lower optimizer.lr"
    finder = "" if run.config.get("tune") else ", or tune=lr, which looks for one"
    rose = f"it rose to {max(run.train):.4g}, from {run.untrained():.4g} untrained"
    return f"{_found(run)}; {rose}: the learning rate is too high: try {lower}{finder}"


def too_few_steps(run: Evidence) -> str | None:
    """The training loss hardly fell, and there was no time for more."""
    if not _hardly_fell(run) or run.steps >= FEW_STEPS:
        return None
    smaller = 2 ** int(math.log2(max(1, min(64, run.samples / 16))))  # a size as one would type it
    size = OmegaConf.select(run.config, "data.batch_size") or 0
    remedies = _longer(run) + (f", data.batch_size={smaller}" if smaller < size else "")
    return f"{_found(run)}; optimizer steps were too few ({run.steps}): try {remedies}"


def too_slow(run: Evidence) -> str | None:
    """The training loss hardly fell, but in each epoch."""
    if not _hardly_fell(run):
        return None
    start = run.untrained()
    losses = [1.01 * start, *run.train]  # the untrained model's is of a part of the samples
    # Dropout, augmentation and class weights make noise; validation has none, and shows that hardly anything happens.
    crawling = len(run.val) > 1 and _falls(run.val) and run.val[-1] > 0.99 * run.val[0]
    # What came down to the constant answer's loss, and stays there, is not on its way.
    arrived = abs(run.left - 1) < min(STUCK, 0.1 * (start / run.constant_train - 1))
    if arrived or not (crawling or _falls(losses)):
        return None
    return f"{_found(run)}; it falls, but slowly: try " + run.settings(_rate(run, 10), _longer(run), NORMALIZED)


def stuck(run: Evidence) -> str | None:
    """The training loss hardly fell, for whatever reason."""
    if not _hardly_fell(run):
        return None
    plain = "augmentation=none" if run.config.get("augmentation") else ""  # it may leave nothing to see
    settings = run.settings(_rate(run, 0.1), _rate(run, 10), NORMALIZED)
    return f"{_found(run)}: try " + ", ".join(filter(None, (plain, _deeper(run), settings)))


def by_heart(run: Evidence) -> str | None:
    """No loss is left, with too little data to mean much."""
    alone = not run.val and run.parameters > run.samples
    if run.left > ZERO or not (alone or run.gap > GAP):
        return None
    found = f"the training loss is zero ({run.train[-1]:.2g})"
    found += f": {run.parameters:,} weights know {run.samples:,} samples by heart"
    smaller = run.settings("model.hidden_sizes=[32]", "model.dropout=0.2", "optimizer.weight_decay=0.001")
    measure = "" if run.val else "; data.val_size=0.1 would show how new samples fare"
    return f"{found}: try more data" + (f", or {smaller}" if smaller else "") + measure


def overfitting(run: Evidence) -> str | None:
    """Training is far better than validation, or validation grew worse while training went on."""
    if not run.gap:
        return None
    best = min(range(len(run.val)), key=run.val.__getitem__)
    risen = (run.val[-1] - run.val[best]) / run.constant_val > GAP / 2 and run.train[-1] < run.train[0]
    if not (run.gap > GAP or risen):
        return None
    found = f"overfitting: loss {run.train[-1]:.4g} in training, {run.val[-1]:.4g} in validation"
    if risen:
        found += f" (lowest after epoch {best + 1}: {run.val[best]:.4g})"
    remedies = run.settings("model.dropout=0.2", "optimizer.weight_decay=0.001")
    if "early_stopping" not in run.config.get("callbacks", {}):
        remedies = ", ".join(filter(None, (remedies, "callbacks=early_stopping")))
    return f"{found}: try " + ", ".join(filter(None, (remedies, "more data")))


def never_answered(run: Evidence) -> str | None:
    """The tested model has some classes for no sample."""
    names = [name for name, there in run.unanswered.items() if there >= FEW_SAMPLES]
    if not names:
        return None
    there = f"{sum(run.unanswered[name] for name in names):,} test samples are"
    quoted = ", ".join(f"'{name}'" for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    several = f"{len(names)} of {len(run.class_counts)} classes are never answered, which {there}: {quoted}"
    found = several if len(names) > 1 else f"the model never answers {quoted}, which {there}"
    by_f1 = "task.monitor=val/f1 (selects by F1)" if run.val and run.settings("task.monitor=val/f1") else ""
    more = "more samples of " + ("them" if len(names) > 1 else "it")
    remedies = (run.settings(BALANCED), by_f1, more) if _out_of_balance(run) else (_longer(run), by_f1)
    return f"{found}: try " + ", ".join(filter(None, remedies))


def imbalance(run: Evidence) -> str | None:
    """One class has many times the samples of another, and nothing is done about it."""
    if not _out_of_balance(run) or not run.settings(BALANCED):
        return None
    rarest, common = (choose(run.class_counts, key=run.class_counts.__getitem__) for choose in (min, max))
    few, many = run.class_counts[rarest], run.class_counts[common]
    return f"classes out of balance: {many:,} samples of {common}, {few:,} of {rarest}: try {BALANCED}"


def _out_of_balance(run: Evidence) -> bool:
    counts = run.class_counts.values()
    return bool(counts) and max(counts) >= IMBALANCE * min(counts)


def _falls(losses: Sequence[float]) -> bool:
    return all(later <= before * (1 + 1e-6) for before, later in pairwise(losses))


def _hardly_fell(run: Evidence) -> bool:
    return min(run.left, run.tested) >= 1 - STUCK


def _found(run: Evidence) -> str:
    constant = f"an answer that ignores the input has {run.constant_train:.4g}"
    return f"the last epoch's mean training loss is {run.train[-1]:.4g}, and {constant}"


def _rate(run: Evidence, factor: float) -> str:
    """Another learning rate, as a setting."""
    rate = OmegaConf.select(run.config, "optimizer.lr")
    return f"optimizer.lr={rate * factor if rate else 0.01:g}"


def _longer(run: Evidence) -> str:
    """A longer training, as a setting."""
    limit = OmegaConf.select(run.config, "trainer.max_steps") or -1
    return f"trainer.max_steps={10 * limit}" if 0 < limit <= run.steps else f"trainer.max_epochs={10 * len(run.train)}"


def _deeper(run: Evidence) -> str:
    """A model with hidden layers, as a setting, where this one has none."""
    model = run.config.model
    if not str(model.get("_target_")).endswith(".MLP") or model.get("hidden_sizes") or model.get("embedding"):
        return ""
    return "model.hidden_sizes=[256,128]" if "hidden_sizes" in model else "model=mlp"
