"""sweep=optuna: a study that no trial ends, that a crash leaves whole, and that is resumed where it was."""

import contextlib
import copy
import functools
import importlib
import itertools
import json
import math
import sqlite3
import subprocess
import sys
import types

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf, open_dict
from sweeping import Sweep

from hydra_plugins.litlab_sweepers import OptunaSweeper
from litlab.errors import RequestError
from litlab.sweeps.job import Job

optuna = pytest.importorskip("optuna", minversion="4.0")
COMPLETE, FAIL, RUNNING = (optuna.trial.TrialState[name] for name in ("COMPLETE", "FAIL", "RUNNING"))


@functools.cache
def _composed(conf, overrides):
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose("train", overrides=list(overrides), return_hydra_config=True)


@pytest.fixture
def composed(root):
    """The sweep's config with its hydra node, as a sweeper gets it."""
    return lambda *overrides: copy.deepcopy(_composed(root / "conf", overrides))


def test_the_sweeps_compose(composed):
    for name, keys in {
        "lr_batch": {"optimizer.lr", "data.batch_size"}, "lr_range": {"optimizer.lr"}, "seeds": {"seed"},
    }.items():  # fmt: skip
        config = composed(f"sweep={name}")
        assert config.hydra.sweeper._target_.endswith(".GridSweeper")
        assert set(config.hydra.sweeper.params) == keys
        assert config.sweep.on_failure == "continue"
    rates = [float(word) for word in composed("sweep=lr_range").hydra.sweeper.params["optimizer.lr"].split(",")]
    steps = [math.log10(high / low) for low, high in itertools.pairwise(rates)]
    assert max(steps) - min(steps) < 0.1 and rates[0] * 1000 == rates[-1]
    config = composed("sweep=optuna", "sweep.on_failure=stop")
    assert config.hydra.sweeper._target_.endswith(".OptunaSweeper")
    assert (config.sweep.on_failure, config.sweep.resume) == ("stop", None)


@pytest.mark.parametrize("is_old", [False, True])
def test_without_the_extra_one_line_says_so(composed, monkeypatch, is_old):
    if is_old:
        monkeypatch.delattr("optuna.distributions.FloatDistribution")
    else:
        monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "litlab.sweeps.search", raising=False)
    with pytest.raises(RequestError, match=r"^sweep=optuna: needs .*pip install -e \.\[optuna\]$"):
        OptunaSweeper().setup(hydra_context=None, task_function=None, config=composed("sweep=optuna"))


def test_the_start_of_any_program_imports_no_optuna():
    code = "import sys, hydra_plugins.litlab_sweepers; print(*({'optuna', 'sqlalchemy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [] and done.stderr == ""


class Pretended:
    """In the place of `litlab.sweeps.runner.Runner`: a job's value is a function of rate, batch size and seed, if any.

    Of None the job failed; of a text it was pruned; a dict is more of its result.
    """

    def __init__(self, train):
        self.train = train
        self.asked: list[dict[str, str]] = []

    def stream(self, groups, at_once):
        self.at_once = at_once
        for place, group in enumerate(groups):
            first = len(self.plan.jobs)
            for words in group:
                self.asked.append(dict(word.split("=", 1) for word in words))
                seed = [int(self.asked[-1]["seed"])] if "seed" in self.asked[-1] else []
                found = self.train(float(self.asked[-1]["optimizer.lr"]), int(self.asked[-1]["data.batch_size"]), *seed)
                status = "failed" if found is None else "pruned" if isinstance(found, str) else "completed"
                result = found if isinstance(found, dict) else {"monitor": {"best": found}}
                self.plan.jobs.append(Job(list(words), result={"status": status, **result}))
            yield place, self.plan.jobs[first:]


def good(rate, batch_size):
    """Best at 0.1 and 32."""
    return -abs(math.log10(rate) + 1) - batch_size / 1000


