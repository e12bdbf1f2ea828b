"""A sweep's jobs: which run, what they are called, and what becomes of those that fail, are killed or are stopped."""

import csv
import itertools
import json
import os
import platform
import shlex
import signal
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock
from omegaconf import OmegaConf
from sweep_results import failed, job
from sweeping import Sweep

from litlab.config import checks
from litlab.runs.report import relative
from litlab.runs.result import write
from litlab.sweeps.dry_run import duration
from litlab.sweeps.folder import LOCK, STOP, claim, resumed
from litlab.sweeps.job import Job
from litlab.sweeps.job_result import JobResult
from litlab.sweeps.naming import differing_settings, folder_name, swept_values
from litlab.sweeps.plan import Plan
from litlab.sweeps.progress import progress_line
from litlab.sweeps.runner import Runner
from litlab.sweeps.stop import stop

pytestmark = pytest.mark.slow  # trains often: seconds, together


@pytest.fixture
def sweep(command, quick_train, multirun, read_result):
    """Run a sweep of trainings that take no time: the exit code, stdout, stderr and the results by folder."""

    def run(*words):
        outcome = command("-m", *words)
        return *outcome, {path.parent.name: read_result(path.parent) for path in multirun().glob("*/result.json")}

    return run


@pytest.fixture
def multirun(tmp_path):
    """The sweep's folder, when there is one."""
    return lambda: next((tmp_path / "logs" / "train" / "multiruns").iterdir())


def statuses(results):
    return {name: result["status"] for name, result in sorted(results.items())}


def test_a_job_is_checked_once_in_a_process(sweep, monkeypatch):
    checked, errors = [], checks._program_errors
    seeds = lambda config, prefix: checked.append("" if prefix else config.seed) or errors(config, prefix)  # noqa: E731
    monkeypatch.setattr(checks, "_program_errors", seeds)
    code, _, err, results = sweep("seed=3,4", "optimizer.lr=0.1")
    assert (code, err, [each for each in checked if each]) == (0, "", [3, 4])
    settings = [result["settings"] for result in results.values()]
    assert sorted((each["seed"], each["optimizer"]["lr"], "paths" in each) for each in settings) == [
        (3, 0.1, False),
        (4, 0.1, False),
    ]


def test_a_grid(sweep, tmp_path, multirun):
    code, out, err, results = sweep("optimizer.lr=0.1,0.01", "seed=0,1", "++sweep.on_failure=continue")
    assert (code, err) == (0, "")
    assert statuses(results) == dict.fromkeys(
        ["1_lr=0.1,seed=0", "2_lr=0.1,seed=1", "3_lr=0.01,seed=0", "4_lr=0.01,seed=1"], "completed"
    )
    result = results["4_lr=0.01,seed=1"]
    assert result["swept"] == ["optimizer.lr", "seed"]
    choices = {group: result["choices"][group] for group in ("task", "optimizer", "experiment")}
    assert choices == {"task": "classification", "optimizer": "sgd", "experiment": None}
    assert result["overrides"][-2:] == ["optimizer.lr=0.01", "seed=1"]
    assert not [word for word in result["overrides"] if "sweep" in word]
    assert (result["settings"]["optimizer"]["lr"], result["settings"]["seed"]) == (0.01, 1)
    assert "paths" not in result["settings"] and str(tmp_path) not in json.dumps(result["settings"])
    begin, *lines = out.splitlines()
    assert begin == f"4 jobs in {relative(multirun())}"
    assert lines[0].startswith("1/4  lr=0.1 seed=0  val/accuracy 0.9000  test/accuracy 0.8900  ")
    assert lines[3].startswith("4/4  lr=0.01 seed=1  val/accuracy 0.7990  test/accuracy 0.7890  ")
    assert "the winner: python scripts/train.py" in out
    rows = csv.DictReader((multirun() / "summary.csv").open())
    assert [row["optimizer.lr"] for row in rows] == ["0.1", "0.01"]


