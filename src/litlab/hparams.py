"""TensorBoard's HParams page: what was chosen, and the final metrics."""

from collections.abc import Iterable
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from omegaconf import DictConfig, OmegaConf

from litlab.results import Result

SETTINGS = ("optimizer.lr", "data.batch_size", "trainer.max_epochs", "seed")


def log_hparams(loggers: Iterable[Logger], config: DictConfig, result: Result) -> None:
    """Write choices, main settings and overridden ones, with best validation and test metrics, to TensorBoard.

    The metrics have names of their own: val/accuracy is a curve, best/val/accuracy its value that counts.
    """
    metrics = {name: value for name, value in result["metrics"].items() if name.startswith("test/")}
    if result["monitor"]["best"] is not None:
        metrics[f"best/{result['monitor']['metric']}"] = result["monitor"]["best"]
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(hparams(config, result), metrics, step=result["steps"])
            logger.save()
            logger.finalize("success")


def hparams(config: DictConfig, result: Result) -> dict[str, Any]:
    """Scalars by name: the choices, the main settings, and the settings that were overridden."""
    chosen = {group: choice for group, choice in result.get("choices", {}).items() if choice}
    overridden = (override.lstrip("+").split("=")[0] for override in result.get("overrides", ()))
    values = {name: OmegaConf.select(config, name) for name in dict.fromkeys((*SETTINGS, *overridden))}
    return chosen | {name: value for name, value in values.items() if isinstance(value, int | float | str | bool)}
