"""What to try next where the classes are the trouble: absent, never answered, out of balance."""

from collections.abc import Sequence

from omegaconf import OmegaConf

from litlab.diagnostics.advice import tried
from litlab.diagnostics.evidence import Evidence

FEW_SAMPLES = 5  # of a class in validation, which tell nothing of whether the model answers it
IMBALANCE = 4.0  # times as many samples in the most common class as in the rarest
NAMED, LETTERS = 5, 20  # classes in a hint, and letters of each, at most

BALANCED, BY_F1 = "task.class_weights=balanced", "task.monitor=val/f1"


def absent(run: Evidence) -> str | None:
    """Training has no sample of some classes."""
    there = [name for name, count in run.class_counts.items() if count]
    missing = [name for name, count in run.class_counts.items() if not count]
    if not missing:
        return None
    if len(there) == 1:
        return f"all training samples are of {_quoted(there)}: there is nothing to tell apart, so look at load()"
    return f"no training sample of {_quoted(missing)}: the model cannot learn {'it' if len(missing) == 1 else 'them'}"


def never_answered(run: Evidence) -> str | None:
    """The tested model has some classes for no sample."""
    enough = [name for name, there in run.unanswered.items() if there >= FEW_SAMPLES]
    names = [name for name in enough if run.class_counts.get(name)]  # of the others `absent` tells
    if not names:
        return None
    there = f"{sum(run.unanswered[name] for name in names):,} validation samples are"
    several = f"{len(names)} of {len(run.class_counts)} classes are never answered, which {there}: {_quoted(names)}"
    found = several if len(names) > 1 else f"the model never answers {_quoted(names)}, which {there}"
    more = "more samples of " + ("them" if len(names) > 1 else "it")
    by_f1 = f"{chosen} (selects by F1)" if (chosen := _by_f1(run)) else ""
    remedies = (_weights(run) or by_f1, more) if out_of_balance(run) else (run.longer, by_f1)
    return f"{found}: " + tried(*remedies)


def imbalance(run: Evidence) -> str | None:
    """One class has many times the samples of another, and nothing is done about it."""
    if not out_of_balance(run) or not _weights(run):
        return None
    there = {name: count for name, count in run.class_counts.items() if count}
    rarest, common = (choose(there, key=there.__getitem__) for choose in (min, max))
    found = f"{there[common]:,} samples of {_short(common)}, {there[rarest]:,} of {_short(rarest)}"
    return f"classes out of balance: {found}: try {_weights(run)}"


def out_of_balance(run: Evidence) -> bool:
    """Whether one class has many times the training samples of another."""
    counts = [count for count in run.class_counts.values() if count]
    return bool(counts) and max(counts) >= IMBALANCE * min(counts)


def _weights(run: Evidence) -> str:
    """Weights of the classes, as settings that go together: those that accuracy selects are the common class's."""
    by_accuracy = OmegaConf.select(run.config, "task.monitor") == "val/accuracy"
    together = (*run.settings(BALANCED), _by_f1(run) if by_accuracy else "")
    return " ".join(filter(None, together)) if run.settings(BALANCED) else ""


def _by_f1(run: Evidence) -> str:
    """Weights selected by F1, as a setting."""
    if not run.val or not run.settings(BY_F1):
        return ""
    return BY_F1 if OmegaConf.select(run.config, "task.mode") != "min" else f"{BY_F1} task.mode=max"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{_short(name)}'" for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _short(name: str) -> str:
    """Its two ends, where it is long: names often differ in one of them."""
    return name if len(name) <= LETTERS else f"{name[: LETTERS // 2 - 1]}...{name[2 - LETTERS // 2 :]}"