@pytest.mark.slow
def test_jobs_that_fail_are_rows_and_the_others_go_on(sweep, multirun):
    """One diverges, one is against the rules, three cannot be composed."""
    code, out, err, results = sweep("optimizer=sgd,nadam", "optimizer.momentum=0.9", "optimizer.lr=0.1,1e6,-1")
    assert (code, len(err.splitlines()), len(results)) == (1, 1, 6)
    assert err.startswith("error: 5 of 6 jobs failed; see ") and err.endswith("summary.md\n")
    errors = {name: result["error"] for name, result in results.items()}
    assert errors.pop("1_optimizer=sgd,lr=0.1") is None
    assert errors["2_optimizer=sgd,lr=1000000.0"] == "the loss is nan"
    assert errors["3_optimizer=sgd,lr=-1"] == "optimizer.lr=-1: must be a number above 0, such as 0.01"
    assert errors["4_optimizer=nadam,lr=0.1"].startswith(
        "optimizer=nadam: there is no conf/optimizer/nadam.yaml (did you"
    )
    assert "/6  optimizer=sgd lr=1000000.0  failed: the loss is nan" in out
    assert all(result["swept"] == ["optimizer", "optimizer.lr"] for result in results.values())
    refused = results["3_optimizer=sgd,lr=-1"]
    assert (refused["choices"]["optimizer"], refused["choices"]["task"]) == ("sgd", "classification")
    header = (multirun() / "summary.csv").read_text().splitlines()[0]
    assert header.startswith("rank,optimizer,optimizer.lr,metric,"), "nothing else differs: no column of the task"


@pytest.mark.slow
def test_jobs_that_raise_or_call_sys_exit(sweep):
    code, _, err, results = sweep("seed=12,13,17,14")
    assert code == 1 and "2 of 4 jobs failed" in err
    assert [results[name]["error"] for name in sorted(results)] == [
        None, "KeyError: 'thirteen'", "the run called sys.exit(3)", None,
    ]  # fmt: skip


def test_a_job_whose_result_cannot_be_written_is_not_awaited(sweep, monkeypatch):
    """As on a full disk: it says that it runs, in the sweep's own process, for ever."""
    monkeypatch.setattr("litlab.runs.recording._ResultFile.finish", lambda self, result: None)
    code, _, err, results = sweep("seed=0,1")
    assert code == 1 and err.startswith("error: 2 of 2 jobs failed")
    assert statuses(results) == {"1_seed=0": "failed", "2_seed=1": "failed"}
    assert results["1_seed=0"]["error"].startswith("its result.json could not be written; see train.log")


@pytest.mark.slow
def test_the_first_failure_may_stop_the_sweep(sweep, multirun):
    code, _, err, results = sweep("seed=12,13,14", "sweep.on_failure=stop")
    assert code == 1
    assert err.startswith("error: 1 of 3 jobs failed, 1 did not start (sweep.on_failure=stop); see ")
    assert statuses(results) == {"1_seed=12": "completed", "2_seed=13": "failed"}
    assert "jobs: 1 completed, 1 failed, 1 not started." in (multirun() / "summary.md").read_text()
    assert sorted(path.name for path in multirun().iterdir() if path.is_dir()) == ["1_seed=12", "2_seed=13"]


def test_no_job_begins_after_the_budget(sweep, command, monkeypatch):
    clock = itertools.chain([time.time()], itertools.repeat(time.time() + 3600))
    with monkeypatch.context() as patch:
        patch.setattr("litlab.sweeps.folder.time", SimpleNamespace(time=lambda: next(clock)))
        code, out, err, results = sweep("seed=0,1,2", "sweep.minutes=10")
    assert (code, err) == (0, "") and statuses(results) == {"1_seed=0": "completed"}
    assert "jobs: 1 completed, 2 not started." in out
    last = out.splitlines()[-1]
    assert last.startswith("the time limit sweep.minutes=10 is reached; 2 jobs did not start; the same command with ")
    (resume,) = (word for word in last.split() if word.startswith("sweep.resume="))
    code, out, _ = command("-m", "seed=0,1,2", "sweep.minutes=10", resume)
    assert code == 0 and "jobs: 3 completed." in out


def test_a_time_limit_does_not_wait_until_all_jobs_are_composed(sweep, multirun):
    code, out, _, results = sweep("optimizer.lr=range(0.001,0.0501,0.0005)", "sweep.minutes=0.0001")
    planned = json.loads((multirun() / "planned.json").read_text())
    assert code == 0 and len(results) == 1 and "98 jobs did not start" in out
    assert len(planned["jobs"]) == 64 and planned["total"] == 99


def test_a_grid_may_be_run_in_parts(sweep, command):
    """Each session runs so many jobs; failures count, and completed ones are not repeated."""
    code, out, err, results = sweep("seed=0,1,2,3,4", "sweep.jobs=2")
    assert (code, err) == (0, "") and statuses(results) == {"1_seed=0": "completed", "2_seed=1": "completed"}
    assert "jobs: 2 completed, 3 not started." in out and "of 5 settings" not in out
    last = out.splitlines()[-1]
    assert last.startswith("sweep.jobs=2 is reached; 3 jobs did not start; the same command with sweep.resume=")
    (resume,) = (word for word in last.split() if word.startswith("sweep.resume="))
    code, out, _ = command("-m", "seed=0,1,2,3,4", "sweep.jobs=2", resume)
    assert code == 0 and "2 of 5 jobs are already completed" in out and "jobs: 4 completed, 1 not started." in out
    code, out, _ = command("-m", "seed=0,1,2,3,4", resume)
    assert code == 0 and "jobs: 5 completed." in out and "did not start" not in out


