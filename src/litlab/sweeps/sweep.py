"""A sweep from its folder to its leaderboard: what litlab's sweepers for Hydra have in common."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from litlab import signals
from litlab.compat.hydra import typed_words
from litlab.config.checks import check
from litlab.errors import RequestError, RunError
from litlab.escape import printable
from litlab.files import write_atomic
from litlab.runs.postponed import postponed
from litlab.runs.report import relative
from litlab.sweeps.folder import REQUEST, claim, locked, remove_unstarted, results, resumed, timed_out, typed
from litlab.sweeps.naming import key_of
from litlab.sweeps.plan import Plan
from litlab.sweeps.planned import NOT_STARTED, PLANNED
from litlab.sweeps.report import print_leaderboard
from litlab.sweeps.runner import Runner
from litlab.sweeps.stop import clean_up
from litlab.sweeps.summary import summarize


def set_up(context: HydraContext, task: TaskFunction, config: DictConfig) -> tuple[Path, Launcher]:
    """Claim the sweep's folder, put it into `config`, and make the launcher of that config; a dry run has no folder.

    Raises:
        RequestError: a setting of the sweep is wrong.
    """
    check(config, only="sweep.")
    if (folder := resumed(config)) is not None:
        _require_command(config, folder)
    folder = Path() if config.sweep.dry_run else claim(config)
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
    return folder, launcher


def _require_command(config: DictConfig, folder: Path) -> None:
    """Refuse sweep.resume alone: the folder does not say what to sweep, and a run of the defaults would join it."""
    if any(not key_of(word).startswith(("sweep.", "paths.")) for word in typed_words(config)):
        return
    own = [shlex.quote(word) for word in typed(folder) or ["..."] if not key_of(word).startswith("sweep.resume")]
    command = printable(f"python scripts/train.py -m {' '.join(own)} sweep.resume={shlex.quote(str(folder))}")
    raise RequestError(f"sweep.resume={folder}: needs the command of the sweep: {command}")


@contextlib.contextmanager
def running(launcher: Launcher, plan: Plan) -> Iterator[Runner]:
    """Run jobs in the body; then write the summary and print the leaderboard.

    Also if the body raises, provided that jobs have started.

    Args:
        launcher: Hydra's, which has been set up.
        plan: of the jobs.

    Raises:
        RequestError: another sweep is running in the folder; nothing is written or printed.
        RunError: jobs failed, or did not start.
    """
    runner, folder, config = Runner(launcher, plan), plan.folder, plan.config
    left = postponed(config.hydra.sweep.dir)
    with locked(folder):
        if config.sweep.resume is not None:
            clean_up(folder)
        write_atomic(folder / REQUEST, OmegaConf.to_yaml(config).encode())
        try:
            with runner.session():
                yield runner
                left.do()
        except BaseException:
            if plan.jobs and results(folder):
                with contextlib.suppress(Exception), signals.ignored():  # it must not hide what ended the sweep
                    left.do()
                    _conclude(folder)
            elif config.sweep.resume is None:
                remove_unstarted(folder, folder / REQUEST, folder / PLANNED)
            raise
        not_started, cut = _conclude(folder), sum(runner.was_cut(job) for job in plan.jobs)
        late = timed_out(folder)
    failed = sum(job.status not in (None, "completed", "pruned") for job in plan.jobs)
    what = [f"{failed} of {len(plan.jobs)} jobs failed"] if failed else []
    if (not_started or cut) and (late or plan.is_cut):
        limit = f"the time limit sweep.minutes={config.sweep.minutes:g}" if late else f"sweep.jobs={config.sweep.jobs}"
        unfinished = [f"{cut} jobs ended early"] * bool(cut) + [f"{not_started} jobs did not start"] * bool(not_started)
        again = f"the same command with sweep.resume={relative(folder)} continues"
        print(f"{limit} is reached; {', '.join(unfinished)}; {again}")
    elif not_started:
        what += [f"{not_started} did not start (sweep.on_failure=stop)"]
    if what:
        raise RunError(f"{', '.join(what)}; see {relative(folder / 'summary.md')}")


def _conclude(folder: Path) -> int:
    """Write the summary and print the leaderboard; how many jobs have not started."""
    board = summarize([folder])
    print_leaderboard(board, folder)
    return board.jobs[NOT_STARTED]
