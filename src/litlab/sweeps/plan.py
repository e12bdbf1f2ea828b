"""From the overrides of a job to its settings, without running it."""

import copy
from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from litlab import trust
from litlab.config.checks import check
from litlab.errors import RequestError
from litlab.results import settings
from litlab.sweeps.folder import identity
from litlab.sweeps.job import Job


class Planner:
    """Composes jobs as Hydra does; the choices once for all jobs that have the same, for they take most of the time.

    Args:
        context: Hydra's, of the sweep.
        config: the sweep's.
    """

    def __init__(self, context: HydraContext, config: DictConfig) -> None:
        self.context = context
        self.config = config
        self._chosen: dict[tuple[str, ...], DictConfig] = {}

    def plan(self, overrides: Sequence[str]) -> Job:
        """A job of these overrides, held against the rules; what is wrong with it becomes its `mistake`."""
        job = Job(list(overrides))
        before = HydraConfig.instance().cfg
        try:
            composed = self._compose(job.overrides)
            with read_write(composed.hydra), open_dict(composed):
                composed.hydra.job.id, composed.hydra.job.num, composed.hydra.runtime.output_dir = "", 0, ""
                HydraConfig.instance().set_config(composed)  # for what the job's settings take from it
                del composed["hydra"]
            job.settings = settings(composed)
            job.identity = identity(job.settings)
            trust.check(composed)
            check(composed, job.overrides)
        except (HydraException, OmegaConfBaseException, RequestError) as error:
            job.mistake = error
        finally:
            HydraConfig.instance().cfg = before
        return job

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        loader = self.context.config_loader
        assert isinstance(loader, ConfigLoaderImpl)
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        groups = [each for each in parsed if loader.repository.group_exists(each.key_or_group)]
        chosen = tuple(each.input_line or "" for each in groups)
        if chosen not in self._chosen:
            self._chosen[chosen] = loader.load_sweep_config(self.config, list(chosen))
        composed = copy.deepcopy(self._chosen[chosen])
        try:
            loader._apply_overrides_to_config([each for each in parsed if each not in groups], composed)
        except OmegaConfBaseException as error:
            raise HydraException(str(error)) from error
        return composed