def test_a_random_search_goes_on_with_more_jobs(sweep, command):
    words = ["sweep=random", "optimizer.lr=tag(log, interval(0.01, 0.1))", "data.batch_size=32,64"]
    code, out, _, results = sweep(*words, "sweep.jobs=2")
    assert code == 0 and len(results) == 2 and "jobs: 2 completed." in out
    folder = next(line.split(" in ")[1] for line in out.splitlines() if line.startswith("2 jobs in "))
    code, out, _ = command("-m", *words, "sweep.jobs=3", f"sweep.resume={folder}")
    assert code == 0 and "2 of 3 jobs are already completed" in out and "jobs: 3 completed." in out


def test_a_job_that_cannot_be_composed_may_stop_the_sweep(sweep):
    code, out, err, results = sweep("optimizer=sgd,nadam", "sweep.on_failure=stop")
    assert "jobs: 1 failed, 1 not started." in out
    assert code == 1 and "1 of 2 jobs failed, 1 did not start" in err
    assert statuses(results) == {"2_optimizer=nadam": "failed"}
    (result,) = results.values()
    assert result["seconds"] == 0 and "T" in result["started"]


def test_no_swept_values_and_one_job(sweep):
    code, out, err, results = sweep("seed=4")
    assert (code, err) == (0, "") and out.startswith("1 job in ")
    assert statuses(results) == {"1": "completed"} and results["1"]["swept"] == []


@pytest.mark.slow
def test_what_overrides_may_be(sweep):
    """Duplicates, deletions, additions, values of any kind; and what is typed precedes the sweep's params."""
    words = ["hydra.sweeper.params={optimizer.lr:'0.1,0.2,0.3',seed:'0,1'}", "optimizer.lr=0.5", "~callbacks.pictures"]
    code, out, err, results = sweep(*words, "+x='a/b','c = d, \"e\"',[1,2],'a/b'")
    assert (code, err) == (0, "")
    begin, *lines = out.splitlines()
    assert begin.startswith("8 jobs in ")
    assert lines[:2] == [f"seed={seed} x='a/b'  same as an earlier job" for seed in (0, 1)]
    assert lines[2].startswith("1/6  seed=0 x='a/b'  val/")
    settings = {name: (result["settings"]["seed"], result["settings"]["x"]) for name, result in results.items()}
    assert settings == {
        "1_seed=0,x=a-b": (0, "a/b"), "2_seed=0,x=c-d-e": (0, 'c = d, "e"'), "3_seed=0,x=1-2": (0, [1, 2]),
        "4_seed=1,x=a-b": (1, "a/b"), "5_seed=1,x=c-d-e": (1, 'c = d, "e"'), "6_seed=1,x=1-2": (1, [1, 2]),
    }  # fmt: skip
    for result in results.values():
        assert result["settings"]["optimizer"]["lr"] == 0.5
        assert "pictures" not in result["settings"]["callbacks"]


@pytest.mark.slow
def test_resume_runs_what_is_missing(sweep, multirun, read_result):
    _, _, _, before = sweep("seed=0,13,1")
    folder = multirun()
    dead, claimed = folder / "3_seed=1", folder / "4_seed=4"  # the latter has not started
    died = read_result(dead) | {"status": "running", "process": {"host": "elsewhere", "pid": 1}}
    (dead / "result.json").write_text(json.dumps(died))
    os.utime(dead / "result.json", (time.time() - 100,) * 2)
    (dead / "checkpoints").mkdir()
    (claimed / ".hydra").mkdir(parents=True)
    for file in (dead / ".1.room", dead / "checkpoints" / "last.ckpt", claimed / "train.log"):
        file.touch()
    code, out, err, after = sweep("seed=0,13,1,2", f"sweep.resume={folder}")
    assert code == 1 and "1 of 4 jobs failed" in err
    told = "\n1 of 4 jobs are already completed\n1 stopped job resumes from its last checkpoint\n2/4  seed=13  failed"
    assert told in out
    names = ["1_seed=0", "2_seed=13", "3_seed=1", "4_seed=13", "5_seed=1", "6_seed=2"]
    assert list(statuses(after)) == names
    assert [after[name]["status"] for name in names[3:]] == ["failed", "completed", "completed"]
    assert after["1_seed=0"] == before["1_seed=0"]
    buried = after["3_seed=1"]
    assert (buried["status"], buried["error"]) == ("interrupted", "killed with the sweep")
    assert not list(folder.glob("*/.*.room")) and not (folder / "4_seed=4").exists()
    rows = list(csv.DictReader((folder / "summary.csv").open()))
    assert len(rows) == 1 and "3 of 4 completed" in rows[0].values()
    code, out, err, again = sweep("seed=0,1,2", "sweep.resume=last")
    assert (code, err) == (0, "")
    assert "\n3 of 3 jobs are already completed\n" in out and len(again) == 6
    code, out, err, same = sweep(f"sweep.resume={folder}")
    assert (code, out, same) == (2, "", again)
    assert err.startswith(f"error: sweep.resume={folder}: needs the command of the sweep: python scripts/train.py -m ")
    assert err.endswith(f" seed=0,1,2 sweep.resume={folder}\n")


