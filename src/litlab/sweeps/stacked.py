"""The training of K jobs of a sweep at once, as one stack; each job then goes through its own part of it again."""

import contextlib
import gc
import logging
import math
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.memory import is_oom_error
from omegaconf import DictConfig
from torch import Tensor
from torch.optim import Optimizer

from litlab import signals
from litlab.build import build_data, build_task
from litlab.compat.instantiation import instantiate
from litlab.config.job import in_sweep, sweep_folder
from litlab.data.loader import TensorLoader
from litlab.data.stored import StoredInputs
from litlab.data.tensors import TensorData
from litlab.distributed.memory import available
from litlab.escape import one_line
from litlab.sweeps.folder import enforce_time_limit, timed_out
from litlab.sweeps.stack_memory import member_bytes, members_that_fit
from litlab.sweeps.stacking import CURRENT, EARLY_STOPPING
from litlab.tasks.base import Task
from litlab.tasks.losses import WeightedMean
from litlab.tasks.stacked import stacked_objective
from litlab.tasks.steps.compiled import Compilation, CompiledLosses, Losses
from litlab.tasks.steps.replayed import Kept, Replay, ReplayedEpoch
from litlab.tasks.steps.stacked import NotStackableError, StackedNetwork
from litlab.tasks.steps.stacked_updates import StackedClipping, stacked_update

log = logging.getLogger(__name__)

OWN = ("setup", "train_dataloader", "val_dataloader", "on_before_batch_transfer", "on_after_batch_transfer", "_loader")


