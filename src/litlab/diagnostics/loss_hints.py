"""What to try next where the training loss hardly fell: why, as far as the run shows it."""

import math
from collections.abc import Sequence
from itertools import pairwise

from omegaconf import OmegaConf

from litlab.diagnostics.advice import NORMALIZED, finder, lower_rate, tried
from litlab.diagnostics.evidence import Evidence

STUCK = 0.05  # share of the constant answer's loss that training must at least take away
RISEN = 1.5  # times the loss of the untrained model (or the constant answer's), where no good rate leads
FEW_STEPS = 20
CRAWL = 0.02  # of the untrained model's loss: ten times what took less away is still too little


def too_fast(run: Evidence) -> str | None:
    """The training loss rose far above the untrained model's, and never came down."""
    # The training loss is the mean over an epoch: where that is the first, it tells little of the end.
    end = run.left if len(run.train) > 1 else min(run.left, run.selected())
    if end < 1 - STUCK or max(run.train) < RISEN * max(run.untrained(), run.constant_train):
        return None
    found = f"{_found(run)}; it rose to {max(run.train):.4g}, from {run.untrained():.4g} untrained"
    if run.sizes.found:
        return _remedied(run, found)
    rate, search = OmegaConf.select(run.config, "optimizer.lr"), finder(run.config)
    lower = f"optimizer.lr={lower_rate(rate):g}" if rate else "a lower optimizer.lr"
    other = f"or {search}, which looks for one" if search else ""
    return f"{found}: the learning rate is too high: " + tried(lower, other)


def too_few_steps(run: Evidence) -> str | None:
    """The training loss hardly fell, and there was no time for more."""
    if not _hardly_fell(run) or run.steps >= FEW_STEPS:
        return None
    smaller = 2 ** int(math.log2(max(1, min(64, run.samples / 16))))  # a size as one would type it
    size = OmegaConf.select(run.config, "data.batch_size") or 64  # as TensorData has it
    batches = run.settings(f"data.batch_size={smaller}") if smaller < size else []
    return f"{_found(run)}; optimizer steps were too few ({run.steps}): " + tried(run.longer, *batches)


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
    search, slowly = finder(run.config), f"{_found(run)}; it falls, but slowly"
    if run.sizes.found:
        return _remedied(run, slowly, search)
    # Where next to nothing has happened, a tenfold rate is as bad, and tune=lr finds one.
    more = run.settings(_rate(run, 10), run.longer) if run.train[-1] < (1 - CRAWL) * start or not search else []
    return _remedied(run, slowly, search, *more, *run.settings(NORMALIZED))


def stuck(run: Evidence) -> str | None:
    """The training loss hardly fell, for whatever reason."""
    if not _hardly_fell(run):
        return None
    plain = "augmentation=none" if run.config.get("augmentation") else ""  # it may leave nothing to see
    if run.sizes.found:
        return _remedied(run, _found(run), plain, _deeper(run))
    rose = run.train[-1] > (1 + STUCK) * min(run.untrained(), *run.train)  # then a higher rate is none to try
    higher = [finder(run.config)] if rose else run.settings(_rate(run, 10))
    rates = [*run.settings(_rate(run, 0.1)), *higher, *run.settings(NORMALIZED)]
    return _remedied(run, _found(run), plain, _deeper(run), *rates)


def _remedied(run: Evidence, found: str, *others: str) -> str:
    """What was found and what to try, first against sizes of inputs and targets that may be its cause."""
    cause = f"; {run.sizes.found}" if run.sizes.found else ""
    return f"{found}{cause}: " + tried(*run.sizes.remedies, *others)


def _falls(losses: Sequence[float]) -> bool:
    return all(later <= before * (1 + 1e-6) for before, later in pairwise(losses))


def _hardly_fell(run: Evidence) -> bool:
    return run.left >= 1 - STUCK and run.selected() >= 1 - STUCK


def _found(run: Evidence) -> str:
    constant = f"an answer that ignores the input has {run.constant_train:.4g}"
    return f"the last epoch's mean training loss is {run.train[-1]:.4g}, and {constant}"


def _rate(run: Evidence, factor: float) -> str:
    """Another learning rate, as a setting."""
    rate = OmegaConf.select(run.config, "optimizer.lr")
    return f"optimizer.lr={rate * factor if rate else 0.01:g}"


def _deeper(run: Evidence) -> str:
    """A model with hidden layers, as a setting, where this one has none."""
    model = run.config.model
    if not str(model.get("_target_")).endswith(".MLP") or model.get("hidden_sizes") or model.get("embedding"):
        return ""
    return "model.hidden_sizes=[256,128]" if "hidden_sizes" in model else "model=mlp"
