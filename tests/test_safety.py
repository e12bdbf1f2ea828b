"""Somebody else's run, sweep and files are data: 40 payloads, each with a canary that opening them would touch."""

import builtins
import csv
import hashlib
import importlib
import io
import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from asking import evaluate, export, predict

from litlab import load_run, signals
from litlab.cli import command, report_error
from litlab.data.cifar10 import CIFAR10
from litlab.errors import RequestError, RunError
from litlab.runs.checkpoints import COMMENT, LENGTH, MARK, AtomicCheckpointIO, read_checkpoint
from litlab.runs.recording import recorded
from litlab.runs.report import print_evaluation, print_export, print_predictions
from litlab.runs.result import Result
from litlab.sweeps.report import print_leaderboard
from litlab.sweeps.summary import summarize
from litlab.verbs import request
from litlab.verbs.find import find_run
from litlab.verbs.predict import as_csv
from litlab.verbs.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("victim")
    words = ("data=digits", "model=linear", "trainer=cpu", "trainer.max_epochs=1", "logger=none", "threads=1")
    config = request.compose("train", [*words, "~callbacks.pictures", f"paths.run_dir={folder}"])
    config.trainer.enable_progress_bar = False
    with recorded(folder, Result(choices={"data": "digits", "model": "linear"})) as result:
        train(config, result)
    return folder


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A file that is there if a payload has run; and a package that makes it when it is imported."""
    file = tmp_path / "canary"
    (tmp_path / "canary_package.py").write_text(f"import pathlib\npathlib.Path({str(file)!r}).touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    composed = request.compose("train", [])  # a fifth of a second each time
    monkeypatch.setattr(request, "compose", lambda name, words: composed if not list(words) else pytest.fail("words"))
    yield file
    assert not file.exists(), "a payload has run"
    assert "canary_package" not in sys.modules


class Call:
    """Pickled, it is a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def opened(directory, *, resume=None):
    """Everything that opens a run; what each says: the error's one line, or ok."""
    np.save("images.npy", np.zeros((2, 8, 8), np.uint8))
    verbs = {
        "load_run": lambda: load_run(directory),
        "predict": lambda: predict([f"run={directory}", "input=images.npy"]),
        "evaluate": lambda: evaluate([f"run={directory}"]),
        "export": lambda: export([f"run={directory}", "formats=safetensors"]),
        "summarize": lambda: summarize([directory]),
        "resume": resume or (lambda: None),
    }
    said = {}
    for name, verb in verbs.items():
        try:
            verb()
            said[name] = "ok"
        except (RequestError, RunError) as error:
            said[name] = str(error)
    return said


def poisoned(victim, tmp_path, **changes):
    """A copy of the victim whose checkpoint, with a right checksum, has other parts."""
    directory = shutil.copytree(victim, tmp_path / "run")
    file = directory / "checkpoints" / "best.ckpt"
    checkpoint = read_checkpoint(file)
    for name, change in changes.items():
        checkpoint[name] = change(checkpoint[name]) if callable(change) else change
    AtomicCheckpointIO().save_checkpoint(checkpoint, file)
    return directory


# ---- pickles

PICKLES = {
    "os.system in weights": lambda c: {"state_dict": lambda old: old | {"model.1.bias": Call(os.system, f"touch {c}")}},
    "eval in weights": lambda c: {"state_dict": Call(eval, f"open({str(c)!r}, 'w')")},
    "exec in hparams": lambda c: {"hyper_parameters": lambda old: old | {"x": Call(exec, f"open({str(c)!r}, 'w')")}},
    "Popen in optimizer": lambda c: {"optimizer_states": [Call(subprocess.Popen, ["touch", str(c)])]},
    "Path.touch in data_spec": lambda c: {"data_spec": lambda old: old | {"class_names": Call(Path.touch, Path(c))}},
    "import in callbacks": lambda c: {"callbacks": {"Own": Call(importlib.import_module, "canary_package")}},
    "torch.load in loops": lambda c: {"loops": Call(torch.load, planted(c), None)},
    "open in a new key": lambda c: {"more": Call(builtins.open, str(c), "w")},
}


def planted(canary):
    """A file that runs a payload where it is unpickled."""
    file = canary.with_name("planted.pt")
    file.write_bytes(pickle.dumps(Call(os.system, f"touch {canary}")))
    return str(file)


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_in_checkpoints(victim, tmp_path, canary, compose, name):
    directory = poisoned(victim, tmp_path, **PICKLES[name](canary))
    shutil.copy(directory / "checkpoints/best.ckpt", directory / "checkpoints/last.ckpt")
    config = compose("data=digits", "model=linear", f"resume={directory}")
    said = opened(directory, resume=lambda: train(config))
    assert said.pop("summarize") == "ok"
    assert all(
        "best.ckpt: is not a checkpoint of litlab" in each or "last.ckpt: is not" in each for each in said.values()
    )


