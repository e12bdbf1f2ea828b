"""The values that settings may have, where the signatures of their classes say too little."""

from typing import Annotated, Any, Literal

from litlab.config.values import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    Pattern,
    PositiveFloat,
    PositiveInt,
    Range,
    Seed,
)

Length = Annotated[int, Range(-1, example=10, note="-1 for no limit")]
Batches = PositiveInt | Annotated[float, Range(above=0, at_most=1, example=1.0)]  # of an epoch: a number, or a fraction
BatchesOrNone = NonNegativeInt | Annotated[float, Range(0, 1, example=1.0)]
# Nothing but a class: a text alone would be called.
Formula = Annotated[str, Pattern(r"(?!)", "a formula, set as in scheduler.lr_lambda.formula='0.95 ** epoch'")]
Duration = Annotated[str, Pattern(r"\d+:\d\d:\d\d:\d\d", "a time DD:HH:MM:SS")] | dict[str, int]


# Settings of the program itself.
PROGRAM: dict[str, Any] = {
    "seed": Seed,
    "threads": Annotated[int, Range(1, 1024, example=1)] | None,
    "evaluate_train": bool | Literal["epoch"],
    "resume": str | None,
    "checkpoint_seconds": Annotated[float, Range(0, example=60)],
    "tune.apply": bool,
    "sweep.on_failure": Literal["continue", "stop"],
    "sweep.dry_run": bool,
    "sweep.minutes": PositiveFloat | None,
    "sweep.jobs": PositiveInt | None,
    "sweep.draw": Literal["random", "halton"] | None,
    "sweep.draw_seed": Seed,
    "sweep.prune": str | None,
    "sweep.eta": Annotated[int, Range(2, example=3)] | None,
    "sweep.rung": PositiveInt,
    "sweep.stack": PositiveInt | Literal["auto"] | None,
    "sweep.max_jobs": Annotated[int, Range(1, example=10000)],
}
# Where other libraries' signatures say too little: by module or class, and parameter.
RANGES: dict[str, dict[str, Any]] = {
    "torch.optim.lr_scheduler": {
        "max_lr": PositiveFloat | list[PositiveFloat],
        "total_steps": PositiveInt | None,
        "pct_start": Annotated[float, Range(0, 1)],
        "div_factor": PositiveFloat,
        "final_div_factor": PositiveFloat,
        "T_max": PositiveInt,
        "eta_min": NonNegativeFloat,
        "gamma": PositiveFloat,
        "step_size": Annotated[int, Range(1, example=10)],
        "factor": Annotated[float, Range(above=0, below=1)],
        "patience": NonNegativeInt,
        "cooldown": NonNegativeInt,
        "min_lr": NonNegativeFloat | list[NonNegativeFloat],
        "lr_lambda": Formula,
        "last_epoch": Literal[-1],  # to continue, use resume=RUN
    },
    "torch.optim": {
        "lr": Annotated[float, Range(above=0, example=0.01)],
        "momentum": Annotated[float, Range(0, below=1, example=0.9)],
        "betas": tuple[Fraction, Fraction],
        "weight_decay": Annotated[float, Range(0, example=0.0001)],
        "eps": NonNegativeFloat,
        "alpha": NonNegativeFloat,
    },
    "rtdl_num_embeddings.PeriodicEmbeddings": {
        "d_embedding": PositiveInt,
        "n_frequencies": PositiveInt,
        "frequency_init_scale": PositiveFloat,
    },
    "lightning.pytorch.trainer.trainer.Trainer": {
        "accelerator": Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"],
        "devices": PositiveInt
        | list[NonNegativeInt]
        | Literal["auto", -1]
        | Annotated[str, Pattern(r"\d+(,\d+)*,?", "numbers of devices 0,1")],
        "num_nodes": PositiveInt,
        "fast_dev_run": bool | PositiveInt,
        "max_epochs": Length | None,
        "min_epochs": NonNegativeInt | None,
        "max_steps": Annotated[int, Range(-1, example=1000, note="-1 for no limit")],
        "min_steps": NonNegativeInt | None,
        "max_time": Duration | None,
        "limit_train_batches": Batches | None,
        "limit_val_batches": BatchesOrNone | None,
        "limit_test_batches": BatchesOrNone | None,
        "overfit_batches": BatchesOrNone,
        "val_check_interval": Batches | Duration | None,
        "check_val_every_n_epoch": PositiveInt | None,
        "num_sanity_val_steps": Length | None,
        "log_every_n_steps": Annotated[int, Range(1, example=50)],
        "accumulate_grad_batches": PositiveInt,
        "gradient_clip_val": Annotated[float, Range(above=0, example=1.0)] | None,
        "gradient_clip_algorithm": Literal["norm", "value"] | None,
        "profiler": Literal["simple", "advanced", "pytorch", "xla"] | None,
        "reload_dataloaders_every_n_epochs": NonNegativeInt,
    },
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint": {
        "mode": Literal["min", "max"],
        "save_top_k": Annotated[int, Range(-1, note="-1 for all")],
        "every_n_train_steps": NonNegativeInt | None,
        "every_n_epochs": NonNegativeInt | None,
    },
    "lightning.pytorch.callbacks.early_stopping.EarlyStopping": {
        "mode": Literal["min", "max"],
        "patience": NonNegativeInt,
    },
}
# Parameters that litlab fills in, and what to do instead of setting them.
FROM_DATA = dict.fromkeys(("input_shape", "num_outputs", "num_tokens"), "the data determine it")
MODULE_SETTINGS = ("accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm")
RESERVED: dict[str, dict[str, str]] = {
    "model": FROM_DATA,
    "task": {"num_outputs": FROM_DATA["num_outputs"]}
    | {name: f"choose {name}=NAME" for name in ("model", "optimizer", "augmentation")}
    | {"schedule": "choose scheduler=NAME"}
    | {name: f"set trainer.{name}" for name in MODULE_SETTINGS},
    "optimizer": {"params": "they are the model's"},
    "scheduler": {"optimizer": "choose optimizer=NAME"},
    "trainer": {
        "logger": "choose logger=none",
        "callbacks": "choose callbacks=NAME, or add one with +callbacks.NAME._target_=...",
        "plugins": "litlab has its own",
        "default_root_dir": "set paths.log_dir",
        "enable_checkpointing": "choose callbacks=none",
    },
    "tune": {"config": "it is the run's", "name": "it is the choice's"},
}
