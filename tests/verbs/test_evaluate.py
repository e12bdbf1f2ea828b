"""A finished run that is measured again: its own metrics to the bit, other splits, other data, and what is refused."""

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from asking import evaluate

from litlab.errors import RequestError
from litlab.runs.report import print_evaluation
from litlab.verbs import evaluate as evaluation

pytestmark = pytest.mark.slow  # trains often: seconds, together


def rows_of(folder):
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    words = ("data=digits", "model=linear", "trainer.max_epochs=1", "logger=none", "~callbacks.pictures")
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, root / "scripts/train.py", *words, f"paths.log_dir={folder}"]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("train/runs/*"))


@pytest.mark.parametrize(
    ("words", "pictures"),
    [
        ("data=digits model=mlp evaluate_train=true trainer.max_epochs=2", {"confusion_matrix", "mistakes"}),
        ("experiment=sine_polynomial data.passes_per_epoch=20", {"fit", "predicted_vs_actual", "residuals"}),
        ("data=breast_cancer model=mlp evaluate_train=true task.class_weights=balanced", {"confusion_matrix"}),
        (
            "data=exam_scores model=linear data.test_on_train=false data.test_size=3",
            {"predicted_vs_actual", "residuals"},
        ),
    ],
)
def test_each_split_has_the_metrics_of_the_run_to_the_bit(run, read_result, words, pictures):
    directory = run(*words.split())
    result = read_result(directory)
    measured = {}
    for split in ("test", "val", "train"):
        if f"{split}/loss" not in result["metrics"] or (
            split == "train" and "train/eval_loss" not in result["metrics"]
        ):
            continue
        content, folder = evaluate([f"run={directory}", f"split={split}"])
        measured |= content["metrics"]
        assert content == json.loads((folder / "evaluation.json").read_text())
        assert content["changed"] == {} and content["split"] == split
        assert {file.stem for file in folder.glob("*.png")} == pictures
        assert len(rows_of(folder)) == content["samples"]
    assert measured == {name: value for name, value in result["metrics"].items() if name != "train/loss"}


