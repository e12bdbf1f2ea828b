"""A run for other programs: each file opened by its own reader, with the run's outputs; and what cannot be written."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from asking import evaluate, export, predict
from safetensors import safe_open
from safetensors.torch import load_file
from sweep_results import job

from litlab.config.composition import compose
from litlab.errors import RequestError, RunError
from litlab.load import load_run
from litlab.runs.recording import recorded
from litlab.runs.report import print_export
from litlab.runs.result import Result
from litlab.verbs import export as exporting
from litlab.verbs import served
from litlab.verbs.export import check
from litlab.verbs.train import train

OWN = '''
import torch
from litlab.data.tensors import Split, TensorData

class Tokens(TensorData):
    input_shape, num_outputs, class_names, num_tokens = (3,), 2, ("few", "many"), 40

    def load(self):
        tokens = torch.randint(40, (200, 3), generator=torch.Generator().manual_seed(0))
        return Split(tokens, (tokens.sum(1) > 60).long()), None

class Bag(torch.nn.Module):
    """Of words."""
    def __init__(self, input_shape: tuple, num_outputs: int, num_tokens: int):
        super().__init__()
        self.bag = torch.nn.EmbeddingBag(num_tokens, num_outputs)

    def forward(self, inputs):
        return self.bag(inputs)

class Branching(Bag):
    """Cannot be traced: what it does depends on the values."""
    def forward(self, inputs):
        return self.bag(inputs) * (2 if inputs.sum() > 0 else 1)
'''


@pytest.fixture
def own(run, tmp_path, monkeypatch):
    """Trains a model of a user's own package on tokens."""
    (tmp_path / "own_package.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)

    def trained(model):
        data = {"_target_": "own_package.Tokens", "val_size": 50, "test_size": 50}
        words = {"data": data, "model": {"_target_": f"own_package.{model}"}, "trust": ["own_package"]}
        return run("data=digits", "model=linear", **words)

    yield trained
    sys.modules.pop("own_package", None)


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    words = ("data=digits", "model=linear", "trainer=cpu", "trainer.max_epochs=1", "logger=none", "callbacks=default")
    config = compose("train", [*words, "~callbacks.pictures", "threads=1", f"paths.run_dir={folder}"])
    config.trainer.enable_progress_bar = False
    with recorded(folder, Result()) as result:
        train(config, result)
    return folder


def front_matter(folder):
    _, header, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(header)


def read_back(folder, loaded, raw, expected, monkeypatch):
    """Every part by its own reader."""
    import onnxruntime

    weights = load_file(folder / "model.safetensors")
    assert weights.keys() == loaded.model.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in loaded.model.state_dict().items())
    with safe_open(folder / "model.safetensors", "pt") as file:
        about = file.metadata()
    assert about.pop("format") == "pt"
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    assert session.get_modelmeta().custom_metadata_map == about
    (given,), (output,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape) == ("input", ["batch", *loaded.data.input_shape])
    assert output.name == ("values" if loaded.data.class_names is None else "logits")
    module = torch.export.load(folder / "model.pt2").module()
    for size in (1, 2, 257):
        some = raw[torch.arange(size) % len(raw)]
        for outputs in (torch.from_numpy(session.run(None, {"input": some.numpy()})[0]), module(some)):
            assert (outputs - expected[torch.arange(size) % len(raw)]).abs().max() <= 1e-5 * max(
                1, expected.abs().max()
            )
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL).group(1)
    monkeypatch.chdir(folder)
    exec(code, printed := {})
    assert printed[output.name].shape == (1, loaded.data.num_outputs)
    return about


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "dtype", "pipeline"),
    [
        ("data=digits model=mlp data.normalize=true model.dropout=0.5", "uint8", "image-classification"),
        ("data=digits model=linear", "uint8", "image-classification"),
        ("data=digits model=cnn model.channels=[4] model.dropout=0.5", "uint8", "image-classification"),
        ("data=digits model=rnn model.cell=LSTM model.bidirectional=true", "uint8", "image-classification"),
        ("data=digits model=transformer", "uint8", "image-classification"),
        ("data=breast_cancer model=mlp_periodic", "float32", "tabular-classification"),
        ("data=breast_cancer model=tabm", "float32", "tabular-classification"),
        ("experiment=sine_polynomial data.passes_per_epoch=20", "float32", "tabular-regression"),
        ("data=exam_scores model=linear data.test_on_train=false data.test_size=3", "float32", "tabular-regression"),
        ("Bag", "int64", "text-classification"),
    ],
)
def test_every_part_is_read_by_its_own_reader(run, own, words, dtype, pipeline, monkeypatch, capsys):
    trusted = [] if "=" in words else ["own_package"]
    pytest.importorskip("onnxruntime")
    directory = own(words) if trusted else run(*words.split())
    capsys.readouterr()
    content, folder = export([f"run={directory}", *(f"trust=[{name}]" for name in trusted)])
    assert capsys.readouterr() == ("", ""), "exporters are silent"
    assert content["failed"] == {} and content["inputs"] == "the test split"
    assert content["differences"].keys() == {"model.pt2", "model.onnx"}
    loaded = load_run(directory, trusted)
    network = served.Served(loaded)
    raw, _ = exporting.test_inputs(loaded, network, exporting.Request("", {}, []))
    assert raw.dtype == getattr(torch, dtype) and len(raw) == content["samples"]
    predicted = loaded.predict(raw)  # what a user of litlab sees
    expected = exporting.outputs_of(loaded, raw)
    kind = loaded.data.target_kind
    seen = {"classification": expected.softmax(1), "binary": expected.sigmoid()[:, 0], "regression": expected}[kind]
    assert torch.equal(seen, predicted)
    about = read_back(folder, loaded, raw, expected, monkeypatch)
    config = json.loads((folder / "config.json").read_text())
    names = loaded.data.class_names
    assert config.get("label_names") == (names and list(names)) == json.loads(about.get("label_names", "null"))
    assert config["pretrained_cfg"]["input_size"] == list(loaded.data.input_shape)
    assert config["litlab"]["input_dtype"] == dtype and config["litlab"]["checked"]["differences"]
    assert front_matter(folder)["pipeline_tag"] == pipeline
    assert all(b"/tests/" not in file.read_bytes() for file in folder.iterdir()), "no names of this machine's folders"


