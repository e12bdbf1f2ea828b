"""From the overrides of a job to its settings, without running it."""

import copy
from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from litlab.compat.hydra import apply_overrides, is_group
from litlab.config import trust
from litlab.config.checks import check
from litlab.errors import RequestError
from litlab.runs.result import settings
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
        self._chosen: dict[
            tuple[str, ...], tuple[DictConfig, DictConfig]
        ] = {}  # by choices: the rest, and hydra's node

    def plan(self, overrides: Sequence[str]) -> Job:
        """A job of these overrides, held against the rules; what is wrong with it becomes its `mistake`."""
        job = Job(list(overrides))
        before = HydraConfig.instance().cfg
        try:
            composed = self._compose(job.overrides)
            job.settings = settings(composed)
            job.identity = identity(job.settings)
            trust.check(composed, job.settings)
            check(composed, job.overrides)
        except (HydraException, OmegaConfBaseException, RequestError) as error:
            job.mistake = error
        finally:
            HydraConfig.instance().cfg = before
        return job

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        """The job's config, without hydra's node, which HydraConfig then has: its settings may take from it."""
        loader = self.context.config_loader
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        groups = [each for each in parsed if is_group(loader, each.key_or_group)]
        chosen = tuple(each.input_line or "" for each in groups)
        if chosen not in self._chosen:
            self._chosen[chosen] = self._choose(chosen)
        plain, hydra = self._chosen[chosen]
        HydraConfig.instance().cfg = hydra  # type: ignore[assignment]  # as its own set_config does
        composed = copy.deepcopy(plain)
        try:
            apply_overrides([each for each in parsed if each not in groups], composed)
        except OmegaConfBaseException as error:
            raise HydraException(str(error)) from error
        return composed

    def _choose(self, choices: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        config = self.context.config_loader.load_sweep_config(self.config, list(choices))
        with read_write(config.hydra), open_dict(config):
            config.hydra.job.id, config.hydra.job.num, config.hydra.runtime.output_dir = "", 0, ""
            hydra = OmegaConf.masked_copy(config, "hydra")
            del config["hydra"]
        OmegaConf.set_readonly(hydra.hydra, True)
        return config, hydra