@pytest.fixture
def search(composed, tmp_path, monkeypatch):
    """Run `sweep=optuna` in a folder on a function; what was asked of it, and the study."""
    search = importlib.import_module("litlab.sweeps.search")

    def run(*overrides, value=good):
        jobs = Pretended(value)

        def running(launcher, plan):
            jobs.plan = plan
            return contextlib.nullcontext(jobs)

        monkeypatch.setattr(search, "running", running)
        monkeypatch.setattr(search, "set_up", lambda *_: (tmp_path, None))
        config = composed("sweep=optuna", *(word for word in overrides if word.startswith(("hydra/", "task="))))
        for word in overrides:
            if word.startswith(("hydra.", "sweep.")):
                key, _, text = word.partition("=")
                with open_dict(config):
                    OmegaConf.update(config, key, yaml.safe_load(text))
        with open_dict(config.hydra):
            config.hydra.sweep.dir = str(tmp_path)
        sweeper = OptunaSweeper(**{k: v for k, v in config.hydra.sweeper.items() if not k.startswith("_")})
        sweeper.setup(hydra_context=object(), task_function=None, config=config)
        try:
            sweeper.sweep([word for word in overrides if not word.startswith(("hydra", "sweep"))])
        finally:
            with contextlib.suppress(RuntimeError):  # of another version of Optuna
                if (tmp_path / "optuna.log").exists():
                    jobs.study = study_of(tmp_path)
        return jobs

    return run


def study_of(folder):
    """By Optuna's own tools."""
    file = optuna.storages.journal.JournalFileBackend(f"{folder}/optuna.log")
    return optuna.load_study(study_name="litlab", storage=optuna.storages.JournalStorage(file))


@pytest.mark.slow
def test_a_search_finds_what_is_best(search):
    jobs = search("hydra.sweeper.n_trials=20", "threads=1")
    assert len(jobs.asked) == jobs.plan.total == 20
    rates = [float(each["optimizer.lr"]) for each in jobs.asked]
    assert all(0.001 <= rate <= 1 for rate in rates)
    assert sum(rate < 0.03 for rate in rates[:10]) >= 2  # at random over the logarithm, at first
    assert all(each["threads"] == "1" and each["data.batch_size"] in ("32", "64", "128") for each in jobs.asked)
    assert 0.05 < jobs.study.best_params["optimizer.lr"] < 0.2
    late = [abs(math.log10(rate) + 1) for rate in rates[10:]]
    early = [abs(math.log10(rate) + 1) for rate in rates[:10]]
    assert sum(late) < sum(early)


@pytest.mark.slow
def test_n_trials_is_the_total_and_no_start_is_repeated(search, capsys, tmp_path):
    first = search("hydra.sweeper.n_trials=3").asked
    more = search("hydra.sweeper.n_trials=5")
    assert capsys.readouterr().out == "3 of 5 trials are already done\n"
    assert len(more.asked) == more.plan.total == 2
    assert len({each["optimizer.lr"] for each in first + more.asked}) == 5
    assert search("hydra.sweeper.n_trials=5").asked == []
    assert "all 5 trials are done; for more: hydra.sweeper.n_trials=10" in capsys.readouterr().out
    (tmp_path / "optuna.log").unlink()
    assert search("hydra.sweeper.n_trials=3").asked == first, "the same search tries the same"


def test_a_trial_that_a_crash_left_open_is_closed_and_its_settings_come_first(search):
    def crash(rate, batch_size):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(rate)
        return good(rate, batch_size)

    seen = []
    with pytest.raises(KeyboardInterrupt):
        search("hydra.sweeper.n_trials=4", value=crash)
    again = search("hydra.sweeper.n_trials=4")
    trials = again.study.get_trials()
    assert [trial.state for trial in trials] == [COMPLETE, COMPLETE, FAIL, COMPLETE, COMPLETE]
    assert len(again.asked) == 2
    assert trials[3].params == trials[2].params  # to the bit, so that a completed job is known again
    assert float(again.asked[0]["optimizer.lr"]) == trials[2].params["optimizer.lr"]


@pytest.mark.parametrize(("task", "worst", "sign"), [("classification", min, -1), ("regression", max, 1)])
def test_a_failed_trial_has_the_worst_value_also_of_an_earlier_session(search, task, worst, sign):
    def values(n_trials, train):
        study = search(f"task={task}", f"hydra.sweeper.n_trials={n_trials}", value=train).study
        assert study.direction.name == ("MAXIMIZE" if task == "classification" else "MINIMIZE")
        return [trial.value for trial in study.get_trials()]

    assert values(1, lambda *_: None) == [sign * 1e9]
    before = values(4, good)
    assert values(5, lambda *_: None)[-1] == worst(before[1:])