@pytest.mark.slow
def test_a_run_of_a_user_s_own_package_opens_with_trust(own, tmp_path):
    directory = own("Bag")
    np.save(tmp_path / "tokens.npy", np.zeros((2, 3), np.int64))
    for verb, word in ((evaluate, "split=val"), (predict, f"input={tmp_path}/tokens.npy"), (export, "formats=pt2")):
        with pytest.raises(RequestError, match=r"^model\._target_=own_package\.Bag: .* add trust=\[own_package\]$"):
            verb([f"run={directory}", word])
        assert verb([f"run={directory}", word, "trust=[own_package]"])


@pytest.mark.slow
def test_other_programs_need_no_litlab(one_run, tmp_path):
    _, folder = export([f"run={one_run}", f"to={tmp_path / 'served'}", "formats=pt2"])
    code = """if True:
    import sys, torch
    module = torch.export.load("model.pt2").module()
    print(tuple(module(torch.zeros(5, 1, 8, 8, dtype=torch.uint8)).shape), "litlab" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "(5, 10) False\n"


@pytest.mark.slow
def test_a_model_that_cannot_be_traced_is_one_line_and_the_weights_are_written(own, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    content, folder = export([f"run={own('Branching')}", "trust=[own_package]", f"to={tmp_path / 'to'}"])
    assert {file.name for file in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert content["failed"].keys() == {"model.pt2", "model.onnx"}
    assert all("\n" not in each and "data-dependent" in each for each in content["failed"].values())
    print_export(content, folder)
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert "`model.onnx` is missing: " in (folder / "README.md").read_text()


@pytest.mark.slow
def test_the_script_exits_with_1_where_a_format_is_missing(one_run, root, tmp_path):
    pytest.importorskip("onnx")
    env = {"PATH": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root / 'src'}:{tmp_path}"}

    def script(*words):
        command = [sys.executable, root / "scripts/export.py", f"run={one_run}", f"to={tmp_path}/a, b", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)

    done = script("formats=safetensors,pt2")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^ model\.pt2 +[\d,]+ bytes, differs by at most ", done.stdout, re.MULTILINE)
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('broken\\non several lines')")
    done = script("formats=safetensors,onnx")
    assert (done.returncode, done.stderr) == (1, "error: model.onnx: ImportError: broken\n")
    assert "model.safetensors" in done.stdout and "export: a, b-2\n" in done.stdout


def test_without_the_extra_the_others_are_written(one_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(served.importlib.util, "find_spec", lambda name: None)
    shutil.copytree(one_run, tmp_path / "train/runs/1")
    content, folder = export(
        ["run=last", f"paths.log_dir={tmp_path}", f"to={tmp_path / 'to'}", "formats=safetensors,onnx"]
    )
    assert content["failed"] == {"model.onnx": "needs onnx, onnxscript, onnxruntime: make setup EXTRAS=export"}
    assert {file.name for file in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    print_export(content, folder)
    said = capsys.readouterr()
    assert said.err == "error: model.onnx: needs onnx, onnxscript, onnxruntime: make setup EXTRAS=export\n"
    assert "checked with 360 samples of the test split" in said.out


@pytest.mark.slow
def test_no_export_is_overwritten(one_run, tmp_path, monkeypatch):
    words = [f"run='{one_run}'", "formats=safetensors"]  # quoted as config.arguments does it
    folders = [export([*words, f"to={tmp_path / 'new/to'}"])[1] for _ in range(2)]
    assert folders == [tmp_path / "new/to", tmp_path / "new/to-2"]
    assert export(words)[1] == one_run / "export"
    monkeypatch.setattr(exporting, "model_card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(words)
    assert not (one_run / "export-2").exists()
    shutil.rmtree(one_run / "export")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("formats=onxx", r"^formats=onxx: there is no such format \(did you mean onnx\?\); choose from safetensors"),
        ("to=/proc/nowhere/x", r"^to=/proc/nowhere/x: cannot be made \(No such file or directory\); name another"),
        ("data.batch_size=3", r"^data\.batch_size=3: an export takes single values of paths, trust; the rest"),
        ("run=nowhere", r"^run=nowhere: there is no such directory"),
    ],
)  # fmt: skip
def test_wrong_words_are_refused_in_one_line(one_run, words, message):
    with pytest.raises(RequestError, match=message) as error:
        export([f"run={one_run}", "formats=safetensors", words])
    assert "\n" not in str(error.value)


def test_data_that_cannot_be_loaded_are_generated_and_it_is_said(one_run, tmp_path, monkeypatch, capsys):
    def missing(config):
        raise RequestError("no disk\x1b[2J")

    monkeypatch.setattr(exporting, "build_data", missing)
    content, _ = export([f"run={one_run}", f"to={tmp_path / 'to'}", "formats=safetensors"])
    assert (content["samples"], content["inputs"]) == (1000, r"generated inputs: no disk\x1b[2J")
    loaded = load_run(one_run)
    raw, _ = exporting.test_inputs(loaded, served.Served(loaded), exporting.Request("", {}, []))
    assert raw.dtype == torch.uint8 and raw.unique().tolist() == list(range(17))


def test_what_a_file_computes_is_compared_with_the_run():
    inputs, expected = torch.arange(4.0).view(2, 2), torch.tensor([[100.0], [0.0]])
    sizes = []

    def computed(batch):
        sizes.append(len(batch))
        return torch.where(batch[:, :1] == 0, 100.0, 0.0) + 5e-4 * (len(batch) == 257)

    assert check(computed, inputs, expected) == pytest.approx(5e-4, rel=0.02)  # 1e-3 is allowed, the largest is 100
    assert set(sizes) == {1, 2, 257}
    for wrong in (2e-3, float("nan")):
        with pytest.raises(RunError, match=r"^its outputs differ from the run's by up to (0\.0025|nan), 0\.001 is"):
            check(lambda batch, by=wrong: computed(batch) + by, inputs, expected)


def test_the_card_has_the_spread_over_the_seeds_of_a_sweep(one_run, tmp_path):
    sweep = tmp_path / "sweep"
    for seed, accuracy in enumerate((0.8, 0.9, 1.0)):
        shutil.copytree(one_run, sweep / str(seed))
        result = job({"model": "linear", "optimizer.lr": 0.1}, accuracy, accuracy - 0.1, seed=seed)
        (sweep / str(seed) / "result.json").write_text(json.dumps(result))
    (sweep / "multirun.yaml").touch()
    _, folder = export([f"run={sweep}", "formats=safetensors"])
    assert folder == sweep / "2" / "export", "the winner's"
    card = (folder / "README.md").read_text()
    assert "| metric | this run | mean ± std over 3 seeds |" in card
    assert "| test/accuracy | 0.9 | 0.80 ± 0.10 |" in card
    assert "    python scripts/train.py model=linear optimizer.lr=0.1 seed=2\n" in card
    assert "One run: how much" not in card and "scikit-learn's digits" in card
    (metrics,) = [each["metrics"] for each in front_matter(folder)["model-index"][0]["results"]]
    assert metrics == [{"type": "accuracy", "name": "test/accuracy", "value": 0.9}]
    assert np.isclose(json.loads((folder / "config.json").read_text())["num_features"], 64)
