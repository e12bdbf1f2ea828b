"""From the values on the command line to the jobs: combinations, pairs, conditions, a choice's own values, draws."""

import math

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from litlab.config.arguments import arguments
from litlab.errors import RequestError
from litlab.sweeps.space import Space

LR_AND_BATCH = ("optimizer.lr=0.1,0.2", "data.batch_size=32,64")


def space(*words, **options):
    parsed = OverridesParser.create().parse_overrides(list(words))
    return Space(parsed, OmegaConf.create(options), {"model": "mlp", "data": "fashion"})


def jobs(*words, **options):
    return [" ".join(word.partition("=")[2] for word in job) for job in space(*words, **options).jobs()]


def test_a_grid_has_all_combinations_and_what_is_given_last_counts():
    grid = space("data=digits", *LR_AND_BATCH, "optimizer.lr=0.5", "+seed=0,1")
    assert grid.swept == ["data.batch_size", "seed"]
    assert grid.jobs()[1] == ["data=digits", "optimizer.lr=0.5", "data.batch_size=32", "+seed=1"]
    assert len(grid.jobs()) == 4


def test_paired_values_go_together():
    assert jobs(*LR_AND_BATCH, "seed=0,1", pairs=["optimizer.lr", "data.batch_size"]) == [
        "0.1 32 0", "0.1 32 1", "0.2 64 0", "0.2 64 1",
    ]  # fmt: skip
    two = space(*LR_AND_BATCH, "a=1,2", "b=3,4", pairs=[["optimizer.lr", "data.batch_size"], ["a", "b"]])
    assert len(two.jobs()) == 4 and two.swept == ["optimizer.lr", "data.batch_size", "a", "b"]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("optimizer.lr > 0.1 and data.batch_size < 64", ["0.1 32", "0.1 64", "0.2 64"]),
        ("not (optimizer.lr == 0.1 or data.batch_size in [64, 128])", ["0.1 32", "0.1 64", "0.2 64"]),
        (["optimizer.lr == 0.1", "data.batch_size != 32"], ["0.2 32"]),
        ("0.1 < optimizer.lr <= 0.2", ["0.1 32", "0.1 64"]),
        ("optimizer.lr > -1 and data.batch_size not in (32, 64)", ["0.1 32", "0.1 64", "0.2 32", "0.2 64"]),
    ],
)
def test_what_is_excluded_is_no_job(exclude, left):
    assert jobs(*LR_AND_BATCH, exclude=exclude) == left


def test_a_choice_has_values_of_its_own():
    when = {"model": {"cnn": {"optimizer.lr": "0.01,0.03", "model.channels": "[16],[32]"}, "mlp": {"optimizer.lr": 1}}}
    words = ("model=mlp,cnn,linear", "optimizer.lr=0.1,0.2")
    assert jobs(*words, when=when) == [
        "mlp 1", "cnn 0.01 [16]", "cnn 0.01 [32]", "cnn 0.03 [16]", "cnn 0.03 [32]", "linear 0.1", "linear 0.2",
    ]  # fmt: skip
    assert space(*words, when=when).swept == ["model", "optimizer.lr", "model.channels"]
    assert jobs("seed=0,1", when={"model": {"mlp": {"lr": "1,2"}}}) == ["0 1", "0 2", "1 1", "1 2"]  # chosen by default
    # A comparison with a setting that a job lacks is false.
    assert "mlp 1" in jobs(*words, when=when, exclude="model.channels == 3 or model == cnn")


