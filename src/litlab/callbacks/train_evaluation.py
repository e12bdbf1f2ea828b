"""Metrics of the training split after every epoch, by the weights of that epoch."""

import lightning.pytorch as L
import torch

from litlab.callbacks.history import History
from litlab.tasks.base import Task
from litlab.tasks.metrics import metric_name


class TrainEvaluation(L.Callback):
    """Evaluates the training split at the end of each epoch, as validation does its split: evaluate_train=epoch.

    train/accuracy, train/eval_loss, ... stand beside val/accuracy, ... Its time does not count as training.
    """

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure this epoch's weights on the whole training split."""
        assert isinstance(pl_module, Task)
        history = History.of(trainer)
        history.pause()
        pl_module.eval()
        pl_module.start_evaluation()
        for number, batch in enumerate(trainer.datamodule.train_eval_dataloader()):
            pl_module.validation_step(batch, number)
        pl_module.train()
        metrics = pl_module.evaluation()
        pl_module.log_epoch({metric_name("train", name): value for name, value in metrics.items()})
        history.resume()