def test_each_trial_runs_all_seeds_and_its_value_is_their_mean(search):
    jobs = search("hydra.sweeper.n_trials=2", "seed=0,1,5", value=lambda rate, batch_size, seed: seed / 10)
    assert [each["seed"] for each in jobs.asked] == ["0", "1", "5"] * 2 and jobs.plan.total == 6
    assert len({each["optimizer.lr"] for each in jobs.asked}) == 2
    assert [trial.value for trial in jobs.study.get_trials()] == [pytest.approx(0.2)] * 2
    assert all("seed" not in trial.params for trial in jobs.study.get_trials())
    fixed = search("hydra.sweeper.n_trials=1", "hydra.sweeper.study_name=other", "seed=5", value=lambda *_: 1.0)
    assert [each["seed"] for each in fixed.asked] == ["5"]


def test_a_trial_of_which_a_seed_failed_has_the_worst_value_so_far(search):
    """Not the mean of those that survived: 0.9 in the second trial."""
    values = iter([0.5, 0.7, 0.9, None, 0.8, 0.8])
    jobs = search("hydra.sweeper.n_trials=3", "seed=0,1", value=lambda *_: next(values))
    assert [trial.value for trial in jobs.study.get_trials()] == [pytest.approx(each) for each in (0.6, 0.5, 0.8)]
    again = search("hydra.sweeper.n_trials=4", "seed=0,1", value=lambda *_: None)
    assert again.study.get_trials()[-1].value == 0.5


def test_a_study_keeps_its_seeds(search, tmp_path):
    def crash(rate, batch_size, seed):
        if seed == 1:
            raise KeyboardInterrupt
        return 0.5

    (tmp_path / "optimization_results.yaml").touch()  # it says that a search is at its end, which this one is not
    with pytest.raises(KeyboardInterrupt):
        search("hydra.sweeper.n_trials=1", "seed=0,1", value=crash)
    assert not (tmp_path / "optimization_results.yaml").exists()
    with pytest.raises(RequestError, match="have the seeds 0, 1; use them again: seed=0,1"):
        search("hydra.sweeper.n_trials=1", "seed=0,1,2")
    again = search("hydra.sweeper.n_trials=1", "seed=0,1", value=lambda *_: 0.25)
    first, second = again.study.get_trials()
    assert (first.state, second.state, second.value) == (FAIL, COMPLETE, 0.25) and first.params == second.params
    assert [each["seed"] for each in again.asked] == ["0", "1"]


def test_a_search_that_is_to_stop_at_the_first_failure(search, monkeypatch, tmp_path):
    def stopped(self, groups, at_once):
        groups = stream(self, groups, at_once)
        yield next(groups)
        next(groups)  # which did not begin

    stream = Pretended.stream
    monkeypatch.setattr(Pretended, "stream", stopped)
    study = search("hydra.sweeper.n_trials=4").study
    assert [trial.state for trial in study.get_trials()] == [COMPLETE, RUNNING]
    assert not (tmp_path / "optimization_results.yaml").exists()  # it says that a search is at its end