@pytest.mark.parametrize("draw", ["random", "halton"])
def test_draws_lie_in_their_ranges_and_are_the_same_again(draw):
    words = ("optimizer.lr=tag(log, interval(0.001, 1.0))", "x=interval(-1, 1)", "n=int(interval(1, 3))", "m=a,b")
    drawn = [dict(word.split("=") for word in job) for job in space(*words, draw=draw, jobs=64).jobs()]
    assert len(drawn) == 64
    rates = [math.log10(float(job["optimizer.lr"])) for job in drawn]
    assert all(-3 <= rate <= 0 for rate in rates) and abs(sum(rates) / 64 + 1.5) < 0.3  # even over the logarithm
    assert all(-1 <= float(job["x"]) <= 1 for job in drawn)
    assert {job["n"] for job in drawn} == {"1", "2", "3"} and {job["m"] for job in drawn} == {"a", "b"}
    assert all(len(job["optimizer.lr"].lstrip("0.")) <= 4 for job in drawn)  # significant digits
    assert jobs(*words, draw=draw, jobs=64) == jobs(*words, draw=draw, jobs=64)
    assert jobs(*words, draw=draw, jobs=64) != jobs(*words, draw=draw, jobs=64, draw_seed=1)
    assert jobs(*words, draw=draw, jobs=64)[:8] == jobs(*words, draw=draw, jobs=8)  # more jobs go on with the same
    more = jobs("sweep.resume=folder", *words, "data=digits", draw=draw, jobs=8)  # so do those of a resumed sweep
    assert more == [f"folder {job} digits" for job in jobs(*words, draw=draw, jobs=8)]


def test_draws_keep_pairs_conditions_and_seeds():
    drawn = jobs(*LR_AND_BATCH, "seed=0,1,2", draw="random", jobs=9, pairs=["optimizer.lr", "data.batch_size"])
    assert sorted(drawn) == [
        f"{pair} {seed}" for pair in ("0.1 32", "0.2 64") for seed in (0, 1, 2)
    ]  # there are no more
    drawn = jobs("x=interval(0, 1)", draw="random", jobs=20, exclude="x > 0.1")
    assert len(drawn) == 20 and max(map(float, drawn)) <= 0.1
    own = jobs("model=mlp,cnn", draw="halton", jobs=8, when={"model": {"cnn": {"lr": "interval(0, 1)"}}})
    assert "mlp" in own and len(own) == 8 and all(job == "mlp" or 0 <= float(job.split()[1]) <= 1 for job in own)


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (LR_AND_BATCH, {"exclude": "optimzer.lr > 1"}, "is not a setting of this sweep (did you mean optimizer.lr?)"),
        (LR_AND_BATCH, {"exclude": "optimizer.lr >"}, "sweep.exclude='optimizer.lr >': cannot be parsed; write"),
        (LR_AND_BATCH, {"exclude": "optimizer.lr"}, "compares nothing"),
        (LR_AND_BATCH, {"exclude": "exit() == 1"}, "'exit()' is not a comparison, a setting or a value"),
        (LR_AND_BATCH, {"exclude": "optimizer.lr > mlp"}, "cannot be compared"),
        (LR_AND_BATCH, {"exclude": "optimizer.lr > 0"}, "sweep.exclude=optimizer.lr > 0: leaves no job"),
        ((*LR_AND_BATCH, "seed=0"), {"pairs": ["optimizer.lr", "seed"]}, "optimizer.lr has 2, seed has 1"),
        (LR_AND_BATCH, {"pairs": ["optimizer.lr", "model"]}, "model has no list of values"),
        (LR_AND_BATCH, {"pairs": "model"}, "sweep.pairs=model: must be a list of settings, as in [optimizer.lr"),
        (LR_AND_BATCH, {"when": "model"}, "sweep.when=model: must name choices and their values"),
        (LR_AND_BATCH, {"when": {"model": "cnn"}}, "must name choices and their values"),
        (LR_AND_BATCH, {"draw": "random"}, "sweep.jobs=None: must be a whole number from 1"),
        (("x=interval(1, 0)",), {"draw": "random", "jobs": 2}, "must run from a smaller to a larger number"),
        (("x=tag(log, interval(0, 1))",), {"draw": "random", "jobs": 2}, "a logarithm needs positive numbers"),
        (("x=interval(0, 1)",), {}, "x: a grid needs values, as in x=1,2,3; or take sweep=random"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line(words, options, message):
    with pytest.raises((RequestError, HydraException)) as caught:
        jobs(*words, **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_condition_needs_no_quotes_of_hydras():
    typed = arguments(["-m", "sweep.exclude=optimizer.lr > 0.1 and data.batch_size < 64"])[-1]
    assert OverridesParser.create().parse_override(typed).value() == "optimizer.lr > 0.1 and data.batch_size < 64"