# ---- settings that name what is to be called

CALLED = {  # in the saved settings
    "os.system": "model: {_target_: os.system, _args_: ['touch CANARY']}",
    "subprocess.Popen": "model: {_target_: subprocess.Popen, _args_: [[touch, CANARY]]}",
    "builtins.eval": "optimizer: {_target_: builtins.eval, _args_: ['open(\"CANARY\", \"w\")']}",
    "an alias": "optimizer: {_target_: logging.os.system, _args_: ['touch CANARY']}",
    "an alias in torch.nn": "model: {_target_: torch.nn.modules.module.torch.load, f: PLANTED, weights_only: false}",
    "an alias in litlab": "model: {_target_: litlab.data.reading.mirrors.subprocess.run, _args_: [[touch, CANARY]]}",
    "litlab's own function": "model: {_target_: litlab.data.reading.mirrors._run, _args_: [[touch, CANARY], .]}",
    "a nested partial": "model: {hidden_sizes: [{_target_: functools.partial, _args_: [SYSTEM]}]}",
    "a partial called later": "model: {embedding: {_target_: os.system, _partial_: true, command: 'touch CANARY'}}",
    "deep in a list": "scheduler: {a: [[{b: {_target_: pathlib.Path.touch, self: {_target_: pathlib.Path}}}]]}",
    "hydra.utils.get_method": "augmentation: {_target_: hydra.utils.get_method, path: os.system}",
    "hydra.utils.instantiate": "task: {_target_: hydra.utils.instantiate, config: SYSTEM}",
    "an interpolated name": "model: {name: os, _target_: '${model.name}.system', command: 'touch CANARY'}",
    "torch.hub": "model: {_target_: torch.hub.load, repo_or_dir: PLACE, model: x, source: local}",
    "an import": "model: {_target_: canary_package.Model}",
    "what it says it trusts": "{trust: [canary_package, os], model: {_target_: canary_package.Model}}",
}  # fmt: skip


@pytest.mark.parametrize("name", CALLED)
def test_settings_that_name_a_function(victim, tmp_path, canary, name):
    text = CALLED[name].replace("CANARY", str(canary)).replace("PLANTED", planted(canary))
    text = text.replace("SYSTEM", f"{{_target_: os.system, command: 'touch {canary}'}}")
    changes = yaml.safe_load(text.replace("PLACE", str(tmp_path)))

    def change(old):
        return old | {group: old[group] | new if isinstance(new, dict) else new for group, new in changes.items()}

    said = opened(poisoned(victim, tmp_path, hyper_parameters=change))
    assert said.pop("summarize") == said.pop("resume") == "ok"
    for each in said.values():
        assert all("could run arbitrary code; if you trust it, add trust=[" in line for line in each.splitlines())


@pytest.mark.parametrize("group", ["data", "trainer"])
def test_settings_that_only_an_evaluation_builds(victim, tmp_path, canary, group):
    """Predictions need neither: the run opens, and an export says what it did instead."""
    call = {"_target_": "logging.os.system", "command": f"touch {canary}"}
    said = opened(poisoned(victim, tmp_path, hyper_parameters=lambda old: old | {group: old[group] | call}))
    assert re.match(rf"^{group}\._target_=logging\.os\.system: is not a class", said.pop("evaluate"))
    assert set(said.values()) == {"ok"}
    config = json.loads((tmp_path / "run/export/config.json").read_text())
    assert config["litlab"]["checked"]["inputs"].startswith(f"generated inputs: {group}._target_=logging.os.system: ")


# ---- files

FILES = {
    "a raw pickle as checkpoint": lambda file, c: file.write_bytes(pickle.dumps(Call(os.system, f"touch {c}"))),
    "a checkpoint of old torch": lambda file, c: torch.save(
        Call(os.system, f"touch {c}"), file, _use_new_zipfile_serialization=False
    ),
    "a device": lambda file, c: (file.unlink(), file.symlink_to("/dev/zero")),
    "a pipe": lambda file, c: (file.unlink(), os.mkfifo(file)),
}


@pytest.mark.parametrize("name", FILES)
def test_files_in_a_checkpoint_s_place(victim, tmp_path, canary, name):
    directory = shutil.copytree(victim, tmp_path / "run")
    FILES[name](directory / "checkpoints" / "best.ckpt", canary)
    said = opened(directory)
    for verb in ("load_run", "evaluate", "predict", "export"):
        assert re.search(r"best\.ckpt: is not a (checkpoint of litlab|regular file)$", said[verb])