def test_what_is_written(run, read_result, capsys):
    """Numbered folders, never the same; predictions that give the metrics again."""
    directory = run("data=digits", "model=mlp")
    first, folder = evaluate([f"run={directory}"])
    _, again = evaluate([f"run={directory}", "data.eval_batch_size=100", "split=val"])
    assert [folder.name, again.name] == ["1_split=test", "2_split=val,eval_batch_size=100"]
    checkpoint = directory / "checkpoints" / first["checkpoint"]
    assert first["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert first["environment"]["device"] == "cpu" and "commit" in first["git"]

    rows = rows_of(folder)
    assert [row["index"] for row in rows] == [str(number) for number in range(360)]
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert np.float32(right) == np.float32(first["metrics"]["test/accuracy"])
    for row in rows[:20]:
        assert row["probability"] == row[f"probability of {row['predicted']}"]
        assert sum(float(row[f"probability of {digit}"]) for digit in range(10)) == pytest.approx(1, abs=1e-5)

    print_evaluation(first, folder)
    said = capsys.readouterr().out
    assert said.count("(as in the run)") == len(first["metrics"]) and "1_split=test" in said


def test_numbers_are_in_the_targets_unit(run):
    directory = run("data=exam_scores", "model=linear", "data.test_on_train=false", "data.test_size=3")
    content, folder = evaluate([f"run={directory}"])
    index, target, predicted, residual = next(csv.reader((folder / "predictions.csv").open(encoding="utf-8")))
    assert (index, predicted, residual) == ("index", f"predicted {target}", f"residual {target}")
    rows = rows_of(folder)
    errors = [float(row[predicted]) - float(row[target]) for row in rows]
    assert errors == pytest.approx([float(row[residual]) for row in rows], abs=1e-4)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(content["metrics"]["test/rmse"], rel=1e-5)


def test_what_differs_is_said(one_run, tmp_path, capsys):
    directory = shutil.copytree(one_run, tmp_path / "copy")
    words = [f"run={directory}", "data.eval_batch_size=7", "data.split_seed=3", "trainer=cpu"]
    content, folder = evaluate(words)
    assert content["changed"] == {
        "data.eval_batch_size": {"run": 1024, "evaluation": 7},
        "data.split_seed": {"run": 0, "evaluation": 3},
        "trainer.accelerator": {"run": "auto", "evaluation": "cpu"},
    }
    assert content["remarks"] == ["data.split_seed: differs, so the run may have been trained on some of these samples"]
    print_evaluation(content, folder)
    said = capsys.readouterr().out
    assert "data.split_seed=3, in the run 0" in said and "warning: data.split_seed: differs" in said


def test_other_data_are_normalized_as_the_runs(run, small_fashion, tmp_path, monkeypatch):
    """MNIST for a run of Fashion-MNIST; here the files are the same, and so are the metrics."""
    from litlab.data.reading import idx

    small_fashion.write(tmp_path / "FashionMNIST" / "raw")
    shutil.copytree(tmp_path / "FashionMNIST", tmp_path / "elsewhere" / "MNIST")
    monkeypatch.setitem(idx.SOURCES, "MNIST", idx.Source("MNIST", idx.SOURCES["FashionMNIST"].md5))
    directory = run("data=fashion", "model=mlp", "data.val_size=8", f"paths.data_dir={tmp_path}")
    words = [f"run={directory}", "data=mnist", f"paths.data_dir={tmp_path / 'elsewhere'}", "data.val_size=16"]
    content, folder = evaluate(words)
    assert content["metrics"] == content["metrics_of_run"]
    assert list(content["changed"]) == ["data._target_"]
    assert "classes have other names" in content["remarks"][0]
    row = rows_of(folder)[0]
    assert row["label"].isdecimal() and not row["predicted"].isdecimal()


def test_names_are_disarmed(run, monkeypatch):
    from litlab.data.digits import Digits

    names = ("=cmd()", "\x1b[31mred", "a,b", *"3456789")
    monkeypatch.setattr(Digits, "class_names", names)
    _, folder = evaluate([f"run={run('data=digits', 'model=mlp')}"])
    text = (folder / "predictions.csv").read_text(encoding="utf-8")
    assert "\x1b" not in text and ",=" not in text and '"a,b"' in text
    assert {row["label"] for row in rows_of(folder)} == {"'=cmd()", r"\x1b[31mred", "a,b", *"3456789"}


def test_a_failed_evaluation_leaves_nothing(run, monkeypatch):
    directory = run("data=digits", "model=mlp")
    monkeypatch.setattr(evaluation, "test", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate([f"run={directory}"])
    assert list((directory / "evaluations").iterdir()) == []


# ---- which run


@pytest.mark.slow
def test_the_last_run_and_the_winner_of_a_sweep(command, tmp_path):
    small = ("data=digits", "model=linear", "trainer.max_epochs=1", "logger=none", "~callbacks.pictures")
    assert command(*small)[0] == 0
    logs = f"paths.log_dir={tmp_path / 'logs'}"
    single = next((tmp_path / "logs/train/runs").iterdir())
    content, folder = evaluate(["run=last", logs])
    assert folder.parents[1] == single and folder.name == "1_split=test"
    assert content["metrics"] == content["metrics_of_run"]
    # as the README has it
    content, folder = evaluate(["run=last", logs, "split=val", "data.eval_batch_size=256", "trainer=cpu"])
    assert folder.name == "2_split=val,eval_batch_size=256,trainer=cpu"

    assert command("-m", *small, "optimizer.lr=0.00001,0.1")[0] == 0
    sweep = next((tmp_path / "logs/train/multiruns").iterdir())
    assert "lr=0.1" in evaluate([f"run={sweep}"])[1].parents[1].name
    with pytest.raises(RequestError, match=r"^run=last: there is no run in .*nowhere"):
        evaluate(["run=last", f"paths.log_dir={tmp_path / 'nowhere'}"])


# ---- what is refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("split=tset", r"^split=tset: there is no such split \(did you mean test\?\); choose from train, val, test$"),
        ("split=val data.val_size=0", r"^split=val: there is no validation split \(data\.val_size=0\); choose"),
        ("data=breast_cancer", r"^data=BreastCancer: has input_shape \(30,\), and the run was trained on \(1, 8, 8\)"),
        ("data.batchsize=3", r"data\.batchsize"),
        ("data.batch_size=abc", r"^data\.batch_size=abc: must be a whole number"),
        ("data.normalize=false", r"^data\.normalize=false: the inputs are normalized as in training"),
        ("trainer.devices=2", r"^trainer\.devices=2: an evaluation runs on one device; leave it out$"),
        ("optimizer.lr=1", r"^optimizer\.lr=1: an evaluation takes single values of data, trainer, threads"),
        ("data.batch_size=1,2", r"^data\.batch_size=1,2: an evaluation takes single values"),
        ("+data.extra._target_=os.system", r"^data\.extra\._target_=os\.system: is not a class of litlab"),
    ],
)
def test_wrong_words_are_refused_in_one_line(one_run, words, message):
    with pytest.raises(RequestError, match=message) as error:
        evaluate([f"run={one_run}", *words.split()])
    assert "\n" not in str(error.value)
    assert not list(one_run.glob("evaluations/*"))


def test_wrong_runs_are_refused(one_run, run, tmp_path):
    def refused(*words):
        with pytest.raises(RequestError) as error:
            evaluate(words)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert refused("split=val").startswith("run=: name the directory of a run")
    assert refused("run=nowhere").startswith("run=nowhere: there is no such directory")
    assert refused(f"run={tmp_path}").startswith(f"run={tmp_path}: is no run's directory, it has no result.json")
    failed = tmp_path / "failed"
    failed.mkdir()
    result = json.loads((one_run / "result.json").read_text()) | {"status": "failed", "error": "the loss is nan\x1b"}
    (failed / "result.json").write_text(json.dumps(result))
    assert refused(f"run={failed}") == (
        rf"run={failed}: has no checkpoint, and its status is failed (the loss is nan\x1b); name another run"
    )


@pytest.mark.slow
def test_the_script_exits_as_the_others_do(root, tmp_path):
    def script(*words):
        command = [sys.executable, root / "scripts/evaluate.py", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    done = script("run=nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: run=nowhere: there is no such directory") and done.stderr.count("\n") == 1
    assert "run=last split=val" in script("--help").stdout
