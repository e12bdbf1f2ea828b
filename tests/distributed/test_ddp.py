"""One run on several devices: what each process does, and that none is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning_utilities.core.rank_zero import rank_zero_only

from litlab.build import build_data, build_trainer
from litlab.distributed import ranks
from litlab.errors import RequestError

ROOT = Path(__file__).resolve().parents[2]
DDP = ("data=digits", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "threads=1")
LONG = ("scheduler=none", "optimizer.lr=0.0001", "trainer.max_epochs=100000")
ENDLESS = 600.0  # seconds, for a busy machine


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.batch_size=63"], r"data\.batch_size=63: must be a multiple of the 2 devices .*, such as 64"),
        (["data.batch_size=1"], r"data\.batch_size=1: must be a multiple of the 2 devices .*, such as 2"),
        (["data.eval_batch_size=1"], r"data\.eval_batch_size=1: must be 2 or more"),
        (["trainer.strategy=ddp_spawn"], r"trainer\.strategy: .* use ddp"),
        (["+trainer.num_nodes=2"], r"trainer\.num_nodes=2: start the run with torchrun or srun"),
    ],
)
def test_what_devices_cannot_share_is_refused(compose, overrides, message):
    config = compose(*DDP, *overrides)
    data = build_data(config)
    with pytest.raises(RequestError, match=message):
        build_trainer(config, data)


def test_the_number_of_processes_is_torchruns(compose, monkeypatch):
    started_by_torchrun(monkeypatch, rank=3, world_size=4, local_world_size=2)

    def built(*overrides):
        config = compose("trainer=ddp", *overrides)
        data = build_data(config)
        return build_trainer(config, data)

    trainer = built("trainer.devices=auto")
    assert (trainer.world_size, trainer.num_devices, trainer.num_nodes, trainer.global_rank) == (4, 2, 2, 3)
    with pytest.raises(RequestError, match=r"torchrun has started 4 .* trainer\.devices=2 trainer\.num_nodes=2"):
        built("trainer.devices=2")


def started_by_torchrun(monkeypatch, rank, world_size, local_world_size):
    # A Trainer puts its rank there for the whole process: other tests' loggers would write nothing.
    monkeypatch.setattr(rank_zero_only, "rank", 0)
    variables = {"RANK": rank, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": local_world_size}
    variables |= {"LOCAL_RANK": rank % local_world_size, "GROUP_RANK": rank // local_world_size}
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")


def test_torchruns_and_sruns_variables_say_which_process_this_is(monkeypatch):
    assert ranks.process_info() is None and ranks.is_first_process()
    started_by_torchrun(monkeypatch, rank=2, world_size=4, local_world_size=2)  # the first one of the second machine
    assert ranks.process_info() == (2, 4, 2, "torchrun")
    assert not ranks.is_first_process()
    started_by_torchrun(monkeypatch, rank=0, world_size=1, local_world_size=1)
    assert ranks.process_info() is None
    for name in ("TORCHELASTIC_RUN_ID", "LOCAL_RANK"):
        monkeypatch.delenv(name)
    for name, value in {"SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_NNODES": "2"}.items():
        monkeypatch.setenv(name, value)
    assert ranks.process_info() == (1, 4, 2, "srun") and not ranks.is_first_process()
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")  # a shell in an allocation: nobody else takes part
    assert ranks.process_info() is None and ranks.is_first_process()


def test_a_sweep_by_torchrun_is_refused(monkeypatch):
    ranks.refuse_sweep(["-m"])
    started_by_torchrun(monkeypatch, rank=0, world_size=2, local_world_size=2)
    ranks.refuse_sweep(["data=digits"])
    with pytest.raises(RequestError, match="-m: torchrun is for one run"):
        ranks.refuse_sweep(["data=digits", "-m"])


# 1,257 samples: 41 are left for the last batch of 64 (21 and 20), and one for that of 8.
SCENARIOS: dict[str, list[str]] = {
    "usual": ["data=digits", "trainer.max_epochs=2", "evaluate_train=true"],
    # At a rate that falls to nothing the one sample would not count; a higher one makes much of rounding.
    "idle": ["data=digits", "data.batch_size=8", "trainer.max_epochs=1", "scheduler=none", "optimizer.lr=0.01"],
    "weighted": [
        *("data=digits", "trainer.max_epochs=1", "task.class_weights=balanced", "task.label_smoothing=0.1"),
        *("trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=1", "data.eval_batch_size=100"),
    ],
    "binary": ["data=breast_cancer", "trainer.max_epochs=2", "scheduler=plateau"],
    # Adam's steps would be the same for a gradient of twice the size.
    "regression": [
        *("data=sine", "data.passes_per_epoch=10", "trainer.max_epochs=2", "callbacks=default", "optimizer=sgd")
    ],
    "sum": [
        *("data=line", "data.batch_size=4", "data.passes_per_epoch=5", "optimizer=sgd", "optimizer.lr=0.001"),
        *("trainer.max_epochs=2", "task.reduction=sum"),
    ],
    "stopped": ["data=digits", "callbacks=early_stopping", "callbacks.early_stopping.patience=1", "optimizer.lr=1e-12"],
    "diverged": ["data=digits", "optimizer.lr=1e30", "scheduler=none", "trainer.log_every_n_steps=3"],
    "compiled": ["data=digits", "trainer.max_epochs=1", "task.compile=true"],
    "batch_norm": ["data=digits", "model=cnn", "augmentation=shift", "trainer.max_epochs=1"],
    "few": ["data=digits", "data.val_size=1"],
}
SAME = ("usual", "idle", "weighted", "binary", "regression", "sum", "compiled")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What the two processes of a scenario and the one that trained alone have left; see ddp_pair.py."""
    folder, script = tmp_path_factory.mktemp("pair"), ROOT / "tests/fixtures/ddp_pair.py"
    (folder / "scenarios.json").write_text(json.dumps(SCENARIOS))
    env = os.environ | {"PYTHONPATH": str(script.parent)}
    with (folder / "output").open("w") as output:
        both = [
            subprocess.Popen([sys.executable, script, str(rank), folder], env=env, stdout=output, stderr=output)
            for rank in range(2)
        ]
        try:
            codes = [process.wait(1800) for process in both]
        finally:
            for process in both:
                process.kill()
    assert codes == [0, 0], (folder / "output").read_text()[-3000:]

    def left(name):
        one, two, alone = (torch.load(folder / f"{name}.{who}.pt", weights_only=False) for who in (0, 1, "alone"))
        return one, two, alone

    return left


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_the_same_comes_out_as_of_one_device(pair, name):
    one, two, alone = pair(name)
    assert one["result"].get("error") is two["result"].get("error") is None
    for weight in alone["weights"]:
        torch.testing.assert_close(one["weights"][weight], alone["weights"][weight], rtol=1e-5, atol=1e-5)
        assert torch.equal(one["weights"][weight], two["weights"][weight])
    assert one["result"]["metrics"] == two["result"]["metrics"]
    assert one["result"]["metrics"] == pytest.approx(alone["result"]["metrics"], rel=1e-4, abs=1e-5)
    for key in ("steps", "epochs", "checkpoint"):
        assert str(one["result"][key]).replace("_alone", "") == str(alone["result"][key]).replace("_alone", "")
    assert one["result"]["monitor"]["epoch"] == alone["result"]["monitor"]["epoch"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["usual", "idle"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_every_sample_is_seen_once(pair, name, part):
    one, two, alone = pair(name)
    seen = torch.cat([*one[part], *two[part]]).flatten(1)
    there = alone["splits"][part].flatten(1)
    assert sorted(seen.tolist()) == sorted(there.tolist())
    if part == "train":
        sizes = list(zip(one["sizes"], two["sizes"], strict=True))
        assert set(sizes[:-1]) == ({(32, 32)} if name == "usual" else {(4, 4)})
        assert sizes[-1] == ((21, 20) if name == "usual" else (1, 0))


@pytest.mark.slow
def test_all_stop_together(pair):
    one, two, alone = pair("stopped")
    assert one["result"]["epochs"] == two["result"]["epochs"] == alone["result"]["epochs"] == 2


@pytest.mark.slow
def test_a_diverged_run_ends_on_all_at_the_same_step(pair):
    one, two, alone = pair("diverged")
    assert one["result"]["error"] == two["result"]["error"] == alone["result"]["error"]
    assert one["result"]["error"].startswith("RunError: the loss is ")


@pytest.mark.slow
def test_batch_norm_and_augmentation(pair):
    one, two, _ = pair("batch_norm")
    assert one["result"]["metrics"] == two["result"]["metrics"]
    assert one["result"]["metrics"]["test/accuracy"] > 0.5
    parameters = [name for name in one["weights"] if "running" not in name]
    assert all(torch.equal(one["weights"][name], two["weights"][name]) for name in parameters)


@pytest.mark.slow
def test_a_split_with_fewer_samples_than_devices_is_refused(pair):
    one, two, alone = pair("few")
    assert "2 in all cannot share 1 samples (val split)" in one["result"]["error"]
    assert one["result"]["error"] == two["result"]["error"]
    assert alone["result"].get("error") is None


def command(*overrides, folder):
    return [sys.executable, "scripts/train.py", *DDP, f"paths.log_dir={folder}", *overrides]


def finish(words):
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=ENDLESS)


def processes_of(folder):
    """Processes with that folder on their command line or, as the others of a run, in their environment."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            words = (each / "cmdline").read_bytes() + (each / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and int(each.name) != os.getpid():
            found.append(int(each.name))
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """For logs; no process of it is left."""
    monkeypatch.setenv("LITLAB_TEST", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    until = time.monotonic() + 60
    while (left := processes_of(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []
    assert list(tmp_path.glob("litlab-*")) == []  # where they met


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_in_a_sweep_each_job_has_its_own_processes(folder, read_result, launcher):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher" if launcher == "joblib" else "hydra")
    words = ["-m", "seed=3,4", "trainer.max_epochs=1", f"hydra/launcher={launcher}"]
    done = finish(command(*words, folder=folder))
    assert done.returncode == 0, done.stderr
    runs = sorted(file.parent for file in folder.glob("train/multiruns/*/*/result.json"))
    assert [read_result(run)["seed"] for run in runs] == [3, 4]
    for run in runs:
        result = read_result(run)
        assert (result["status"], result["environment"]["devices"]) == ("completed", 2)
        assert "epoch 1: " in (run / "rank1.log").read_text()
        names = {path.name for path in run.iterdir()} - {".hydra", "train.log", "rank1.log"}
        assert names == {"checkpoints", "history.csv", "plots", "result.json", "tensorboard"}
    assert list(folder.glob("train/runs/*")) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("whom", "what", "code", "status", "message"),
    [
        ("train.log", signal.SIGKILL, 1, "failed", "error: process 0 of 2 (counted from 0) was killed by SIGKILL"),
        ("rank1.log", signal.SIGKILL, 1, "failed", "error: process 1 of 2 (counted from 0) was killed by SIGKILL"),
        ("main", signal.SIGINT, 130, "interrupted", "stopped; its result.json is in "),
        ("main", signal.SIGTERM, 143, "interrupted", "stopped; its result.json is in "),
        ("main", signal.SIGKILL, -9, "running", ""),
    ],
)
def test_no_process_is_left(folder, read_result, whom, what, code, status, message):
    with subprocess.Popen(command(*LONG, folder=folder), cwd=ROOT, stderr=subprocess.PIPE, text=True) as main:
        try:
            [run] = await_epoch(folder)
            others = [pid for pid in processes_of(folder) if pid != main.pid]
            [victim] = [main.pid] if whom == "main" else [pid for pid in others if writes(pid, run / whom)]
            os.kill(victim, what)
            _, said = main.communicate(timeout=ENDLESS)
        finally:
            main.kill()
    assert main.returncode == code
    assert said.startswith(message) and said.count("\n") == (1 if message else 0)
    assert read_result(run)["status"] == status
    if status == "failed":
        assert "SIGKILL" in read_result(run)["error"] and whom in read_result(run)["error"]


def await_epoch(folder):
    until = time.monotonic() + ENDLESS
    while time.monotonic() < until:
        for log in folder.glob("train/runs/*/rank1.log"):
            if "epoch 2: " in log.read_text():
                return [log.parent]
        time.sleep(0.1)
    raise AssertionError("no epoch began")


def writes(pid, file):
    return any(each.readlink() == file for each in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.slow
def test_a_diverged_run_is_one_line(folder):
    done = finish(command("optimizer.lr=1e30", "scheduler=none", folder=folder))
    assert done.returncode == 1
    assert done.stderr.startswith("error: the loss is ") and done.stderr.count("\n") == 1


# torchrun's own store listens on all interfaces; here there is but the loopback.
APART = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def has_namespaces():
    words = [*APART, "true"]
    return shutil.which("unshare") is not None and subprocess.run(words, capture_output=True).returncode == 0


@pytest.mark.slow
def test_torchrun(folder, read_result):
    if not has_namespaces():
        pytest.skip("no network namespaces here")
    torchrun = [*APART, sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "scripts/train.py"]
    words = ["data=digits", "trainer=ddp", "trainer.accelerator=cpu", "threads=1", f"paths.log_dir={folder}"]
    done = finish([*torchrun, *words, "trainer.max_epochs=2"])
    assert done.returncode == 0, done.stderr
    [run] = folder.glob("train/runs/*")
    assert read_result(run)["status"] == "completed"
    assert read_result(run)["environment"]["devices"] == 2
    assert done.stdout.count("run directory") == 1
    assert len(list(run.glob("plots/curves.png"))) == 1
    assert "epoch 2: " in (run / "rank1.log").read_text()
    refused = finish([*torchrun, *words, "data.batch_size=63"])
    assert refused.returncode != 0
    assert refused.stderr.count("error: data.batch_size=63: must be a multiple of the 2 devices") == 1
