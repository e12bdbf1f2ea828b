"""A stranger's CSV, from the README's commands to predictions for new rows."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from asking import evaluate

import litlab
from litlab.data.table import Table

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for line in README.splitlines() if line.startswith("python ") and "data=table" in line]


def write_houses(path, count=600):
    random = np.random.default_rng(0)
    area, rooms = random.gamma(6, 20, count).round(1), random.integers(1, 8, count)
    city = random.choice(["Paris", "Lyon", "Nice"], count)
    price = area * 3 + rooms * 20 + 300 * (city == "Paris") + random.normal(0, 20, count)
    frame = pl.DataFrame(
        {
            "id": range(count),
            "area": [None if n % 11 == 3 else value for n, value in enumerate(area)],
            "rooms": rooms,
            "city": city,
            "street": [f"street {n % 57}" for n in range(count)],
            "zip": [10_000 + n % 30 for n in range(count)],
            "price": price.round(1),
        }
    )
    frame.write_csv(path, null_value="NA")
    return frame


def run(command, folder):
    words = [sys.executable, str(ROOT / shlex.split(command)[1]), *shlex.split(command)[2:], "paths.log_dir=logs"]
    words += ["threads=1", "logger=none"] if "train.py" in command else []
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_commands_of_the_readme(tmp_path, monkeypatch):
    frame = write_houses(tmp_path / "houses.csv")
    described, trained, _ = (run(command, tmp_path) for command in COMMANDS)
    assert "train it: " + COMMANDS[1] in described and "identifier: it counts the rows" in described
    (line,) = re.findall(r"^data: (.*)", trained, flags=re.MULTILINE)
    assert line.startswith("price as regression (") and "left out: id" in line
    first, second = sorted((tmp_path / "logs/train/runs").iterdir())
    result = json.loads((first / "result.json").read_text())
    assert result["choices"]["task"] == "regression" and result["metrics"]["test/r2"] > 0.9
    assert {each["name"]: each["kind"] for each in result["columns"]}["street"] == "category"
    assert json.loads((second / "result.json").read_text())["settings"]["data"]["columns"] == {"rooms": "number"}

    run_ = litlab.load_run(first)
    data = Table(file=str(tmp_path / "houses.csv"), target="price", val_size=0.1, test_size=0.2)
    data.keep_frames = True
    data.setup()
    test = data.frames["test"]
    predicted = run_.predict(test)
    error = float((predicted[:, 0] - torch.tensor(test["price"].to_list())).square().mean().sqrt())
    assert error == pytest.approx(result["metrics"]["test/rmse"], rel=1e-5)
    row = frame.drop("price").row(0, named=True)
    assert run_.predict([row | {"city": "Rome", "area": None}]).isfinite().all()
    monkeypatch.chdir(tmp_path)
    content, _ = evaluate([f"run={first}"])
    assert {name: result["metrics"][name] for name in content["metrics"]} == content["metrics"]
    frame.head(50).with_columns(city=pl.lit("Rome")).write_csv(tmp_path / "new.csv")
    content, _ = evaluate([f"run={first}", f"data.test_file={tmp_path / 'new.csv'}"])
    assert content["samples"] == 50