@pytest.mark.slow
def test_resume_compares_the_resolved_settings(sweep, command, multirun):
    sweep("seed=0,1")
    folder = multirun()
    resume = f"sweep.resume={folder}"
    before = sorted(folder.rglob("*")), (folder / "summary.md").read_text()
    code, out, _ = command("-m", "seed=0,1,2", "--dry-run", resume)
    first, second, third, last = out.splitlines()
    assert (first, second) == ("1/3  seed=0  already completed", "2/3  seed=1  already completed")
    assert (code, third) == (0, "3/3  seed=2") and last.startswith("1 job to run, about ")
    code, out, err, _ = sweep("optimizer.lrr=1,2", resume)
    assert (code, out) == (2, "") and err.startswith("error: optimizer.lrr: ") and len(err.splitlines()) == 1
    assert (sorted(folder.rglob("*")), (folder / "summary.md").read_text()) == before, "neither leaves anything"
    code, out, _, results = sweep("seed=0,1", "optimizer.lr=0.1", "model=mlp", resume)  # the defaults
    assert code == 0 and "\n2 of 2 jobs are already completed" in out and len(results) == 2
    code, out, err, results = sweep("optimizer.lr=0.03", resume)
    assert (code, err) == (0, "") and "1/1  lr=0.03  val/" in out
    assert sorted(results) == ["1_seed=0", "2_seed=1", "3_lr=0.03"], "named by what is its own"
    assert results["3_lr=0.03"]["swept"] == ["optimizer.lr"]


def test_two_sweeps_do_not_work_in_one_folder(command, quick_train, tmp_path):
    folder = tmp_path / "busy"
    (folder / "0").mkdir(parents=True)
    (folder / "multirun.yaml").write_text("of the other one")
    (folder / "0" / "result.json").write_text('{"status": "completed"}')
    with FileLock(folder / LOCK):
        code, out, err = command("-m", "seed=0,1", f"sweep.resume={folder}")
    assert (code, out) == (2, "")
    assert f"sweep.resume={folder}: another sweep is running there" in err and len(err.splitlines()) == 1
    assert (folder / "multirun.yaml").read_text() == "of the other one"
    assert {path.name for path in folder.iterdir()} <= {"0", "multirun.yaml", LOCK}


def test_only_a_sweeps_folder_can_be_resumed(command, quick_train, tmp_path):
    """Not any folder, nor a single run's, nor the folder that runs lie in."""
    run = tmp_path / "runs" / "a run"
    run.mkdir(parents=True)
    (run / "result.json").write_text("{}")
    for words in (["-m", "seed=0,1"], ["--dry-run"]):
        for folder in (tmp_path, run.parent, run):
            code, out, err = command(*words, f"sweep.resume={folder}")
            assert (code, out) == (2, "")
            told = f"sweep.resume={folder}: not a sweep's folder, it has no multirun.yaml; name a sweep's, logs/"
            assert told in err
    assert sorted(tmp_path.rglob("*")) == [run.parent, run, run / "result.json"]


@pytest.mark.parametrize("name", ["a sweep", "a user's"])
def test_a_folder_with_a_space_or_a_quote_is_told_quoted(command, quick_train, tmp_path, name):
    folder = tmp_path / name
    code, out, err = command("-m", "seed=0", f'hydra.sweep.dir="{folder}"')
    assert (code, err) == (0, "") and shlex.split(out.splitlines()[0]) == ["1", "job", "in", str(relative(folder))]
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["1"]


