"""Metrics of the training split after every epoch, by the weights of that epoch."""

import lightning.pytorch as L
import torch

from litlab.callbacks.history import History
from litlab.tasks.base import Task


class TrainEvaluation(L.Callback):
    """Evaluates the training split at the end of each epoch, as validation does its split: evaluate_train=epoch.

    train/accuracy, ... stand beside val/accuracy, ...; the loss is train/eval_loss, because train/loss is the mean over
    the epoch's steps, while the weights changed. Its time does not count as training.
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
        pl_module.log_epoch({f"train/{'eval_' * (name == 'loss')}{name}": value for name, value in metrics.items()})
        history.resume()
