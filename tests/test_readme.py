"""What the README says is true: its commands run, its code works as printed, its files exist."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
FILES = dict(re.findall(r"^`((?:src|conf)/\S+)`:\n\n```\w+\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL))
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines() if line]
TRAININGS = [command for command in COMMANDS if command.startswith("python scripts/train.py ")]
ELSEWHERE = {  # commands that other tests and .ci/run run
    "make train": "tests/test_makefile.py and .ci/run",
    "make test": "tests/test_makefile.py and .ci/run",
    ". .venv/bin/activate": "nothing to test",
    "make dashboard": "tests/test_makefile.py; tests/callbacks/test_dashboard.py reads the event files",
    "python scripts/train.py --help": "tests/test_cli.py",
    "make new NAME=mymodel": "tests/verbs/test_new.py",
    "make new KIND=data NAME=mydata": "tests/verbs/test_new.py",
    "python scripts/train.py --config-dir my_conf data=digits model=mine trust=[mypackage]": (
        "tests/test_own_package.py"
    ),
    "python scripts/evaluate.py --config-dir my_conf run=last trust=[mypackage]": "tests/test_own_package.py",
    "python scripts/train.py --config-dir my_conf --help": "tests/test_own_package.py",
    "python scripts/train.py resume=last": "tests/verbs/test_resume.py",
    "python scripts/train.py resume=last trainer.max_epochs=12 resume_changes=true": "tests/verbs/test_resume.py",
    "python scripts/describe.py data=fashion": "tests/verbs/test_describe.py",
    "python scripts/describe.py data=fashion model=cnn": "tests/verbs/test_layers.py",
    "python scripts/compare.py logs/train/runs/*": "tests/verbs/test_compare.py",
    "python scripts/describe.py data=image_folder data.root=photos": "tests/verbs/test_describe.py",
    "python scripts/evaluate.py run=last": "tests/verbs/test_evaluate.py",
    "python scripts/evaluate.py run=last split=val data.eval_batch_size=256 trainer=cpu": (
        "tests/verbs/test_evaluate.py"
    ),
    "python scripts/predict.py run=last input=shoe.png": "tests/verbs/test_predict.py",
    "python scripts/predict.py run=last input=shoes topk=5 output=shoes.csv": "tests/verbs/test_predict.py",
    "python scripts/predict.py run=last input=houses.csv output=prices.parquet": "tests/verbs/test_predict.py",
    "python scripts/benchmark.py --sweep digits,tiny --threads 2": "tests/benchmark/test_sweep.py",
    "python scripts/benchmark.py --sweep batch64,batch256 --launchers basic,stacked --threads 2": (
        "tests/benchmark/test_sweep.py"
    ),
    "python scripts/benchmark.py --sweep members": "tests/benchmark/test_sweep.py",
    "python scripts/export.py run=last": "tests/verbs/test_export.py",
    "python scripts/export.py run=last to=served formats=onnx paths.data_dir=data": "tests/verbs/test_export.py",
    "python scripts/train.py data=digits model=mlp trainer=ddp trainer.accelerator=cpu trainer.devices=2 threads=1": (
        "tests/test_ddp.py"
    ),
    **{line: "tests/test_own_table.py" for line in COMMANDS if "data=table" in line},
}


def test_the_readme_opens_with_the_two_commands():
    assert BLOCKS[0] == ("sh", "make train\nmake test\n")


def test_no_command_is_left_out():
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    benchmark = "python scripts/benchmark.py --models usual,tiny --rounds 5 --compile"
    shortened = {benchmark: "scripts/benchmark.py --rounds 1 --compile"}
    assert set(COMMANDS) - set(TRAININGS) - set(shortened) <= set(ELSEWHERE)
    assert all(line in ci for line in shortened.values())
    sweeps = [command.removeprefix("python scripts/train.py ") for command in TRAININGS if " -m " in command]
    assert [each for each in sweeps if f"sweep {each}\n" not in ci] == []
    assert len(TRAININGS) >= 4
    assert all((ROOT / name).exists() for name in re.findall(r"tests/[\w/.]*\w", ci)), "what .ci/run runs is there"


@pytest.mark.parametrize(
    "command", [command for command in TRAININGS if " -m " not in command and command not in ELSEWHERE]
)
def test_a_training_runs_as_printed(command, compose, small_fashion, own_files, tmp_path, monkeypatch):
    """On a small copy of the data set, or on such files of one's own, and for one epoch."""
    from litlab.data.reading import idx
    from litlab.verbs.train import train

    small_fashion.write(tmp_path / "FashionMNIST" / "raw")
    small_fashion.write(tmp_path / "MNIST" / "raw")
    monkeypatch.setitem(idx.SOURCES, "MNIST", idx.Source("MNIST", idx.SOURCES["FashionMNIST"].md5))
    overrides = [word for word in shlex.split(command)[2:] if not word.startswith(("trainer.max_epochs", "-m"))]
    own = re.search(r"data=(image_folder|arrays|text|table)", command)
    if own:
        monkeypatch.chdir(own_files[None])
        overrides += [word for word in own_files[own[1]] if word.startswith("task=")]  # which `compose` does not infer
    small = (
        []
        if own or "data=digits" in overrides or any("experiment" in word for word in overrides)
        else ["data.val_size=8"]
    )
    config = compose(*overrides, *small, f"paths.data_dir={tmp_path}", "trainer.max_epochs=1")
    result = train(config)
    assert result.epochs == 1
    assert 0 <= result.metrics["test/accuracy"] <= 1