def test_sweeps_of_the_same_moment_have_folders_of_their_own(tmp_path):
    hydra = {"sweep": {"dir": str(tmp_path / "a" / "now")}, "overrides": {"hydra": []}}
    config = OmegaConf.create({"sweep": {"resume": None}, "hydra": hydra})
    assert [claim(config.copy()).name for _ in range(3)] == ["now", "now-2", "now-3"]


def test_the_last_sweep_is_the_one_that_was_started_or_resumed_last(tmp_path):
    config = OmegaConf.create({"sweep": {"resume": "last"}, "paths": {"log_dir": str(tmp_path)}})
    for name, begun in (("a", 30), ("b", 50), ("c", 40)):
        (folder := tmp_path / "train" / "multiruns" / name).mkdir(parents=True)
        (folder / "multirun.yaml").touch()
        os.utime(folder / "multirun.yaml", (begun, begun))
    (tmp_path / "train" / "multiruns" / "d").mkdir()  # none yet
    assert resumed(config) == tmp_path / "train" / "multiruns" / "b"


@pytest.fixture
def launcher(command):
    """The class of Hydra's own launcher. (Hydra makes it anew when it looks for plugins, as `command` lets it.)"""
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    return BasicLauncher


@pytest.fixture
def forking(launcher, monkeypatch):
    """Each job has a process of its own; where one is killed, the launcher raises and drops the others."""
    launch, launches = launcher.launch, []

    def forked(self, job_overrides, initial_job_idx):
        launches.append(len(job_overrides))
        returns = []
        for place, overrides in enumerate(job_overrides):
            if (pid := os.fork()) == 0:
                launch(self, [overrides], initial_job_idx + place)
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            if os.WIFSIGNALED(status):
                raise RuntimeError("a worker was terminated")
        return returns

    monkeypatch.setattr(launcher, "launch", forked)
    monkeypatch.setattr("litlab.sweeps.runner.runs_here", lambda launcher: False)
    return launches


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "last"), [((8, 9, 10), "completed"), ((98, 99, 100), "failed")])
def test_a_job_that_is_killed_runs_again_by_itself(sweep, forking, seeds, last):
    first, killed, other = seeds
    code, out, err, results = sweep(f"seed={first},{killed},{other}")
    assert forking == [3, 1, 1]
    statuses_and_errors = {name: (result["status"], result["error"]) for name, result in results.items()}
    lost = ("failed", "the process was killed")
    assert statuses_and_errors == {
        f"1_seed={first}": ("completed", None), f"2_seed={killed}": lost, f"3_seed={other}": ("completed", None),
        f"4_seed={killed}": ("completed", None) if last == "completed" else lost,
    }  # fmt: skip
    assert sorted(line[:3] for line in out.splitlines()[1:4]) == ["1/3", "2/3", "3/3"]
    assert out.count(f"seed={killed}  failed: the process was killed") == (last == "failed")
    assert (code, err) == (0, "") if last == "completed" else err.startswith("error: 1 of 3 jobs failed")


def test_a_launcher_that_cannot_begin(command, quick_train, launcher, monkeypatch, tmp_path):
    def broken(self, job_overrides, initial_job_idx):
        raise OSError("no cluster here")

    monkeypatch.setattr(launcher, "launch", broken)
    code, out, err = command("-m", "seed=0,1")
    assert code == 1 and out.startswith("2 jobs in ") and len(out.splitlines()) == 1
    assert err.startswith("error: OSError: no cluster here (test_jobs.py:")
    assert not list(tmp_path.rglob("*.*"))


def test_a_stopped_sweep_adds_to_what_a_lost_job_had_recorded(tmp_path, read_result):
    recorded = {"status": "running", "seed": 3, "process": {"host": "elsewhere", "pid": 1}}
    file = tmp_path / "0" / "result.json"
    write(file, recorded)
    os.utime(file, (0, 0))
    stop(tmp_path, [Job([], folder=file.parent)])
    assert read_result(file.parent) == recorded | {"status": "interrupted", "error": "stopped with the sweep"}