def test_as_many_trials_at_a_time_as_the_launcher_has_workers(search, tmp_path):
    words = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_trials=2"]
    jobs = search(*words)
    assert jobs.at_once == 2 and len({each["optimizer.lr"] for each in jobs.asked}) == 2
    found = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert found == {
        "name": "optuna", "best_params": jobs.study.best_params, "best_value": jobs.study.best_value,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("hydra.sweeper.n_trials=0",), r"hydra\.sweeper\.n_trials=0: must be a whole number from 1"),
        (("hydra.sweeper.direction=up",), r"hydra\.sweeper\.direction=up: must be maximize or minimize"),
        (
            ("sweep.prune=median", "sweep.stack=4"),
            r"sweep\.prune=median: a stack .* each to its end; leave out sweep\.stack",
        ),
        (
            ("sweep.prune=median", "hydra/launcher=stacked"),
            r"sweep\.prune=median: .*; choose another hydra/launcher$",
        ),
        (("sweep.dry_run=true",), r"sweep\.dry_run=true: .* only for grids"),
        (("optimizer.lr=0.1", "data.batch_size=32"), "nothing to search.*optimizer.lr=tag"),
        (
            ("seed=interval(0, 5)",),
            r"seed=interval\(0, 5\): each trial runs all of its seeds; list them, as in seed=0,1,2",
        ),
        (("model.activation=glob(*)",), "sweep=optuna: the range of a setting is choice.*interval"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(search, overrides, message):
    with pytest.raises(RequestError, match=message) as error:
        search(*overrides)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.slow
def test_a_search_without_validation_is_refused_after_its_first_trial(search):
    ended = []
    line = r"^sweep=optuna: without validation \(data.val_size=0\) .* set data.val_size=0.1$"
    with pytest.raises(RequestError, match=line):
        search(value=lambda *_: ended.append(1) or {"metrics": {"train/loss": 0.1, "test/loss": 0.2}})
    assert ended == [1]
    diverged, trained = {"metrics": {"val/loss": None}}, {"metrics": {"train/loss": 0.1}}
    monitored = trained | {"monitor": {"metric": "train/loss", "best": 0.1}}
    asked = search("hydra.sweeper.n_trials=2", value=lambda rate, _: diverged if rate < 0.1 else monitored).asked
    assert len(asked) == 2


def test_a_study_that_does_not_fit_is_refused_in_one_line(search, tmp_path):
    database = f"hydra.sweeper.storage=sqlite:///{tmp_path}/optuna.db"
    search("hydra.sweeper.n_trials=1", database)
    with pytest.raises(RequestError, match="other choices for a setting; use those"):
        search("hydra.sweeper.n_trials=2", database, "data.batch_size=choice(1,2)")
    with sqlite3.connect(tmp_path / "optuna.db") as opened:
        opened.execute("update alembic_version set version_num = 'v2.6.0.a'")
    upgrade = r"upgrade it with `optuna storage upgrade --storage \S+/optuna\.db`$"
    with pytest.raises(RequestError, match=upgrade):
        search("hydra.sweeper.n_trials=2", database)


def test_a_pruned_trial_counts_has_no_value_and_is_not_the_worst(search, capsys):
    values = iter([0.5, "pruned", 0.7, None])
    states = [
        trial.state.name for trial in search("hydra.sweeper.n_trials=3", value=lambda *_: next(values)).study.trials
    ]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE"]
    trials = search("hydra.sweeper.n_trials=4", value=lambda *_: next(values)).study.get_trials()
    assert "3 of 4 trials are already done" in capsys.readouterr().out and trials[-1].value == 0.5


def test_a_search_of_one_trial_at_a_time_says_that_it_stacks_nothing(search, capsys):
    line = "each trial is trained alone; hydra.sweeper.n_jobs=8 stacks as many\n"
    search("hydra.sweeper.n_trials=1", "hydra/launcher=stacked")
    assert line in capsys.readouterr().out
    search("hydra.sweeper.n_trials=3", "hydra/launcher=stacked", "hydra.sweeper.n_jobs=2")
    search("hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=1")
    assert line not in capsys.readouterr().out


def test_a_job_knows_its_trial_only_where_it_may_be_pruned(search):
    assert "sweep.trial" not in search("hydra.sweeper.n_trials=1").asked[0]
    asked = search(
        "hydra.sweeper.n_trials=3", "sweep.prune=median", "seed=0,1", "hydra.sweeper.study_name=b", value=lambda *_: 1.0
    )
    assert [each["sweep.trial"] for each in asked.asked] == ["0", "0", "1", "1", "2", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "qmc", "grid"])
def test_samplers(search, sampler):
    words = ("hydra/sweeper/sampler=" + sampler, "hydra.sweeper.n_trials=20", "optimizer.lr=0.1,0.2,0.3")
    jobs = search(*words)
    drawn = {(each["optimizer.lr"], each["data.batch_size"]) for each in jobs.asked}
    if sampler == "grid":
        assert len(jobs.asked) == len(drawn) == 9 and jobs.plan.total == 9
    else:
        assert len(jobs.asked) == 20 and len(drawn) > 5


def test_cma_es_needs_its_package(search, monkeypatch):
    monkeypatch.setitem(sys.modules, "cmaes", None)
    line = r"hydra/sweeper/sampler=cmaes: needs the package cmaes, of the extra optuna: pip install -e \.\[optuna\]"
    with pytest.raises(RequestError, match=f"^{line}$"):
        search("hydra/sweeper/sampler=cmaes")


