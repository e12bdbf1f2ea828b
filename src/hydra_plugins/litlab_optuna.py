"""litlab's search with Optuna, as a sweeper for Hydra, which accepts them from the package hydra_plugins alone."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from litlab.errors import RequestError


class OptunaSweeper(Sweeper):
    """`litlab.sweeps.search.Search`, which is imported when it is asked for: Hydra imports this file at every start.

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
