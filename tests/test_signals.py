"""Signals: recorded on arrival, obeyed where stopping breaks nothing; a second one ends the process at once."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import lightning.pytorch as L
import pytest

from litlab import signals
from litlab.errors import Interrupted
from litlab.runs.recording import recorded
from litlab.runs.result import Result

ROOT = Path(__file__).resolve().parents[1]
RUNS = int(os.environ.get("LITLAB_STORM", "12"))  # stopped runs of the slow test


def send(number):
    os.kill(os.getpid(), number)


def test_a_signal_waits_for_the_next_check():
    passed = []
    with pytest.raises(Interrupted) as stop, signals.handled():
        signals.check()
        send(signal.SIGTERM)
        send(signal.SIGINT)  # 2 ms later, or none: the same wish
        passed.append(signals.received())
        signals.check()
        passed.append("too far")
    assert passed == [signal.SIGTERM] and stop.value.signum == signal.SIGTERM
    assert signals.received() is None or signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_signal_raises_at_once_where_that_is_said():
    passed = []
    with signals.handled():
        with pytest.raises(Interrupted), signals.at_once():
            with signals.deferred():
                passed.append("deferred")
            with contextlib.suppress(BaseException):  # someone's own code, that takes it for an error
                send(signal.SIGTERM)
                passed.append("too far")
            send(signal.SIGINT)
            passed.append("swallowed")
            signals.check()
            passed.append("too far")
        with pytest.raises(Interrupted), signals.at_once():  # and again: whoever goes on does not get far
            passed.append("too far")
    assert passed == ["deferred", "swallowed"]


def test_in_a_notebook_an_impatient_user_stops_the_run_and_not_the_process(monkeypatch):
    monkeypatch.setattr(signals, "IMPATIENCE", 0.0)
    passed = []
    with pytest.raises(Interrupted), signals.handled(may_exit=False), signals.handled():
        send(signal.SIGINT)
        passed.append("recorded")
        time.sleep(0.01)
        send(signal.SIGINT)
        passed.append("too far")
    assert passed == ["recorded"]


def test_a_deferred_signal_waits_for_the_end_of_its_region():
    passed = []
    with pytest.raises(Interrupted), signals.handled(), signals.at_once():
        with signals.deferred():
            send(signal.SIGTERM)
            passed.append("deferred")
        passed.append("too far")
    assert passed == ["deferred"]


def test_a_signal_where_nothing_can_be_raised_is_silent_and_obeyed(monkeypatch):
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)  # else it prints

    class Dying:
        def __del__(self):
            send(signal.SIGTERM)

    passed = []
    with pytest.raises(Interrupted), signals.handled(), signals.at_once():
        Dying()
        passed.append("the exception is lost")
    assert passed == ["the exception is lost"] and lost == []


def test_a_signal_after_the_end_does_nothing():
    with signals.handled():
        signals.ignore()
        send(signal.SIGTERM)
        signals.check()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_nohup_is_obeyed():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals.handled():
        send(signal.SIGHUP)
        signals.check()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_forked_process_ends_as_any_does(tmp_path):
    """Workers that load data are ended by SIGTERM; they write no result."""
    with recorded(tmp_path, Result()):
        if (pid := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                send(signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        assert json.loads((tmp_path / "result.json").read_text())["status"] == "running"


def test_an_impatient_users_second_signal_ends_the_process_on_the_spot(tmp_path):
    code = "import time; from pathlib import Path; from litlab import signals\n"
    code += "from litlab.runs.recording import Result, recorded\n"
    code += "signals.IMPATIENCE = 0.1\n"
    code += f"with recorded(Path({str(tmp_path)!r}), Result()):\n    print('begun', flush=True)\n    time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    result = json.loads((tmp_path / "result.json").read_text())
    assert (process.returncode, said) == (128 + signal.SIGTERM, b"stopped on the spot\n")
    assert (result["status"], result["error"]) == ("interrupted", "stopped by SIGTERM")


def test_lightning_leaves_the_signals_alone(fit):
    """What an upgrade of Lightning's private `_signal_connector` would break."""

    class Look(L.Callback):
        def on_train_batch_end(self, *_):
            handlers.append(signal.getsignal(signal.SIGTERM))
            send(signal.SIGTERM)

    handlers = []
    with pytest.raises(Interrupted), signals.handled():
        ours = signal.getsignal(signal.SIGTERM)
        fit("data=digits", "model=linear", callbacks=[Look()])
    assert handlers == [ours]  # one call, then the next step stops


@pytest.mark.slow
def test_runs_stopped_at_random_moments_are_interrupted(tmp_path):
    """None hangs, none fails, none says something else than its exit code. LITLAB_STORM=300: more of them."""
    words = [sys.executable, str(ROOT / "tests" / "fixtures" / "signal_storm.py"), str(tmp_path), str(RUNS)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["bad"] == [] and sum(report["counts"].values()) == RUNS
