"""litlab's sweepers for Hydra, which accepts them from the package hydra_plugins alone."""

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from litlab.config.suggestions import suggestion
from litlab.errors import RequestError

TIMED = 64  # jobs per launch where sweep.minutes may end the sweep: to compose one takes a twentieth of a second


class GridSweeper(Sweeper):
    """Runs the jobs of a `Space`; a failed job is a row of the leaderboard, and the others continue.

    Args:
        max_batch_size: jobs per launch; None: all.
        params: by setting its values, separated by commas.
    """

    config: DictConfig  # set by `setup`
    hydra_context: HydraContext
    launcher: Launcher

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None) -> None:
        self.max_batch_size, self.params = max_batch_size, params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Claim the sweep's folder, then set up the launcher."""
        from litlab.sweeps.sweep import set_up  # here, because Hydra imports this file at every start

        self.folder, self.launcher = set_up(hydra_context, task_function, config)
        self.config, self.hydra_context, self.task_function = config, hydra_context, task_function

    def sweep(self, arguments: list[str]) -> None:
        """Run the jobs, summarize them, and print the best.

        Raises:
            RunError: jobs failed, or did not start.
            RequestError: an option of the sweep does not fit its settings.
            Exception: no job could be composed; the first job's error.
        """
        from litlab.sweeps.choice_settings import ChoiceSettings
        from litlab.sweeps.dry_run import dry_run
        from litlab.sweeps.halving import halve
        from litlab.sweeps.plan import Plan
        from litlab.sweeps.space import Space
        from litlab.sweeps.sweep import running

        if (pruner := self.config.sweep.prune) is not None:
            raise RequestError(f"sweep.prune={pruner}: is for sweep=optuna; for others there is sweep=halving")
        words = [f"{key}={value}" for key, value in self.params.items()] + arguments
        choices = self.config.hydra.runtime.choices
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)  # which glob() asks for names
        space = Space(parser.parse_overrides(words), self.config.sweep, choices)
        for group, choice, _ in space.when:
            there_are = self.hydra_context.config_loader.get_group_options(group)
            if choice not in there_are:
                what = f"there is no {group}={choice}{suggestion(choice, there_are)}"
                raise RequestError(f"sweep.when: {what}")
        words_of = [[word for words in axis.words for word in words] for axis in space.axes.values()]
        own = ChoiceSettings.of_sweep(self.hydra_context, self.config, words_of)
        conditional = [axis for _, _, axes in space.when for axis in axes.values()]
        own.check(word for axis in [*space.axes.values(), *conditional] for word in axis.given)
        swept, grid = space.swept, space.jobs(own.fitting)
        if self.config.sweep.dry_run:
            dry_run(self.hydra_context, self.config, self.task_function, swept, grid)
            return
        size = self.max_batch_size or (len(grid) if self.config.sweep.minutes is None else TIMED)
        plan = Plan(self.hydra_context, self.config, self.folder, swept, len(grid))
        with running(self.launcher, plan) as runner:
            if self.config.sweep.eta is not None:
                halve(runner, grid)
                return
            for start in range(0, len(grid), size):
                if not runner.is_stopped:
                    runner.launch(grid[start : start + size])


class OptunaSweeper(Sweeper):
    """`litlab.sweeps.search.Search`, imported late: Hydra imports this file at every start.

    Args:
        settings: those of conf/hydra/sweeper/search.yaml.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Claim the sweep's folder, then set up the launcher.

        Raises:
            RequestError: Optuna is not installed, or too old.
        """
        try:
            from litlab.sweeps.search import Search
        except ImportError as error:  # not there, or an older one
            if str(error.name).startswith("litlab"):
                raise
            raise RequestError(f"sweep=optuna: needs an extra ({error}): pip install -e .[optuna]") from error
        self.search = Search(**self.settings)
        self.search.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials, summarize them, and print the best."""
        self.search.sweep(arguments)