class Stack:
    """Jobs that are trained when the first of them asks for its training; the rest later, if not all are at once.

    Args:
        configs: of the jobs.
        by_memory: whether the memory limits how many are trained at once.
        processes: how many share the memory.
    """

    def __init__(self, configs: Sequence[DictConfig], by_memory: bool = False, processes: int = 1) -> None:
        self.configs, self.by_memory, self.processes = configs, by_memory, processes
        self._most = len(configs)  # at once
        self._replays: dict[int, Replay | None] = {}

    @contextlib.contextmanager
    def job(self, number: int) -> Iterator[None]:
        """Run the job of this number in the body."""
        token = CURRENT.set((self, number))
        try:
            yield
        finally:
            CURRENT.reset(token)
            if number in self._replays:
                self._replays[number] = None  # its weights have been written

    def has_trained(self, number: int) -> bool:
        """Whether the training of a job is there."""
        return self._replays.get(number) is not None

    def replay(self, number: int) -> Replay | None:
        """The training of a job; None if it has to train alone."""
        if number not in self._replays:
            self._replays.update(enumerate(self.train(number), number))
        return self._replays[number]

    def train(self, first: int) -> list[Replay | None]:
        """The trainings of a job and of some after it; None of each that has to train alone: then a line says why."""
        left = len(self.configs) - first
        try:
            if self.by_memory:
                self._limit(self.configs[first])
            while True:
                configs = self.configs[first : first + self._most]
                try:
                    return list(StackedTraining(configs).run())
                except Exception as error:
                    if not is_out_of_memory(error) or len(configs) == 1:
                        raise
                gc.collect()  # what the failed one has left
                self._most = len(configs) // 2
                print(f"out of memory: {self._most} instead of {len(configs)} jobs are trained at once", flush=True)
        except NotStackableError as reason:
            why, number = f"not as a stack: {reason}", left
        except Exception as error:  # the jobs will meet the same one by one, if it is theirs
            log.exception("the stack failed")
            why, number = f"as their stack failed: {one_line(error)}", min(left, self._most)
        print(f"{number} jobs are trained one by one, {why}", flush=True)
        return [None] * number

    def _limit(self, config: DictConfig) -> None:
        """Limit the number by the memory that is free now; once."""
        self.by_memory = False
        fit, line = fitting(config, self.processes)
        if fit < self._most:
            print(f"{fit} of {self._most} jobs are trained at once: {line}", flush=True)
            self._most = fit


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory did not suffice, of a GPU or of the machine."""
    return isinstance(error, MemoryError) or is_oom_error(error)


def fitting(config: DictConfig, processes: int) -> tuple[int, str]:
    """How many jobs like this one can be trained at once, by the memory that is free; and why, in words.

    Args:
        config: of one of the jobs.
        processes: how many share the memory.
    """
    member = Member(config)
    data: Any = member.data
    if not isinstance(data, TensorData):
        return sys.maxsize, "they have batches of their own"
    data.prepare_data()
    data.setup("fit")  # its splits take memory, and stay in it for the stack
    free = available()
    if free is None or is_on_gpu(config):
        return sys.maxsize, "the free memory is not known"
    size = member_bytes(member.task, data, dtype_of(config).itemsize)
    line = f"each takes about {size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free"
    return members_that_fit(free / processes, size), line + f" for {processes} processes" * (processes > 1)


def is_late(config: DictConfig) -> bool:
    """Whether sweep.minutes is over, for the sweep of a job."""
    if config.sweep.minutes is None or not in_sweep():
        return False
    enforce_time_limit(sweep_folder(), config.sweep.minutes)
    return timed_out(sweep_folder())


def is_on_gpu(config: DictConfig) -> bool:
    """Whether a stack of such jobs is trained on a GPU."""
    return str(config.trainer.accelerator) != "cpu" and torch.cuda.is_available()


def dtype_of(config: DictConfig) -> torch.dtype:
    """Of the weights of such a job."""
    return torch.float64 if str(config.trainer.precision).startswith("64") else torch.float32


def is_mixed(config: DictConfig) -> bool:
    """Whether products of such a job are of bfloat16."""
    return str(config.trainer.precision).startswith("bf16")


def replay_of_this_job() -> Replay | None:
    """The training of the job that runs here, if it is one of a stack."""
    current = CURRENT.get()
    return None if current is None else current[0].replay(current[1])


class Member:
    """One of the jobs in a stack: its task, its optimizer's settings and schedule, and what its training has left.

    Args:
        config: of the job.
    """

    def __init__(self, config: DictConfig) -> None:
        seed_everything(config.seed, verbose=False)
        self.config, self.seed = config, int(config.seed)
        self.data: TensorData = build_data(config)
        self.task: Task = build_task(config, self.data)
        self.random = torch.get_rng_state()  # where its dropout begins
        rates = [each.p for each in self.task.modules() if isinstance(each, torch.nn.Dropout)]
        self.stream = (self.seed, *rates)
        self.replay = Replay(1)
        self.metrics: Mapping[str, Tensor] = {}  # of the latest epoch
        self.best: Tensor | None = None
        self.best_epoch: ReplayedEpoch | None = None
        self.is_alive = True
        self.stops = False  # early
        found = [each for each in config.callbacks.values() if each and each.get("_target_") == EARLY_STOPPING]
        self.stoppers: list[EarlyStopping] = [instantiate(each) for each in found]

    def start(self, dtype: torch.dtype, batches: int) -> None:
        """Build the optimizer and the schedule, which here only say how settings change."""
        self.optimizer: Optimizer = self.task.make_optimizer([torch.nn.Parameter(torch.zeros(1, dtype=dtype))])
        if self.task.schedule is not None:
            # What a schedule asks of the Trainer: the length of the run.
            trainer: Any = SimpleNamespace(
                fit_loop=SimpleNamespace(setup_data=lambda: None), train_dataloader=None, num_training_batches=batches,
                max_epochs=self.config.trainer.max_epochs, max_steps=-1,
            )  # fmt: skip
            self.task.schedule.start(self.optimizer, trainer, 1)
        self.optimizer.step()  # without a gradient: schedules check for it

    def constants(self, update: Any, epoch: int, steps: int) -> list[Mapping[str, Any]]:
        """Those of each step of an epoch."""
        found, (group,) = [], self.optimizer.param_groups
        self.rates = []
        for step in range(epoch * steps + 1, (epoch + 1) * steps + 1):
            found.append(update.constants(group))
            if self.task.schedule is not None:
                self.task.schedule.after_step(step)
            self.rates.append(float(group["lr"]))
        return found

    def epoch(self, losses: Tensor, samples: Sequence[int], weights: Sequence[float], seconds: float) -> ReplayedEpoch:
        """The latest epoch, without metrics and weights."""
        (group,), scheduler = self.optimizer.param_groups, self.task.schedule and self.task.schedule.scheduler
        settings = {name: value for name, value in group.items() if name != "params"}
        state = None if scheduler is None else scheduler.state_dict()
        return ReplayedEpoch(losses.clone(), samples, weights, self.rates, settings, state, seconds)

    def end_epoch(self, epoch: ReplayedEpoch, loss: float, kept: Any) -> None:
        """Take over an epoch; keep its weights if they are the best, and instead of those of the one before.

        Args:
            epoch: the latest.
            loss: the mean over its steps.
            kept: returns the weights and the rest.
        """
        metrics = {"train/loss": torch.tensor(loss)} | {f"val/{name}": each for name, each in epoch.validation.items()}
        self.metrics = metrics
        if self.replay.epochs and self.replay.epochs[-1] is not self.best_epoch:
            self.replay.epochs[-1].kept = None
        self.replay.epochs.append(epoch)
        epoch.kept = kept()
        value = metrics.get(self.task.monitor)
        if value is not None and self._is_better(value):
            if self.best_epoch is not None:
                self.best_epoch.kept = None
            self.best_epoch = epoch
        if self.task.schedule is not None:
            self.task.schedule.after_epoch(len(self.replay.epochs) - 1, metrics)
        self.stops = bool(self.stoppers) and self._is_stopped()

    def _is_stopped(self) -> bool:
        """Whether a callback of its own training would now stop it; it is given what it asks of the Trainer."""
        trainer: Any = SimpleNamespace(
            callback_metrics=self.metrics, current_epoch=len(self.replay.epochs) - 1, should_stop=False,
            state=SimpleNamespace(fn=TrainerFn.FITTING), sanity_checking=False, fast_dev_run=False,
            val_check_interval=1.0, check_val_every_n_epoch=1,
            strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
        )  # fmt: skip
        for each in self.stoppers:
            each.verbose = False  # it speaks in the job's own training
            each.setup(trainer, self.task, "fit")
            each.on_validation_end(trainer, self.task)
            each.on_train_epoch_end(trainer, self.task)
        return trainer.should_stop

    def value(self, metric: str) -> float | None:
        """A metric of the latest epoch; None without it, or after a divergence."""
        return float(self.metrics[metric]) if self.is_alive and metric in self.metrics else None

    def _is_better(self, value: Tensor) -> bool:
        """As ModelCheckpoint decides it: not a number is the worst, and the first one is kept all the same."""
        worst, better = (-math.inf, torch.gt) if self.task.mode == "max" else (math.inf, torch.lt)
        value = torch.tensor(worst) if torch.isnan(value) else value
        if self.best is not None and not better(value, self.best):
            return False
        self.best = value
        return True


class StackedTraining:
    """A training of several jobs that differ in nothing but `litlab.sweeps.stacking.FREE`.

    Args:
        configs: of the jobs.

    Attributes:
        epoch: of them all, so many are done.
        is_late: whether it has ended early, by sweep.minutes.

    Raises:
        NotStackableError: something in the jobs cannot be stacked.
    """

    def __init__(self, configs: Sequence[DictConfig]) -> None:
        self.members = [Member(config) for config in configs]
        self.order = sorted(range(len(configs)), key=lambda number: self.members[number].seed)
        members = self.sorted = [self.members[number] for number in self.order]
        config, data = members[0].config, members[0].data
        if not isinstance(data, TensorData) or any(
            getattr(type(data), each) is not getattr(TensorData, each) for each in OWN
        ):
            raise NotStackableError(f"{type(data).__name__} has batches of its own")
        before = torch.get_rng_state()
        data.prepare_data()
        data.setup("fit")
        if not torch.equal(before, torch.get_rng_state()):
            raise NotStackableError(f"{type(data).__name__} draws random numbers as it loads")
        self.data, self.config = data, config
        self.device, self.dtype = torch.device("cuda" if is_on_gpu(config) else "cpu"), dtype_of(config)
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=is_mixed(config))
        self.tasks = [member.task for member in members]
        for task in self.tasks:  # in the order of a Trainer, which leaves metrics in their own precision
            task.learn_scale(data.splits["train"].targets)
            (task.double() if self.dtype == torch.float64 else task).to(self.device)
        self.epoch, self.is_late, self.compilation = 0, False, Compilation()
        self._build()

    def _build(self) -> None:
        members, tasks, data = self.sorted, self.tasks, self.data
        random: dict[Any, torch.Generator] = {}  # by all that a member's stream depends on
        for member in members:
            if member.stream not in random:
                random[member.stream] = torch.Generator()
                random[member.stream].set_state(member.random)
        self.generators = [random[member.stream] for member in members]
        self.network = StackedNetwork([task.model for task in tasks], self.generators)
        if self.device.type != "cpu" and any(isinstance(each, torch.nn.Dropout) for each in tasks[0].modules()):
            raise NotStackableError("dropout on a GPU draws from a stream that a stack does not have")
        self.weights = list(self.network.trained.values())
        self.inputs, self.targets = (self._moved(each) for each in data.splits["train"])
        seeds = sorted({member.seed for member in members}) if data.shuffle else [members[0].seed]
        each = len(members) // len(seeds)
        if [member.seed for member in members] != [seed for seed in seeds for _ in range(each)] and len(seeds) > 1:
            seeds = [member.seed for member in members]  # not as many of each: every member has a batch of its own
        index = torch.arange(len(self.inputs), device=self.device)
        self.loaders = [
            TensorLoader(
                index, index, data.batch_size, shuffle=data.shuffle, drop_last=data.drop_last, seed=seed,
                epoch=lambda: self.epoch, passes=data.passes,
            )
            for seed in seeds
        ]  # fmt: skip
        for member in members if self.epoch == 0 else ():
            member.start(self.dtype, len(self.loaders[0]))
            member.replay.stacked, member.replay.compilation = len(members), self.compilation
        self.objective = stacked_objective(tasks, self.weights[0].detach())
        self.losses: Losses = self._losses
        if self.config.task.compile and self.epoch == 0:  # not anew for the members that are left
            self.losses = CompiledLosses(self._losses, self.compilation)
        self.update = stacked_update(self.weights, [member.optimizer for member in members])
        limits = [task.clip_val for task in tasks]
        self.clip = StackedClipping(limits, tasks[0].clip_algorithm, self.weights[0].detach())

    def _losses(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Of inputs (S, N, ...) and targets (K, N, ...) those to minimize, (K,), and those to report."""
        with self.autocast:
            return self.objective(self.network(inputs).to(self.dtype), targets)

    def _moved(self, values: Any) -> Any:
        """On the device, and in the weights' dtype; stored inputs only once they are taken."""
        if isinstance(values, StoredInputs):
            return values.to(self.device)
        return values.to(self.device, self.dtype if values.is_floating_point() else values.dtype)

    def run(self, until: int | None = None) -> list[Replay]:
        """Train, to an epoch or to the end; what each job's own training would have been, in their order."""
        last = self.config.trainer.max_epochs
        while self.sorted and self.epoch < (until or last) and not self.is_late:
            self._run_epoch()
            self.epoch += 1
            self.keep({number for number, each in enumerate(self.members) if each.is_alive and not each.stops})
            self.is_late = is_late(self.config)
        if self.is_late:
            self.end_early()
        return [member.replay for member in self.members]

    def end_early(self) -> None:
        """The members that are left end after the epochs so far."""
        for member in self.sorted if self.epoch < self.config.trainer.max_epochs else ():
            member.replay.until = self.epoch

    @torch.no_grad()
    def keep(self, numbers: Collection[int]) -> None:
        """Go on with these members, by their jobs' order, as a smaller stack; the others end here."""
        places = [place for place, number in enumerate(self.order) if number in numbers]
        if len(places) == len(self.order):
            return
        self.order, before = [self.order[place] for place in places], self.sorted
        self.sorted = [before[place] for place in places]
        self.tasks = [member.task for member in self.sorted]
        for place, member in zip(places, self.sorted, strict=True):
            member.random = self.generators[place].get_state()
            for name, weight in member.task.model.named_parameters():
                weight.copy_(self.network.weights[name][place])
        if places:
            update: Any = self.update
            self._build()
            self.update.take(update, places)

    def _run_epoch(self) -> None:
        started = time.perf_counter()
        steps, members = len(self.loaders[0]), self.sorted
        constants = zip(*(member.constants(self.update, self.epoch, steps) for member in members), strict=True)
        losses, weights, samples = [], [], []
        for of_step, batches in zip(constants, zip(*self.loaders, strict=True), strict=True):
            signals.check()
            index = torch.cat([batch[0] for batch in batches]) if len(batches) > 1 else batches[0][0]
            shape = (len(batches), len(batches[0][0]))
            inputs = self._moved(self.inputs.index_select(0, index)).unflatten(0, shape)
            targets = self.network.expanded(self.targets.index_select(0, index).unflatten(0, shape))
            minimized, loss = self.losses(inputs, targets)
            gradients = torch.autograd.grad(minimized.sum(), self.weights, allow_unused=True)
            if any(each is None for each in gradients):
                raise NotStackableError("not all of its weights take part in its outputs")
            self.clip(gradients)
            self.update(gradients, of_step)
            losses.append(loss.detach())
            samples.append(shape[1])
            if self._weighs:
                weights.append(torch.stack([torch.as_tensor(self.tasks[0].loss_weight(each)) for each in targets]))
        table = torch.stack(losses).T.cpu()
        of_losses = torch.stack(weights).T.tolist() if weights else [samples] * len(members)
        seconds = (time.perf_counter() - started) / len(members)
        epochs = [
            member.epoch(of_member, samples, of_loss, seconds)
            for member, of_member, of_loss in zip(members, table, of_losses, strict=True)
        ]
        for member, epoch in zip(members, epochs, strict=True):
            if member.is_alive and not bool(torch.isfinite(epoch.losses).all()):
                member.is_alive = False
                member.replay.epochs.append(epoch)
        self._end_epoch(epochs)

    @property
    def _weighs(self) -> bool:
        """Whether batches weigh by their classes in the mean loss of an epoch."""
        return getattr(self.tasks[0], "weight", None) is not None

    def _end_epoch(self, epochs: Sequence[ReplayedEpoch]) -> None:
        validation = self._validate() if self.data.has_validation else {}
        for number, (member, epoch) in enumerate(zip(self.sorted, epochs, strict=True)):
            if not member.is_alive:
                continue
            mean = WeightedMean()
            for loss, weight in zip(epoch.losses.tolist(), epoch.weights, strict=True):
                mean.add(loss, weight)
            epoch.validation = validation.get(number, {})
            member.end_epoch(epoch, mean.mean, lambda number=number: self._kept(number))

    def _kept(self, number: int) -> Kept:
        weights = {name: weight[number].detach().clone() for name, weight in self.network.weights.items()}
        return Kept(weights, self.update.state(number), self.generators[number].get_state())

    @torch.no_grad()
    def _validate(self) -> Mapping[int, Mapping[str, Tensor]]:
        """The metrics of each member that has not diverged, by its number."""
        alive = [number for number, member in enumerate(self.sorted) if member.is_alive]
        for number in alive:
            self.tasks[number].start_evaluation()
        val = self.data.splits["val"]
        loader: Any = TensorLoader(self._moved(val.inputs), self._moved(val.targets), self.data.eval_batch_size)
        self.network.training = False
        for inputs, targets in loader:
            signals.check()
            with self.autocast:
                outputs = self.network(self._moved(inputs).unsqueeze(0))
                for number in alive:
                    self.tasks[number].add_outputs((inputs, targets), outputs[number])
        self.network.training = True
        return {number: self.tasks[number].evaluation() for number in alive}
