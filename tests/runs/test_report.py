"""What a run tells on the terminal."""

import math
from pathlib import Path

from sweep_results import job

from litlab.runs.number_format import metric_text
from litlab.runs.report import _cell, print_description, print_result
from litlab.runs.result import Result

LR = "optimizer.lr"


def lines(capsys):
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip(" ─")]


def test_the_table_shows_train_and_test_metrics(capsys):
    result = Result.from_dict(job(parameters=1, seconds_training=1.0, samples_per_second=None))
    result.weights = {"coefficients": [-0.0932732, 0.0]}
    result.metrics = {"train/loss": 0.2073, "val/loss": 0.3, "test/loss": 4.67e-06, "test/auroc": math.nan}
    print_result(result, Path("logs/run"), Path("logs"))
    said = lines(capsys)
    assert "model.coefficients -0.0932732, 0" in said
    assert [line for line in said if "/" in line.removeprefix("best ").split()[0]] == [
        "train/loss 0.2073 (mean over the last epoch's steps)",
        "best val/accuracy 0.9000 (epoch 3, tested below)",
        "test/loss 4.67e-06",
        "test/auroc -",
    ]
    result.update(test_split="train", metrics={"train/loss": 0.2, "test/r2": 0.9974})
    print_result(result, Path("logs/run"), Path("logs"))
    assert "test/r2 0.9974 (on the training split)" in lines(capsys)
    result.metrics = {"train/loss": 0.2073, "train/eval_loss": 0.19}  # with evaluate_train=true
    print_result(result, Path("logs/run"), Path("logs"))
    said = lines(capsys)
    assert "train/loss 0.2073 (mean over the last epoch's steps)" in said and "train/eval_loss 0.1900" in said
    assert "best val/accuracy 0.9000 (epoch 3)" in said, "there are none below"


def test_numbers_have_the_digits_that_tell_something_and_no_name_is_cut(capsys, monkeypatch):
    for value, metric, cell in [
        (0.0, "0.0000", "0"),
        (0.89264, "0.8926", "0.8926"),
        (0.00012341, "0.000123", "0.0001234"),
        (999.98765, "999.9877", "1000"),
        (1234.5, "1234.500", "1,234"),
        (283177.61, "283177.6", "283,178"),
        (9_999_998.7, "9999999", "9,999,999"),
        (852_993_792.0, "8.53e+08", "852,993,792"),
        (math.inf, "inf", "inf"),
        (1e9, "1e+09", "1e+09"),
        (60913373675520.0, "6.091e+13", "6.091e+13"),
        (-1.25e18, "-1.25e+18", "-1.25e+18"),
        (math.nan, "-", "nan"),
    ]:
        assert (metric_text(value), _cell(value)) == (metric, cell)
    monkeypatch.setenv("COLUMNS", "40")
    name = "a column of a rather long name, weight [kg], which goes on and on"
    numbers = {"min": -1e18, "mean": 1.5e17, "max": 123456789012.0, "std": 1e18, "skewness": -0.25, "not finite": 0}
    told = {
        "question": "Which [kg]?",
        "shapes": ["sample: 2 [kg]"],
        "head": [{**{f"x{number}": number for number in range(30)}, "y [kg]": "last"}],
        "splits": [],
        "classes": [],
        "columns": [{"name": name, **numbers}],
        "remarks": [],
    }
    print_description(Result(found=told), Path("logs/run"), Path("logs"))
    assert lines(capsys) == [
        "Which [kg]?",
        "sample: 2 [kg]",
        "first rows",
        f"{' '.join(f'x{number}' for number in range(10))} ... y [kg]",
        f"{' '.join(map(str, range(10)))} ... last",
        "columns (training split)",
        "name min mean max std skewness not finite",
        f"{name} -1e+18 1.5e+17 1.235e+11 1e+18 -0.25 0",
        "pictures: logs/run/plots",
    ]