@pytest.mark.parametrize(
    ("member", "said"), [("../../../canary", "is not a checkpoint"), ("archive/../../../canary", "ok")]
)
def test_a_member_of_a_checkpoint_that_leaves_its_folder(victim, tmp_path, canary, member, said):
    directory = shutil.copytree(victim, tmp_path / "run")
    file = directory / "checkpoints" / "best.ckpt"
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(member, "x")
    content = file.read_bytes()[: -COMMENT - len(LENGTH)]
    digest = hashlib.sha256(content + bytes(len(LENGTH))).hexdigest()
    file.write_bytes(content + LENGTH + MARK + digest.encode())
    assert said in opened(directory)["load_run"]


def test_a_result_that_names_a_checkpoint_elsewhere(victim, tmp_path, canary):
    directory = shutil.copytree(victim, tmp_path / "run")
    result = json.loads((directory / "result.json").read_text())
    (directory / "result.json").write_text(json.dumps(result | {"checkpoint": f"../../..{planted(canary)}"}))
    assert "No such file" in opened(directory)["load_run"]


def test_a_result_that_is_a_pipe(victim, tmp_path, canary):
    directory = shutil.copytree(victim, tmp_path / "run")
    (directory / "result.json").unlink()
    os.mkfifo(directory / "result.json")
    said = opened(directory)
    assert all("not a regular file" in said[verb] for verb in ("load_run", "evaluate", "export"))


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch CANARY']",
        "hydra: {overrides: {task: !!python/object/apply:subprocess.check_output [[touch, CANARY]]}}",
        "hydra: {sweeper: {_target_: os.system, _args_: ['touch CANARY']}, launcher: {_target_: canary_package.L}}",
    ],
)  # fmt: skip
def test_yaml_of_a_sweep_and_of_a_run(victim, tmp_path, canary, text, monkeypatch):
    sweep = tmp_path / "sweep"
    directory = shutil.copytree(victim, sweep / "1")
    (directory / ".hydra").mkdir(exist_ok=True)
    for file in (sweep / "multirun.yaml", directory / ".hydra/config.yaml", sweep / "planned.json"):
        file.write_text(text.replace("CANARY", str(canary)))
    load_run(directory)
    summarize([sweep])
    find_run(str(sweep), tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", f"sweep.resume={sweep}", f"hydra.run.dir={tmp_path}"])
    with pytest.raises(SystemExit, match="2"), monkeypatch.context() as patched:
        patched.setattr(signals, "end_within", lambda *_: None)
        command("train")(lambda config, result: pytest.fail("it runs"))()


@pytest.mark.parametrize("kind", ["an object array", "a member that leaves its folder", "a planted pickle"])
def test_files_of_data_sets(tmp_path, canary, kind):
    payload = np.array([Call(os.system, f"touch {canary}")], dtype=object)
    names = ("train_images", "train_labels", "test_images", "test_labels")
    if kind == "an object array":
        np.savez(tmp_path / "sample.npz", **dict.fromkeys(names, payload))
    elif kind == "a planted pickle":
        (tmp_path / "cifar-10-batches-py").mkdir()
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
            (tmp_path / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(payload))
    else:
        with zipfile.ZipFile(tmp_path / "sample.npz", "w") as archive:
            archive.writestr("../../canary.npy", "x"), archive.writestr(str(canary), "x")
    sample = None if kind == "a planted pickle" else "sample.npz"
    with pytest.raises(RequestError, match=r"^data\.sample=sample\.npz: |^data=cifar10: .* is damaged"):
        CIFAR10(data_dir=tmp_path, sample=sample).load()


def png(width, height):
    """The header of an image, and a pixel of it."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"00"))]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def promising(shape):
    """An .npy file whose header promises more than there is."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return content.getvalue()


def packed(**members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_UP_", "../../").replace("_DOT_", "."), data)
    return content.getvalue()


def objects(canary):
    content = io.BytesIO()
    np.save(content, np.array([Call(os.system, f"touch {canary}")], object), allow_pickle=True)
    return content.getvalue()


INPUTS = {
    "a.png": lambda c: png(50_000, 50_000),
    "b.png": lambda c: png(2**31 - 1, 2**31 - 1),
    "c.npy": objects,
    "d.npz": lambda c: packed(inputs_DOT_npy=objects(c)),
    "e.npz": lambda c: packed(_UP_canary_DOT_npy=promising((1, 8, 8)) + bytes(64)),
    "f.npz": lambda c: packed(inputs_DOT_npy=promising((10**9, 8, 8)) + bytes(10**6)),
    "g.npy": lambda c: promising((10**12, 8, 8)),
    "h.png": lambda c: pickle.dumps(Call(os.system, f"touch {c}")),
    "i.csv": lambda c: b"=cmd|'/C touch canary'!A0,\x1b]0;x\x07\n1,2\n",
    "j.parquet": lambda c: b"PAR1" + pickle.dumps(Call(os.system, f"touch {c}")) + b"PAR1",
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_of_predictions(victim, tmp_path, canary, capsys, name):
    Path(name).write_bytes(INPUTS[name](canary))
    try:
        found = predict([f"run={victim}", f"input={name}"])
    except RequestError as error:
        assert "\n" not in str(error) and str(error).isprintable()
    else:
        said = capsys.readouterr().err
        assert (found.faults, said.count("\n")) == (1, 1) or len(found.frame) == 1, said


# ---- text

TEXTS = {
    "a terminal's escape": "\x1b]0;owned\x07\x1b[2J",
    "a right-to-left mark": "abc\u202egnp.exe",
    "a line break": "a\n# heading\n---\r\n",
    "HTML": "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "a link": "[click](javascript:alert(1)) ![x](http://canary.invalid/x.png)",
    "a table's cell": "a | b | `c` |",
    "a formula": "=cmd|'/C touch canary'!A0",
    "another formula": "@SUM(1+1)*cmd|' /C calc'!A0",
    "a tag of YAML": "!!python/object/apply:os.system ['touch canary']",
    "markup": "[bold red]x[/] ${oc.env:HOME} $\\frac{x$",
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_in_names(victim, tmp_path, canary, capsys, monkeypatch, name):
    from litlab.data.digits import Digits

    text = TEXTS[name]
    sweep, names = tmp_path / "sweep", (text, *"123456789")
    directory = poisoned(victim, tmp_path, data_spec=lambda old: old | {"class_names": list(names)})
    result = json.loads((directory / "result.json").read_text())
    result |= {"overrides": [f"model={text}", text], "choices": {"data": text, "model": text}, "swept": [text]}
    result |= {"git": {"commit": text}, "settings": {text: text}, "metrics": result["metrics"] | {f"test/{text}": 1.0}}
    (directory / "result.json").write_text(json.dumps(result))
    shutil.copytree(directory, sweep / "1")
    shutil.copytree(directory, sweep / "2")
    (sweep / "2" / "result.json").write_text(json.dumps(result | {"status": "failed", "error": text}))
    (sweep / "multirun.yaml").touch()
    monkeypatch.setattr(Digits, "class_names", names)
    capsys.readouterr()
    _, folder = evaluated = evaluate([f"run={sweep}"])
    print_evaluation(*evaluated)
    exported = export([f"run={sweep}", "formats=safetensors"])
    print_export(*exported)
    np.save("images.npy", np.zeros((2, 8, 8), np.uint8))
    predicted = predict([f"run={directory}", "input=images.npy", "topk=10"]).frame
    print_predictions(predicted, None, 1.0)
    Path("predicted.csv").write_text(as_csv(predicted), encoding="utf-8")
    print_leaderboard(summarize([sweep]), sweep)
    report_error(RequestError(f"model._target_={text}: is wrong"))
    said = capsys.readouterr()
    card = (exported[1] / "README.md").read_text(encoding="utf-8")
    cells = (folder / "predictions.csv").read_text(encoding="utf-8")
    summary = (sweep / "summary.md").read_text(encoding="utf-8")
    for shown in (said.out, said.err, card, cells, summary, *(file.read_text() for file in sweep.glob("*.csv"))):
        assert all(each.isprintable() or each == "\n" for each in shown)
    prose = re.sub(r"^    .*$|^---\n.*?\n---$", "", card, flags=re.MULTILINE | re.DOTALL)
    for page in (prose, re.sub(r"^    .*$", "", summary, flags=re.MULTILINE)):
        assert not re.search(r"<(img|script)|(?<!\\)\]\((javascript|http)|^# heading", page, re.MULTILINE)
    page = re.sub(r"<script>.*?</script>", "", (sweep / "summary.html").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.search(r"<(img|a href=\"(?!\./)|script(?! type=\"application/json\"))", page), "names are text"
    for file in (folder / "predictions.csv", tmp_path / "predicted.csv", *sweep.glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as opened_file:
            for row in csv.reader(opened_file):
                assert not any(re.match(r"[=@]|[+-](?![\d.])", cell) for cell in row)
    header = card.split("---\n")[1]
    assert yaml.safe_load(header) == yaml.unsafe_load(header), "not even a careless reader runs it"
    assert yaml.safe_load(header)["library_name"] == "pytorch"
    for file in (folder / "evaluation.json", exported[1] / "config.json"):
        assert json.loads(file.read_text()) and file.read_text().isascii()
    assert json.loads((exported[1] / "config.json").read_text())["label_names"][0] == text
    assert find_run(str(sweep), tmp_path) == sweep / "1"