@pytest.fixture
def trial(composed, tmp_path, monkeypatch):
    """A trial of a study with the seeds 0 and 1, as its job of a seed sees it."""
    from litlab.sweeps import trial as module

    config = composed("sweep=optuna", "sweep.prune=median")
    with open_dict(config.hydra):
        config.hydra.sweep.dir = str(tmp_path)
        config.hydra.sweeper.pruners.median.n_startup_trials = 2
    monkeypatch.setattr(module, "HydraConfig", types.SimpleNamespace(get=lambda: config.hydra))
    study = optuna.create_study(
        study_name="litlab", storage=module.open_storage(f"{tmp_path}/optuna.log"), direction="maximize"
    )
    study.set_user_attr("seeds", ["0", "1"])

    def trial(number=None, seed=0):
        number = study.ask().number if number is None else number
        own = OmegaConf.create({"seed": seed, "sweep": {"trial": number, "prune": "median"}})
        return number, module.RunningTrial(own)

    trial.study = study
    return trial


def test_the_first_seed_is_pruned_by_the_median_and_the_others_follow(trial):
    for curve in ([0.2, 0.6], [0.4, 0.8]):
        number, running = trial()
        running.report(curve)
        assert not running.is_enough(curve)
        trial.study.tell(number, 0.9)
    number, first = trial()
    _, second = trial(number, seed=1)
    assert not first.is_enough([]) and not second.is_enough([])
    first.report([0.5])
    assert not first.is_enough([0.5]) and not second.is_enough([0.1])  # above the median, 0.3
    second.report([0.1, 0.1])
    first.report([0.5, None, 0.5])
    assert first.is_enough([0.5, None, 0.5]) == second.is_enough([0.1, 0.1])
    first.report([0.5, None, 0.5, 0.1])
    assert trial.study.get_trials()[number].intermediate_values == {1: 0.5, 3: 0.5, 4: 0.1}


def test_a_wrong_pruner_is_refused_in_one_line(search):
    with pytest.raises(
        RequestError, match=r"^hydra.sweeper.storage=/home/me/.profile: must be a file NAME.log, or the"
    ):
        search("hydra.sweeper.storage=/home/me/.profile")
    with pytest.raises(RequestError, match=r"^sweep.prune=mean: must be one of median, halving, hyperband$"):
        search("sweep.prune=mean")
    with pytest.raises(RequestError, match=r"^hydra.sweeper.pruners.halving: .*min_resource"):
        search("sweep.prune=halving", "hydra.sweeper.pruners.halving.min_resource=0")
    with pytest.raises(RequestError, match=r"^sweep.prune=median: a stack trains its jobs together, each to its end"):
        search("sweep.prune=median", "hydra/launcher=stacked")


@pytest.mark.parametrize(
    ("text", "number", "expected"),
    [
        ("choice(1,b,'c d',true)", 4, {"choices": (1, "b", "c d", True)}),
        ("16,32", 2, {"choices": (16, 32)}),
        ("range(1,9,2)", 4, {"low": 1, "high": 7, "step": 2, "log": False}),
        ("range(0.5,2,0.5)", 3, {"low": 0.5, "high": 1.5, "step": 0.5, "log": False}),
        ("int(interval(1,8))", 8, {"low": 1, "high": 8, "step": 1, "log": False}),
        ("tag(log,int(interval(1,8)))", 8, {"low": 1, "high": 8, "step": 1, "log": True}),
        ("interval(0.1,1)", math.inf, {"low": 0.1, "high": 1.0, "step": None, "log": False}),
        ("tag(log,interval(0.1,1))", math.inf, {"low": 0.1, "high": 1.0, "step": None, "log": True}),
    ],
)
def test_what_a_range_means_to_optuna(text, number, expected):
    module = importlib.import_module("litlab.sweeps.distributions")
    (override,) = OverridesParser.create().parse_overrides([f"x={text}"])
    found = module.distribution(override)
    assert module.combinations([found, found]) == number**2
    assert {key: getattr(found, key) for key in expected} == expected
    kind = "Categorical" if "choices" in expected else "Int" if isinstance(expected["low"], int) else "Float"
    assert type(found).__name__ == f"{kind}Distribution"


WORDS = ("sweep=optuna", "model=mlp", "trainer.max_epochs=1", "threads=1")


def scores(folder):
    """By learning rate and batch size, what each result.json holds; None for a job that did not complete."""
    found = {}
    for file in sorted(folder.glob("*/result.json")):
        result = json.loads(file.read_text())
        settings = result["settings"]
        found[settings["optimizer"]["lr"], settings["data"]["batch_size"]] = result.get("monitor", {}).get("best")
    return found


