"""From the overrides of a job to its settings, without running it."""

import copy
from collections.abc import Sequence

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from litlab.compat.hydra import apply_overrides, is_group, parsed_overrides
from litlab.config import trust
from litlab.config.checks import check
from litlab.config.column_names import decode
from litlab.config.composition import blank_job
from litlab.config.job import runs_here
from litlab.errors import RequestError
from litlab.runs.result import choices, settings
from litlab.sweeps.job import Job
from litlab.sweeps.job_result import NOT_STARTED, JobResult


class Composer:
    """Composes jobs as Hydra does; choices take most of the time, so jobs of the same choices share them.

    Args:
        context: Hydra's, of the sweep.
        config: the sweep's.
    """

    def __init__(self, context: HydraContext, config: DictConfig) -> None:
        self.context = context
        self.config = config
        # By choices: the config, and hydra's node.
        self._chosen: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}

    def job(self, overrides: Sequence[str]) -> Job:
        """A job of these overrides, checked; if invalid, with its `error`."""
        job = Job(list(overrides))
        before = HydraConfig.instance().cfg
        try:
            composed = self._compose(job.overrides)
            job.choices, job.settings = choices(), settings(composed)
            job.identity = JobResult(NOT_STARTED, settings=job.settings).identity()
            trust.check(composed, job.settings)
            check(composed, job.overrides, here=runs_here())
        except (HydraException, OmegaConfBaseException, RequestError) as error:
            job.error = error
        finally:
            HydraConfig.instance().cfg = before
        return job

    def config_of(self, overrides: Sequence[str]) -> DictConfig:
        """The config of a job that can be composed, without hydra's node."""
        before = HydraConfig.instance().cfg
        try:
            return self._compose(overrides)
        finally:
            HydraConfig.instance().cfg = before

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        """The job's config; hydra's node is in HydraConfig, where interpolations find it."""
        loader = self.context.config_loader
        parsed = parsed_overrides(overrides)
        groups = [each for each in parsed if is_group(loader, each.key_or_group)]
        chosen = tuple(each.input_line or "" for each in groups)
        if chosen not in self._chosen:
            try:
                self._chosen[chosen] = self._choose(chosen)
            except RequestError:  # where further settings decide a choice
                chosen, groups = tuple(overrides), parsed
                self._chosen[chosen] = self._choose(chosen)
        plain, hydra = self._chosen[chosen]
        HydraConfig.instance().cfg = hydra  # type: ignore[assignment]  # as its own set_config does
        composed = copy.deepcopy(plain)
        try:
            apply_overrides([each for each in parsed if each not in groups], composed)
            decode(composed)
        except OmegaConfBaseException as error:
            raise HydraException(str(error)) from error
        return composed

    def _choose(self, choices: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        config = self.context.config_loader.load_sweep_config(self.config, list(choices))
        blank_job(config)
        with open_dict(config):
            hydra = OmegaConf.masked_copy(config, "hydra")
            del config["hydra"]
        OmegaConf.set_readonly(hydra.hydra, True)
        return config, hydra
