"""The trial of a search, seen from its job, which may run in another process."""

from collections.abc import Sequence
from typing import Any

import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna.storages import BaseStorage, JournalStorage, get_storage
from optuna.storages.journal import JournalFileBackend

from litlab.compat.instantiation import instantiate
from litlab.errors import RequestError

PRUNED = "pruned"  # a trial's attribute, once its first seed has been pruned


def open_storage(address: str) -> BaseStorage:
    """What Optuna keeps a study in: a database's address, or a file's path, which becomes a journal.

    A journal takes a report in half a millisecond, SQLite in twenty, and several processes may write to it.

    Raises:
        RequestError: it is neither. Other people's files may set it, and a journal is appended to what is there.
    """
    if "://" in address:
        return get_storage(address)
    if not address.endswith(".log"):
        what = "must be a file NAME.log, or the address of a database, such as sqlite:///study.db"
        raise RequestError(f"hydra.sweeper.storage={address}: {what}")
    return JournalStorage(JournalFileBackend(address))


def build_pruner(sweeper: DictConfig, name: str) -> Any:
    """The pruner that sweep.prune names among hydra.sweeper.pruners.

    Raises:
        RequestError: there is none of that name, or its settings are wrong.
    """
    if name not in sweeper.pruners:
        raise RequestError(f"sweep.prune={name}: must be one of {', '.join(map(str, sweeper.pruners))}")
    try:
        return instantiate(sweeper.pruners[name])
    except Exception as error:
        cause = error.__cause__ or error
        raise RequestError(f"hydra.sweeper.pruners.{name}: {str(cause).splitlines()[0]}") from error


class RunningTrial:
    """Reports to the study, and asks its pruner. Of several seeds the first one's curve decides; the others follow.

    Args:
        config: of the job.
    """

    def __init__(self, config: DictConfig) -> None:
        sweeper = HydraConfig.get().sweeper
        optuna.logging.disable_default_handler()
        self.storage, self.pruner = open_storage(sweeper.storage), build_pruner(sweeper, config.sweep.prune)
        self.study = optuna.load_study(study_name=sweeper.study_name, storage=self.storage)
        study_id = self.storage.get_study_id_from_name(sweeper.study_name)
        self.id = self.storage.get_trial_id_from_study_id_trial_number(study_id, config.sweep.trial)
        seeds = self.study.user_attrs.get("seeds")
        self.decides = not seeds or seeds[0] == str(config.seed)
        self._reported = 0

    def report(self, values: Sequence[float | None]) -> None:
        """Report the values of the epochs since the last call."""
        for epoch in range(self._reported, len(values)) if self.decides else ():
            if (value := values[epoch]) is not None:
                self.storage.set_trial_intermediate_value(self.id, epoch + 1, value)
        self._reported = len(values)

    def is_enough(self, values: Sequence[float | None]) -> bool:
        """Whether the job ends here, after these values have been reported."""
        if not self.decides:
            return PRUNED in self.storage.get_trial(self.id).user_attrs
        if not values or not self.pruner.prune(self.study, self.storage.get_trial(self.id)):
            return False
        self.storage.set_trial_user_attr(self.id, PRUNED, len(values))
        return True
