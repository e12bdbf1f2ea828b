"""litlab's sweepers for Hydra, which accepts them from the package hydra_plugins alone."""

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(Sweeper):
    """The jobs of a `Space`; one that fails is a row of the leaderboard, and the others go on.

    Args:
        max_batch_size: jobs that are handed to the launcher at a time; None: all.
        params: by setting its values, separated by commas.
    """

    config: DictConfig  # these are there after `setup`
    hydra_context: HydraContext
    task_function: TaskFunction

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None) -> None:
        self.max_batch_size, self.params = max_batch_size, params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Claim the sweep's folder, then set up the launcher."""
        from litlab.sweeps.sweep import begin  # here, because Hydra imports this file at every start

        begin(self, hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> None:
        """Run the jobs, summarize them, and print the best.

        Raises:
            RunError: jobs failed, or did not begin.
            RequestError: an option of the sweep does not fit its settings.
            Exception: no job could be composed: what is wrong with the first.
        """
        from litlab.sweeps.space import Space
        from litlab.sweeps.sweep import dry_run, walking

        words = [f"{key}={value}" for key, value in self.params.items()] + arguments
        choices = self.config.hydra.runtime.choices
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)  # which glob() asks for names
        space = Space(parser.parse_overrides(words), self.config.sweep, choices)
        swept, grid = space.swept, space.jobs()
        if self.config.sweep.dry_run:
            dry_run(self, self.task_function, swept, grid)
            return
        size = self.max_batch_size or len(grid)
        with walking(self, swept, len(grid)) as jobs:
            for start in range(0, len(grid), size):
                jobs.launch(grid[start : start + size], start)
