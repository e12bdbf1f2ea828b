"""Which settings the choices of a job have: those that only other choices have are left out of it."""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from litlab.config.composition import OPEN
from litlab.config.suggestions import unknown_setting
from litlab.errors import RequestError
from litlab.sweeps.naming import key_of


class ChoiceSettings:
    """Leaves out settings: of `model=mlp,cnn model.channels=[8],[16]` the jobs of model=mlp get no channels.

    A setting that no choice has stays; `check` refuses it.

    Args:
        alternatives: for each group that several choices are given for, the words that choose them: `model=mlp`, ...
        load: the settings of some choices, given their words; None where they cannot be composed.
        groups: the names of all groups, those of one choice, too.
    """

    def __init__(
        self,
        alternatives: Sequence[Sequence[str]],
        load: Callable[[Sequence[str]], Mapping[str, Any] | None],
        groups: Collection[str] = (),
    ) -> None:
        self.alternatives = [list(words) for words in alternatives if len(words) > 1]
        self.groups = {key_of(word) for words in self.alternatives for word in words}
        self.every_group = self.groups.union(groups)
        self.load = load
        self._loaded: dict[tuple[str, ...], Mapping[str, Any] | None] = {}

    @classmethod
    def of_sweep(cls, context: HydraContext, config: DictConfig, words: Iterable[Sequence[str]]) -> "ChoiceSettings":
        """Those of a sweep.

        Args:
            context: Hydra's, of the sweep.
            config: the sweep's, with its hydra node.
            words: for each setting or choice, its values as overrides.
        """
        groups = {str(group).split("@")[0] for group in config.hydra.runtime.choices}
        every = [[word for word in each if key_of(word) in groups] for each in words]
        fixed = [each[0] for each in every if len(each) == 1]

        def load(chosen: Sequence[str]) -> Mapping[str, Any] | None:
            try:
                composed = context.config_loader.load_sweep_config(config, [*fixed, *chosen])
            except (HydraException, OmegaConfBaseException, RequestError):  # the job reports it
                return None
            plain: Any = OmegaConf.to_container(composed, resolve=False)
            return plain

        return cls(every, load, groups)

    def check(self, words: Iterable[str]) -> None:
        """Refuse a setting that no choice has, with the names in all of them: a job would tell those of its own alone.

        Args:
            words: overrides, or settings.

        Raises:
            RequestError: there is one.
        """
        every = list(itertools.product(*self.alternatives)) if self.alternatives else []
        keys = [key_of(word) for word in words if not word.startswith(("+", "~"))]
        for key in [key for key in keys if key not in self.every_group]:
            if every and not any(self._has(chosen, key) for chosen in every):
                config = OmegaConf.merge(*(self._loaded[chosen] or {} for chosen in every))
                there: Any = OmegaConf.to_container(config, resolve=False)
                names = key.split(".")
                for depth, name in enumerate(names, 1):
                    beside = there if isinstance(there, Mapping) else {}
                    if name not in beside:
                        raise RequestError(unknown_setting(".".join(names[:depth]), config, beside))
                    there = beside[name]

    def fits(self, chosen: Sequence[str], key: str) -> bool:
        """Whether a job of these choices has a setting, or no choice has it."""
        if not self.alternatives or self._has(chosen, key):
            return True
        return not any(self._has(words, key) for words in itertools.product(*self.alternatives))

    def fitting(self, words: Sequence[str]) -> list[str]:
        """The overrides of a job without settings that its choices do not have."""
        if not self.alternatives:
            return list(words)
        chosen = [word for word in words if key_of(word) in self.groups]
        return [word for word in words if word.startswith(("+", "~")) or self.fits(chosen, key_of(word))]

    def _has(self, chosen: Sequence[str], key: str) -> bool:
        words = tuple(chosen)
        if words not in self._loaded:
            self._loaded[words] = self.load(words)
        node: Any = self._loaded[words]
        for name in (OPEN.rstrip(".") if key.startswith(OPEN) else key).split("."):
            if not isinstance(node, Mapping):  # or not known
                return True
            if name not in node:
                return "/" in key  # a group of a group
            node = node[name]
        return True
