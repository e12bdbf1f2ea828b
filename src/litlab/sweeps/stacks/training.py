"""The training of K jobs of a sweep at once, as one stack; each job then goes through its own part of it again."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from litlab import signals
from litlab.config.job import in_sweep, sweep_folder
from litlab.data.loader import TensorLoader
from litlab.data.stored import StoredInputs
from litlab.data.tensors import TensorData
from litlab.sweeps.folder import enforce_time_limit, timed_out
from litlab.sweeps.stacks.member import Member, dtype_of, is_mixed, is_on_gpu
from litlab.tasks.losses import WeightedMean
from litlab.tasks.stacked import stacked_objective
from litlab.tasks.steps.compiled import Compilation, CompiledLosses, Losses
from litlab.tasks.steps.replayed import Kept, Replay, ReplayedEpoch
from litlab.tasks.steps.stacked import NotStackableError, StackedNetwork
from litlab.tasks.steps.stacked_updates import StackedClipping, stacked_update

OWN = ("setup", "train_dataloader", "val_dataloader", "on_before_batch_transfer", "on_after_batch_transfer", "_loader")


class StackedTraining:
    """A training of several jobs that differ in nothing but `litlab.sweeps.stacks.stackable.FREE`.

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


def is_late(config: DictConfig) -> bool:
    """Whether sweep.minutes is over, for the sweep of a job."""
    if config.sweep.minutes is None or not in_sweep():
        return False
    enforce_time_limit(sweep_folder(), config.sweep.minutes)
    return timed_out(sweep_folder())
