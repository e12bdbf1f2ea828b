"""Rules on classes, of data and of runs on them: without samples, never predicted, out of balance."""

from collections.abc import Iterable, Mapping

from omegaconf import DictConfig, OmegaConf

from litlab.config.overrides import available
from litlab.data.samples import some
from litlab.diagnostics.rule import Rule
from litlab.plots.canvas import shortened

IMBALANCE = 4.0  # times as many samples in the most common class as in the rarest
FEW_SAMPLES = 5  # of a class in validation, too few to tell whether the model predicts it


def imbalanced(counts: Mapping[str, int]) -> bool:
    """Whether one class has many times the training samples of another; by its samples of each."""
    there = [count for count in counts.values() if count]
    return bool(there) and max(there) >= IMBALANCE * min(there)


def class_rules(
    config: DictConfig,
    counts: Mapping[str, int],
    has_validation: bool,
    unpredicted: Mapping[str, int] | None = None,
    longer: str = "",
) -> list[Rule]:
    """What is wrong with classes.

    Args:
        config: names the settings that there are.
        counts: training samples of each class; empty without classes.
        has_validation: whether something selects weights.
        unpredicted: classes that a run's model never predicts, with their samples in validation.
        longer: a longer training, as a setting.
    """
    there = {name: count for name, count in counts.items() if count} or {"": 0}
    absent = [name for name, count in counts.items() if not count]
    rarest, common = (choose(there, key=there.__getitem__) for choose in (min, max))
    extremes = f"{there[common]:,} samples of {_quoted([common])}, {there[rarest]:,} of {_quoted([rarest])}"
    it = "it" if len(absent) == 1 else "them"

    # With class weights or not, accuracy would select weights that favour the common class.
    mode = " task.mode=max" if OmegaConf.select(config, "task.mode") == "min" else ""
    by_f1 = [each + mode for each in available(config, "task.monitor=val/f1") if has_validation]
    by_accuracy = OmegaConf.select(config, "task.monitor") == "val/accuracy"
    weights = [" ".join([each, *by_f1 * by_accuracy]) for each in available(config, "task.class_weights=balanced")]

    never = {name: n for name, n in (unpredicted or {}).items() if n >= FEW_SAMPLES and there.get(name)}
    samples = f"({sum(never.values()):,} validation samples)"
    one = f"the model never predicts {_quoted(never)} {samples}"
    several = f"{len(never)} of {len(counts)} classes are never predicted {samples}: {_quoted(never)}"
    selected = [f"{each} (selects by F1)" for each in by_f1]
    more = "more samples of " + ("it" if len(never) == 1 else "them")
    return [
        Rule(
            counts and len(there) == 1,
            f"all training samples are of {_quoted(there)}: there is nothing to distinguish, check load()",
        ),
        Rule(len(there) > 1 and absent, f"no training samples of {_quoted(absent)}: the model cannot learn {it}"),
        Rule(
            never,
            one if len(never) == 1 else several,
            [*(weights or selected), more] if imbalanced(counts) else [longer, *selected],
        ),
        Rule(
            imbalanced(counts) and weights and not never,
            f"imbalanced classes ({extremes}), where F1 tells more than accuracy",
            weights,
        ),
    ]


def _quoted(names: Iterable[str]) -> str:
    return some([f"'{shortened(name)}'" for name in names])
