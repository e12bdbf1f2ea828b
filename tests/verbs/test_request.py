"""Wrong words about a finished run: they are refused before torch is imported, which takes seconds."""

import json
import subprocess
import sys

import pytest
from sweep_results import failed, job

from litlab.errors import RequestError
from litlab.verbs.find import find_run

REFUSED = {
    "evaluate": {
        "run=RUN splt=val": "splt=val: an evaluation takes single values of data, trainer, threads, paths, trust; ",
        "run=RUN split=tset": "split=tset: there is no such split (did you mean test?)",
        "run=nowhere": "run=nowhere: there is no such directory",
        "run=last": "run=last: there is no run in ",
        "run=RUN data=digts": "data=digts: there is no conf/data/digts.yaml (did you mean digits?)",
        "run=RUN data.batch_sise=3": "data.batch_sise: Digits does not take it (did you mean batch_size?)",
        "run=RUN trainer=cpu trainer.devices=2": "trainer.devices=2: an evaluation runs on one device",
        "run=RUN --config-dir yours": "--config-dir=yours: there is no such folder",
    },
    "predict": {
        "run=RUN input=none.png": "input=none.png: there is no such file",
        "run=nowhere input=RUN/result.json": "run=nowhere: there is no such directory",
        "run=RUN input=RUN/result.json topk=0": "topk=0: must be a whole number from 1",
        "run=RUN input=RUN/result.json invert=perhaps": "invert=perhaps: must be true or false",
        "run=RUN input=RUN/result.json output=o.txt": "output=o.txt: must end with .csv, ",
        "run=RUN input=RUN/result.json bla=3": "bla=3: a prediction takes single values of paths, trust; ",
    },
    "export": {
        "run=RUN formats=onxx": "formats=onxx: there is no such format (did you mean onnx?)",
        "run=RUN data=digits": "data=digits: an export takes single values of paths, trust; ",
    },
    "train": {
        "resume=RUN data=mnist": "resume=RUN: was trained with data._target_=litlab.data.digits.Digits (now ",
        "resume=RUN optimizer.lr=3": "resume=RUN: was trained with optimizer.lr=0.1 (now 3), scheduler.max_lr",
        "resume=RUN trainer.max_epohcs=3": "trainer.max_epohcs: no such setting (did you mean max_epochs?)",
        "resume=RUN trainer.max_epochs=9": "resume=RUN: the learning rate was planned for trainer.max_epochs=8 ",
    },
}
RUN_ALL = """
import json, runpy, sys
sys.modules["torch"] = sys.modules["lightning"] = None  # importing them raises
for script, words in json.load(sys.stdin):
    sys.argv = [script, *words]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        print("code", end.code, file=sys.stderr)
"""


def test_a_failed_run_is_named_and_its_error_is_shortened(tmp_path):
    run = tmp_path / "train" / "runs" / "now"
    run.mkdir(parents=True)
    (run / "result.json").write_text(json.dumps(failed({}, error="the loss\nis nan: " + "why " * 2000)))
    with pytest.raises(RequestError) as error:
        find_run("last", tmp_path)
    said = str(error.value)
    assert said.startswith(f"run=last: {run} has no checkpoint, and its status is failed (the loss is nan: why why ")
    assert said.endswith(" why...); name another run") and len(said.replace(str(run), "")) < 300


@pytest.mark.slow
def test_wrong_words_do_not_wait_for_torch(root, tmp_path):
    from omegaconf import OmegaConf, open_dict

    from litlab.config.composition import compose

    run = tmp_path / "run"
    for folder in (run / "checkpoints", run / ".hydra"):
        folder.mkdir(parents=True)
    (run / "checkpoints" / "best.ckpt").touch()
    (run / "result.json").write_text(json.dumps(job({"data": "digits"}) | {"epochs": 8}))
    config = compose("train", ["data=digits", "model=mlp"])
    with open_dict(config):
        config.paths.run_dir = str(run)
    (run / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(config))
    asked = [
        (str(root / "scripts" / f"{script}.py"), [each.replace("RUN", str(run)) for each in words.split()])
        for script, every in REFUSED.items()
        for words in every
    ]
    code = [sys.executable, "-c", RUN_ALL]
    done = subprocess.run(code, input=json.dumps(asked), capture_output=True, text=True, cwd=tmp_path)
    said = done.stderr.splitlines()
    expected = [line for every in REFUSED.values() for line in every.values()]
    assert len(said) == 2 * len(expected), done.stderr
    for line, code, told in zip(said[::2], said[1::2], expected, strict=True):
        assert line.startswith(f"error: {told.replace('RUN', str(run))}") and code == "code 2", (line, told)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run"]
