"""litlab's sweepers for Hydra, which accepts them from the package hydra_plugins alone."""

import itertools
from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from litlab.sweeps.naming import key_of


class GridSweeper(BasicSweeper):
    """All combinations of the values given; a job that fails is a row of the leaderboard, and the others go on."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Claim the sweep's folder, then set up the launcher."""
        from litlab.sweep import begin  # here, because Hydra imports this file at every start

        begin(self, config)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.task_function = task_function

    def sweep(self, arguments: list[str]) -> None:
        """Run the jobs, summarize them, and print the best.

        Raises:
            RunError: jobs failed, or did not begin.
            Exception: no job could be composed: what is wrong with the first.
        """
        from litlab.sweep import dry_run, walking

        words = [f"{key}={value}" for key, value in self.params.items()] + arguments
        swept, grid = combinations(OverridesParser.create().parse_overrides(words))
        assert self.config is not None
        if self.config.sweep.dry_run:
            dry_run(self, self.task_function, swept, grid)
            return
        size = self.max_batch_size or len(grid)
        with walking(self, swept, len(grid)) as jobs:
            for start in range(0, len(grid), size):
                jobs.launch(grid[start : start + size], start)


def combinations(overrides: Sequence[Override]) -> tuple[list[str], list[list[str]]]:
    """The settings that are given several values, and the overrides of each job.

    Of a setting that is given twice the last counts: what is typed goes before the sweeper's params.

    Raises:
        HydraException: values that are no list, such as interval(0, 1).
    """
    given: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            given[key.lstrip("+")] = [override.input_line or ""]
        elif override.is_discrete_sweep():
            given[key.lstrip("+")] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise HydraException(f"{override.input_line}: a grid needs values, as in {key}=1,2,3; or take sweep=optuna")
    swept = [key_of(key) for key, words in given.items() if len(words) > 1]
    return swept, [list(job) for job in itertools.product(*given.values())]
