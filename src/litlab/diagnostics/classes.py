"""Rules on classes, of data and of runs on them: without samples, out of balance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from litlab.config.overrides import available
from litlab.data.samples import some
from litlab.diagnostics.rule import Rule
from litlab.plots.canvas import shortened

IMBALANCE = 4.0  # times as many samples in the most common class as in the rarest
BALANCED, BY_F1 = "task.class_weights=balanced", "task.monitor=val/f1"


@dataclass(frozen=True)
class Labelled:
    """Data or a run on them, as far as these rules look."""

    config: DictConfig
    class_counts: Mapping[str, int]  # of the training split; empty without classes
    has_validation: bool

    @property
    def present(self) -> dict[str, int]:
        """Training samples of those classes that have some."""
        return {name: count for name, count in self.class_counts.items() if count}

    @property
    def imbalanced(self) -> bool:
        """Whether one class has many times the training samples of another."""
        counts = self.present.values()
        return bool(counts) and max(counts) >= IMBALANCE * min(counts)

    @property
    def class_weights(self) -> list[str]:
        """Settings that go together: by accuracy, weights would be selected that favour the common class."""
        by_accuracy = OmegaConf.select(self.config, "task.monitor") == "val/accuracy"
        weights = available(self.config, BALANCED)
        return [" ".join([*weights, *(self.by_f1 if by_accuracy else [])])] if weights else []

    @property
    def by_f1(self) -> list[str]:
        """Selection by F1, as a setting."""
        setting = available(self.config, BY_F1) if self.has_validation else []
        mode = " task.mode=max" if OmegaConf.select(self.config, "task.mode") == "min" else ""
        return [each + mode for each in setting]


def quoted(names: Iterable[str]) -> str:
    """The first of these classes."""
    return some([f"'{shortened(name)}'" for name in names])


def _absent(data: Labelled) -> str:
    absent = [name for name in data.class_counts if name not in data.present]
    if len(data.present) == 1:
        return f"all training samples are of {quoted(data.present)}: there is nothing to distinguish, check load()"
    return f"no training samples of {quoted(absent)}: the model cannot learn {'it' if len(absent) == 1 else 'them'}"


def _extremes(data: Labelled) -> str:
    rarest, common = (choose(data.present, key=data.present.__getitem__) for choose in (min, max))
    return f"{data.present[common]:,} samples of {quoted([common])}, {data.present[rarest]:,} of {quoted([rarest])}"


ABSENT = Rule(lambda data: 0 < len(data.present) < max(2, len(data.class_counts)), _absent)
IMBALANCED = Rule(
    lambda data: data.imbalanced and data.class_weights,
    lambda data: f"imbalanced classes ({_extremes(data)}), where F1 tells more than accuracy",
    lambda data: data.class_weights,
)