class PretendedWorkers:
    """In the place of `litlab.compat.joblib.Joblib`: a job ends when the test says so."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log: list[str] = []
        self.futures: dict[str, Future] = {}
        self.begun = lambda word: self.end(word)  # what happens when the job of that override begins

    def submit(self, overrides, number):
        self.log.append(f"begin {overrides[0]}")
        future = self.futures[overrides[0]] = Future()
        self.write(overrides[0], "running")
        self.begun(overrides[0])
        return future

    def write(self, word, status, **more):
        (folder,) = self.folder.glob(f"*_{word}")
        process = {"host": platform.node(), "pid": 2**22 + 1, "started": 0.0}  # no process of this machine
        result = {"status": status, "seconds": 1.0, "process": process, "error": None, "settings": {}, **more}
        write(folder / "result.json", result)

    def end(self, word):
        self.log.append(f"end {word}")
        self.write(word, "completed", monitor={"best": float(word[-1]), "mode": "max", "metric": "val/accuracy"})
        self.futures[word].set_result(None)

    def kill(self):
        self.log.append("kill")
        for future in self.futures.values():
            if not future.done():
                future.set_exception(RuntimeError("shut down"))

    def release(self):
        self.log.append("release")


@pytest.fixture
def streaming(tmp_path):
    """Jobs with pretended workers; what the launcher is asked for itself, those do at once."""

    def launch(job_overrides, initial_job_idx):
        workers.log.append("batch of " + " ".join(words[0] for words in job_overrides))
        for words in job_overrides:
            workers.futures[words[0]] = Future()
            write_again(words)

    def write_again(words):
        folder = tmp_path / words[-1].split("'")[1]
        write(folder / "result.json", {"status": "completed", "seconds": 1.0, "monitor": {"best": 0.5}})

    options = {"on_failure": "continue", "resume": None, "prune": None, "eta": None, "stack": None}
    config = OmegaConf.create({"sweep": options})
    plan = Plan(None, config, tmp_path, ["lr"], 9)
    plan.composer = SimpleNamespace(job=lambda words: Job(list(words), identity=" ".join(words)))
    runner = Runner(SimpleNamespace(launch=launch), plan)
    runner.workers = workers = PretendedWorkers(tmp_path)
    return runner


def test_a_free_worker_has_the_next_job_while_a_slow_one_runs(streaming):
    def begun(word):
        if word == "lr=1":  # the slow one: it ends when the fourth has begun (or, so that nothing hangs, after all)
            timer.start()
        elif word == "lr=3":
            workers.end("lr=1")
            workers.end("lr=3")
        else:
            workers.end(word)

    workers = streaming.workers
    timer = threading.Timer(20, lambda: workers.futures["lr=1"].done() or workers.end("lr=1"))
    workers.begun = begun
    found = []
    for place, group in streaming.stream(([[f"lr={number}"]] for number in range(4)), at_once=2):
        found.append(place)
        workers.log.append(f"told {place} {[job.score for job in group]}")
    timer.cancel()
    assert workers.log[:5] == ["begin lr=0", "end lr=0", "begin lr=1", "told 0 [0.0]", "begin lr=2"]
    assert workers.log.index("begin lr=3") < workers.log.index("end lr=1")
    assert sorted(found) == [0, 1, 2, 3] and "told 1 [1.0]" in workers.log and workers.log[-1] == "release"


def test_a_killed_worker_takes_jobs_along_that_run_again_before_others_are_asked_for(streaming):
    """lr=0 had begun, lr=1 had not; the first is tried by itself, as it may be what kills workers."""

    def begun(word):
        if word == "lr=1":
            (streaming.plan.jobs[1].folder / "result.json").unlink()
            workers.futures["lr=0"].set_exception(RuntimeError("a worker was terminated"))
        elif word != "lr=0":
            workers.end(word)

    workers = streaming.workers
    workers.begun = begun
    groups = ([[f"lr={number}"]] for number in range(3))
    assert sorted(place for place, _ in streaming.stream(groups, at_once=2)) == [0, 1, 2]
    assert workers.log == [
        "begin lr=0", "begin lr=1", "kill", "batch of lr=0", "batch of lr=1", "begin lr=2", "end lr=2", "release",
    ]  # fmt: skip
    assert [job.result["status"] for job in streaming.plan.jobs] == ["completed"] * 3
    killed = json.loads((streaming.folder / "1_lr=0" / "result.json").read_text())
    assert (killed["status"], killed["error"]) == ("failed", "the process was killed")


def test_the_same_job_as_one_that_runs_waits_for_it(streaming, capsys):
    workers = streaming.workers
    workers.begun = lambda word: word == "lr=1" or [workers.end(word), workers.end("lr=1")]
    groups = iter([[["lr=1"]], [["lr=1"]], [["lr=2"]], [["lr=1"]], [["lr=1"]]])
    ended = dict(streaming.stream(groups, at_once=3))
    assert [word for word in workers.log if word.startswith("begin")] == ["begin lr=1", "begin lr=2"]
    assert [ended[place][0].score for place in range(5)] == [1.0, 1.0, 2.0, 1.0, 1.0]
    assert "lr=1  same as an earlier job" in capsys.readouterr().out


def test_after_a_stop_no_job_begins_or_is_asked_for(streaming):
    def begun(word):
        workers.end(word)
        (streaming.folder / STOP).touch()

    workers = streaming.workers
    workers.begun = begun
    asked = []
    groups = (asked.append(number) or [[f"lr={number}"]] for number in range(5))
    assert [place for place, _ in streaming.stream(groups, at_once=1)] == [0]
    assert asked == [0, 1] and [job.result is None for job in streaming.plan.jobs] == [False, True]
    assert workers.log == ["begin lr=0", "end lr=0", "release"]


def test_a_search_that_fails_ends_its_jobs_and_workers(streaming):
    streaming.workers.begun = lambda word: word == "lr=1" or streaming.workers.end(word)
    groups = ([[f"lr={number}"]] for number in range(4))
    with pytest.raises(ZeroDivisionError), streaming.session(), closing(streaming.stream(groups, 2)) as ended:
        assert next(ended)[0] == 0
        1 / 0  # noqa: B018
    assert streaming.workers.log == ["begin lr=0", "end lr=0", "begin lr=1", "kill"]
    result = json.loads((streaming.folder / "2_lr=1" / "result.json").read_text())
    assert (result["status"], result["error"]) == ("interrupted", "stopped with the sweep")


@pytest.mark.parametrize(
    ("overrides", "swept", "name"),
    [
        (["optimizer.lr=0.1", "data.batch_size=32", "seed=0"], ["optimizer.lr", "seed"], "7_lr=0.1,seed=0"),
        (["optimizer.lr=0.1", "scheduler.lr=2"], ["optimizer.lr", "scheduler.lr"], "7_optimizer.lr=0.1,scheduler.lr=2"),
        (["+model.x=-1", "++seed=1e-05"], ["model.x", "seed"], "7_x=-1,seed=1e-05"),
        (["model.hidden_sizes=[256,128]"], ["model.hidden_sizes"], "7_hidden_sizes=256-128"),
        (["model.hidden_sizes=[]"], ["model.hidden_sizes"], "7_hidden_sizes"),
        (["paths.data_dir=/a/b c"], ["paths.data_dir"], "7_data_dir=-a-b-c"),
        (["x='a=b, \"c\"'"], ["x"], "7_x=a-b-c"),
        (["x=../.."], ["x"], "7_x"),
        (["x={a:1,b:null}"], ["x"], "7_x=a-1-b-null"),
        (["data=digits"], [], "7"),
        (["model/part@model.x=a"], ["model/part"], "7_model-part=a"),
        (["lr=0.0345234523", "x=-2.00001e-05", "y=0.1234"], ["lr", "x", "y"], "7_lr=0.03452,x=-2e-05,y=0.1234"),
    ],
)
def test_names(overrides, swept, name):
    assert folder_name(7, swept_values(overrides, swept)) == name


@pytest.mark.parametrize("letter", ["a", "가"])
def test_names_are_short(letter):
    name = folder_name(12, {"x": letter * 300})
    assert 90 < len(name.encode()) < 100 and name.startswith(f"12_x={letter * 3}")


def test_what_a_job_is_given_unlike_others():
    words = ["data=digits", "+model.x=1", "seed=0", "sweep.resume=a", "~callbacks.pictures"]
    others = [["data=digits", "seed=0"], ["data=digits", "seed=1", "+model.x=1"]]
    assert differing_settings(words, others) == ["model.x", "seed"]
    assert differing_settings(words, []) == []


def test_the_line_of_a_job():
    result = {"status": "completed", "seconds": 12.34, "monitor": {"metric": "val/accuracy", "best": 0.89123}}
    result |= {"metrics": {"val/accuracy": 0.5, "test/accuracy": 0.8876, "test/loss": 1.0}}
    expected = "3/9  lr=0.1 seed=0  val/accuracy 0.8912  test/accuracy 0.8876  12.3 s"
    assert progress_line("3/9", "lr=0.1 seed=0", JobResult.of(result)) == expected
    assert progress_line("3/9", "", JobResult("failed", error="no\n good")) == "3/9  failed: no good"


def test_the_score_of_a_job():
    def score(result):
        return Job([], result=result).score

    assert score(job(best=0.75)) == Job([], duplicate_of=Job([], result=job(best=0.75))).score == 0.75
    assert score(job(best=None, metrics={"val/accuracy": 0.25})) == 0.25, "without a best, the last"
    assert score(None) is score(failed({}) | {"monitor": {"best": 9.0}}) is score(job(best=float("nan"))) is None


def test_a_dry_run_lists_the_jobs_and_leaves_nothing(command, quick_train, tmp_path):
    code, out, err = command("optimizer.lr=0.1,-1,0.01", "trainer.max_epochs=72001", "--dry-run")
    assert (code, err) == (0, "")
    first, second, third, last = out.splitlines()
    assert (first, third) == ("1/3  lr=0.1", "3/3  lr=0.01")
    assert second == "2/3  lr=-1  cannot run: optimizer.lr=-1: must be a number above 0, such as 0.01"
    # 0.5 seconds an epoch; what the fake run itself takes, if it be a minute, does not show in tenths of an hour.
    assert last == "2 jobs to run, about 10.0 h each: 20.0 h in all"
    assert not (tmp_path / "logs").exists()


def test_a_dry_run_of_a_halving_shows_its_rungs(command, quick_train):
    words = ("optimizer.lr=0.1,0.2,0.3,0.4", "trainer.max_epochs=72000", "sweep.rung=24000", "sweep.eta=3")
    code, out, err = command(*words, "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[4:] == [
        "rung 1 of 2: 4 settings to epoch 24000",
        "rung 2 of 2: 2 settings to epoch 72000",
        "4 jobs to run, about 10.0 h each to the last epoch: 26.7 h in all",
    ]
    code, _, err = command("optimizer.lr=0.1,0.2", "trainer.max_epochs=2,3", "sweep.eta=3", "--dry-run")
    assert code == 2 and "needs the same trainer.max_epochs" in err


def test_a_dry_run_of_a_single_run_is_one_line(command, quick_train, monkeypatch):
    measured = []

    def train(config, result):
        measured.append(config.trainer.max_epochs)
        quick_train(config, result)

    monkeypatch.setattr(sys.modules["litlab.verbs.train"], "train", train)
    for epochs, steps, told in ((72001, -1, "10.0 h"), (72001, 144010, "2.0 h"), (-1, 144010, "2.0 h")):
        words = (f"trainer.max_epochs={epochs}", f"trainer.max_steps={steps}", "--dry-run")
        assert command("seed=3", *words) == (0, f"1 job to run, about {told}\n", "")
    assert measured == [1] * 3, "one epoch"


def test_a_dry_run_of_which_no_job_can_be_measured_is_told(command, quick_train):
    code, _, err = command("-m", "optimizer.lr=1e6,1e7", "--dry-run")
    assert (code, err) == (1, "error: no job could be measured: the loss is nan\n")


@pytest.mark.parametrize(("seconds", "text"), [(4.5, "4.5 s"), (45, "45 s"), (90, "1.5 min"), (5400, "1.5 h")])
def test_a_time_is_told_in_its_unit(seconds, text):
    assert duration(seconds) == text


NINE = ("threads=1", "trainer.max_epochs=1", "optimizer.lr=0.01,0.03,0.1", "data.batch_size=32,64,128")


def is_at_work(sweep):
    """Whether the sweep is at a job that has a checkpoint, the fourth or later; then it is stopped, to stay at it."""
    saved = [file.parents[1] for file in sweep.multiruns.glob("*/*/checkpoints/last.ckpt")]
    if len(saved) < 4:
        return False
    sweep.process.send_signal(signal.SIGSTOP)
    if any(json.loads((job / "result.json").read_text())["status"] == "running" for job in saved):
        return True
    sweep.process.send_signal(signal.SIGCONT)
    return False


@pytest.mark.slow
def test_a_killed_sweep_resumed_is_an_undisturbed_one(tmp_path):
    whole = Sweep(tmp_path / "whole", *NINE).end()
    assert whole.process.returncode == 0 and "error" not in whole.text, whole.text
    killed = Sweep(tmp_path / "killed", *NINE)
    killed.wait_for(lambda: is_at_work(killed), timeout=900)
    killed.kill()
    statuses = [result["status"] for result in killed.results]
    assert 4 <= len(statuses) < 9 and "running" in statuses
    resumed = Sweep(tmp_path / "killed", *NINE, f"sweep.resume={killed.folder}").end()
    assert resumed.process.returncode == 0, resumed.text
    completed = statuses.count("completed")
    assert f"{completed} of 9 jobs are already completed\n1 stopped job resumes from its last" in resumed.text
    logs = [path.read_text() for path in killed.folder.glob("*/train.log")]
    assert sum("epoch 1: " not in text for text in logs) == 1
    assert len(whole.summary) == 9
    times = [name for name in whole.summary[0] if "seconds" in name or "run" in name or "dir" in name]
    for one, other in zip(whole.summary, resumed.summary, strict=True):
        assert {k: v for k, v in one.items() if k not in times} == {k: v for k, v in other.items() if k not in times}
        assert one["status"] == "completed"
