"""Under automatic optimization: the task's own steps, but for the scheduler."""

import lightning.pytorch as L
import pytest
from lightning.pytorch import seed_everything

from litlab.build import build_data, build_task
from litlab.tasks.automatic import AutomaticTask


@pytest.mark.parametrize(
    "data", [(), ("data=exam_scores", "data.passes_per_epoch=20", "optimizer.lr=0.001")], ids=["digits", "standardized"]
)
def test_it_takes_the_tasks_steps_at_one_rate(compose, fit, same_weights, data):
    setting = (*data, "optimizer=sgd", "model.dropout=0.2", "trainer.max_epochs=1")
    config = compose(*setting, "scheduler=onecycle")
    seed_everything(config.seed, verbose=False)
    data = build_data(config)
    plain = AutomaticTask(build_task(config, data))
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary"), False)
    L.Trainer(accelerator="cpu", max_epochs=1, **quiet).fit(plain, datamodule=data)
    assert len(plain.losses) == 20
    assert same_weights(plain.task.state_dict(), fit(*setting, "scheduler=none").weights)