def values(folder):
    """By learning rate and batch size, what the study holds."""
    trials = study_of(folder).get_trials()
    return {
        (each.params["optimizer.lr"], each.params["data.batch_size"]): each.value
        for each in trials
        if each.state == COMPLETE
    }


@pytest.mark.slow
def test_a_search_that_is_killed_is_resumed_to_its_number_of_trials(tmp_path):
    words = (*WORDS, "hydra.sweeper.n_trials=6")
    killed = Sweep(tmp_path, *words)
    killed.wait_for(lambda: sum(result["status"] == "completed" for result in killed.results) >= 2)
    killed.kill()
    resumed = Sweep(tmp_path, *words, f"sweep.resume={killed.folder}").end()
    assert resumed.process.returncode == 0, resumed.text
    states = [trial.state for trial in study_of(resumed.folder).get_trials()]
    assert states.count(COMPLETE) == 6 and RUNNING not in states
    finished = {key: score for key, score in scores(resumed.folder).items() if score is not None}
    assert len(finished) == len(resumed.summary) == 6 and values(resumed.folder) == finished
    assert "Optuna" not in resumed.text and "Warning" not in resumed.text


@pytest.mark.slow
def test_a_trial_that_diverges_does_not_end_the_study(tmp_path):
    """In joblib's workers, each of which has the next trial when it is free."""
    ranges = ("optimizer.lr=choice(0.02,1e30)", "data.batch_size=choice(32,64,96,128)", "hydra.sweeper.sampler.seed=2")
    workers = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_trials=4")
    done = Sweep(tmp_path, *WORDS, *ranges, *workers).end()
    assert done.process.returncode == 1
    assert "jobs failed" in done.text.splitlines()[-1] and "Traceback" not in done.text
    folder = done.folder
    known, found = scores(folder), values(folder)
    assert all(trial.state == COMPLETE for trial in study_of(folder).get_trials())
    assert len(study_of(folder).get_trials()) == 4 and {lr for lr, _ in found} == {0.02, 1e30}
    for (lr, batch_size), value in found.items():
        assert math.isfinite(value)
        assert known[lr, batch_size] == (value if lr == 0.02 else None)
    assert study_of(folder).best_params["optimizer.lr"] == 0.02


@pytest.mark.slow
def test_a_search_that_prunes_in_two_processes(tmp_path):
    """The first seed is pruned, the second follows; models have settings of their own; the study opens from outside."""
    ranges = ("model=mlp,linear", "model.hidden_sizes=[8]", "optimizer.lr=choice(0.1,0.00001)", "data.batch_size=256")
    prunes = ("sweep.prune=median", "hydra.sweeper.pruners.median.n_startup_trials=1", "hydra.sweeper.n_trials=4")
    words = ("sweep=optuna", "threads=1", "trainer.max_epochs=2", "hydra/sweeper/sampler=grid", "seed=0,1", *ranges)
    workers = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_jobs=1")
    done = Sweep(tmp_path, *words, *prunes, *workers).end()
    assert done.process.returncode == 0 and len(done.results) == 8, done.text
    trials = study_of(done.folder).get_trials()
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert len(trials) == 4 and {trial.state for trial in trials} == {COMPLETE, optuna.trial.TrialState.PRUNED}
    assert {trial.params["optimizer.lr"] for trial in pruned} <= {0.1, 1e-5}
    by_trial = {(each["choices"]["model"], each["settings"]["optimizer"]["lr"]): [] for each in done.results}
    for each in done.results:
        by_trial[each["choices"]["model"], each["settings"]["optimizer"]["lr"]].append(each)
    for trial in trials:
        first, second = by_trial[trial.params["model"], trial.params["optimizer.lr"]]
        if trial in pruned:
            assert first["status"] == "pruned" and first["error"] == "after epoch 1"
            assert second["status"] in ("pruned", "completed")  # it may have been ahead, in the other process
            assert trial.value == trial.intermediate_values[1] == first["metrics"]["val/accuracy"]
            assert "test/accuracy" not in first["metrics"]
        else:
            assert first["status"] == second["status"] == "completed" and len(trial.intermediate_values) == 2
    unranked = [row["status"].partition(":")[0] for row in done.summary if row["rank"] == ""]
    assert len(unranked) == len(pruned) and set(unranked) <= {"pruned", "1 of 2 completed"}