@pytest.mark.slow
def test_the_notebook_runs_as_printed(tmp_path, monkeypatch):
    import numpy

    monkeypatch.chdir(tmp_path)
    (cells,) = (block for language, block in BLOCKS if language == "python" and "from litlab import" in block)
    names = {"images": numpy.zeros((5, 8, 8), "uint8")}
    exec(cells, names)
    assert names["run"].predict(names["images"]).shape == (5, 10)


def paste(folder):
    """The files that the README adds, as a reader would."""
    assert [Path(name).name for name in FILES] == ["xor.py", "xor.yaml", "maxout.py", "maxout.yaml"]
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_what_the_readme_adds_passes_make_lint_and_the_tests_of_conf(tmp_path):
    """In a copy of the tree; not all of the tests: those that read conf/."""
    for name in ("conf", "scripts", "src", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    paste(tmp_path)
    python = Path(sys.executable)
    added = [name for name in FILES if name.endswith(".py")]

    def run(tool, *words):
        done = subprocess.run(
            [python.with_name(tool), *words],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "src")}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("ruff", "check", *added)
    run("ruff", "format", "--check", *added)
    run("mypy", *added)
    run("lint-imports", "--no-cache")
    text = run(python.name, "scripts/train.py", "--help")
    assert re.search(r"^  xor +The exclusive or: 1,000 points in a square\.$", text, flags=re.MULTILINE)
    assert re.search(r"^  maxout +The largest of several linear maps\.$", text, flags=re.MULTILINE)
    tests = ["tests/test_conf.py", "tests/config/test_hydra_errors.py", "tests/test_cli.py"]
    chosen = "xor or maxout or every_yaml or meant or help or null or mpl"
    told = run(python.name, "-m", "pytest", "-n", "0", "-q", "-k", chosen, *tests)
    assert " passed" in told and str(tmp_path) in run(python.name, "-c", "import litlab; print(litlab.__file__)")


@pytest.mark.slow
def test_the_code_of_the_readme_is_a_data_set_and_a_model(compose, tmp_path, monkeypatch):
    """The promise: one class and one YAML for a data set, one file and one YAML for a model; nothing else."""
    from litlab import data, models
    from litlab.verbs.train import train

    paste(tmp_path)
    for package in (data, models):
        folder = tmp_path / "src" / "litlab" / package.__name__.split(".")[-1]
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    search = f"hydra.searchpath=[file://{tmp_path / 'conf'}]"
    xor = train(compose(search, "data=xor", "model=mlp", "trainer.max_epochs=20"))
    maxout = train(compose(search, "data=digits", "model=maxout", "trainer.max_epochs=10"))
    assert xor.metrics["test/accuracy"] > 0.9
    assert maxout.parameters == 3 * (64 * 10 + 10)
    assert maxout.metrics["test/accuracy"] > 0.9


def test_the_tree_of_the_readme_is_the_tree():
    house = next(block for language, block in BLOCKS if not language)
    for name in re.findall(r"[\w/]+(?:\.py|/)", house):
        places = [ROOT / name, ROOT / "src/litlab" / name, ROOT / "scripts" / name]
        assert any(place.exists() for place in places), name
