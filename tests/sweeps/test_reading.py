"""What is read of sweeps' folders: whole, odd, foreign, dead and missing results."""

import json
import os
import time

import pytest
from sweep_results import by_rate, failed, job, save

from litlab.errors import RequestError
from litlab.runs.heartbeat import this_process
from litlab.sweeps.leaderboard import read, read_and_rank
from litlab.sweeps.page import as_html
from litlab.sweeps.report import print_leaderboard
from litlab.sweeps.summary import summarize

LR = "optimizer.lr"


def odd(**changes):
    return json.dumps(job({LR: 0.1}) | changes).encode()


def nested(depth):
    return {"model": nested(depth - 1)} if depth else {}


def monitor(**changes):
    return odd(monitor={"metric": "val/accuracy", "mode": "max", "best": 0.9, "epoch": 1} | changes)


def process(**changes):
    return odd(status="running", process={"host": "elsewhere", "pid": 7} | changes)


WRONG = ([1], {"a": 1}, 7, True, "text")  # of which a field takes one or two kinds at most
ODD = {
    "status: must be completed, failed, interrupted, pruned or running": [
        *(odd(status=wrong) for wrong in (*WRONG, None, "completed\n", "\x1b[2J")),
        b"{}",
    ],
    "must be a mapping": [b"7", b"[]", b'"completed"', b"null", *(odd(monitor=w) for w in WRONG if w != {"a": 1})],
    "settings: must be a mapping": [odd(settings=wrong) for wrong in WRONG if wrong != {"a": 1}],
    "names": [*(odd(choices=wrong) for wrong in WRONG), odd(choices={"a": "m" * 999}), odd(swept=[1]), odd(swept=1)],
    "must be text": [odd(error=[1]), odd(started=7), odd(checkpoint={"a": 1}), odd(test_split=[1])],
    "overrides: must be a list of texts": [odd(overrides=[7]), odd(overrides="seed=0"), odd(overrides={"a": 1})],
    "seed: must be a number or text": [odd(seed=[1]), odd(seed={"a": 1})],
    "monitor.": [
        monitor(metric=[1]), monitor(metric={}), monitor(metric="val/" + "x" * 300), monitor(mode="up"),
        monitor(mode=[1]), monitor(best="0.9"), monitor(best=[1]), monitor(best=True), monitor(epoch="3"),
    ],
    "metrics: must be numbers by name": [odd(metrics=[1]), odd(metrics={"test/accuracy": "0.8"}), odd(metrics="0.9")],
    "seconds": [odd(seconds="4"), odd(seconds_training=[1])],
    "process": [process(pid=-1), process(pid=0), process(pid="7"), process(pid=2**40), process(host=[1]),
                process(host=None), process(start="x"), odd(process=7)],
    "a number of 4,000 digits": [each.replace(b'"N"', b"9" * 4000) for each in (odd(seed="N"), monitor(best="N"))],
    "digits": [odd(seconds="N").replace(b'"N"', b"9" * 5000)],
    "nested deeper than 50 levels": [odd(settings=nested(60)), b"[" * 100_000, odd(x=nested(100))],
    "": [b"", b"\xff\xfe", b"{", b'{"status": "comp', b"\0" * 100, odd()[:-1], b"nan", b"\xef\xbb\xbf" + odd()[1:]],
    "larger than 10 MiB": [odd(more="x" * 10 * 2**20)],
}  # fmt: skip
STRANGE = [  # but results: they are shown
    *(odd(error=text, status="failed") for text in ("\ud800", "\x1b]0;x\x07", "a\nb\rc", "=1+1", "|" * 99, "")),
    *(odd(overrides=[text]) for text in ("", "=", "a=\ud800", "${", "~", "x=$(rm -rf .)", "seed=\n")),
    *(monitor(best=number) for number in (1e308, -1e308, 5e-324, 10**299, float("inf"), float("nan"), None)),
    *(monitor(metric=name) for name in ("", "../../x", "val/\0", "$x^2$", "\ud800", "a" * 200)),
    *(odd(settings={"optimizer": {"lr": value}}) for value in (10**299, -1e308, float("nan"), [[1]], "\ud800")),
    *(odd(swept=["", ".", "\ud800"]), odd(seed=1e999, choices=None)),
    odd(settings={"": {"": {"": 0}}, "a.b": 1, "\ud800": 2}),
]  # fmt: skip


def test_no_odd_result_stops_the_leaderboard(tmp_path):
    cases = [(content, why) for why, contents in ODD.items() for content in contents]
    assert len(cases) > 60
    for number, (content, _) in enumerate(cases):
        (tmp_path / f"odd{number}").mkdir()
        (tmp_path / f"odd{number}" / "result.json").write_bytes(content)
    save(tmp_path / "good", by_rate({0.1: 0.9, 0.2: 0.9}))
    results = {result.run_dir.name: result for result in read([tmp_path])}
    for number, (content, why) in enumerate(cases):
        result = results[f"odd{number}"]
        assert result.status == "unreadable" and why in result.error, (content[:300], why, result.error)
    board = summarize([tmp_path])
    assert board.jobs == {"completed": 2, "unreadable": len(cases)}
    assert len(board.rows) == 2 + len(cases) and board.rows[0].values == (0.1,)
    assert (
        len(board.warnings) == 7
        and board.warnings[5] == f"{len(cases) - 5:,} more files cannot be read; jobs.csv lists them"
    )


def with_others(folder, content):
    """A folder with this result.json, and two of usual results."""
    for name, each in {"0": content, "1": odd(), "2": json.dumps(job({LR: 0.2})).encode()}.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "result.json").write_bytes(each)
    return folder


@pytest.mark.parametrize("content", STRANGE)
def test_a_strange_result_is_shown(tmp_path, content, capsys):
    board = summarize([with_others(tmp_path, content)], page=False)
    print_leaderboard(board, tmp_path)
    assert "unreadable" not in board.jobs and board.jobs.total() in (2, 3)
    (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.parent.iterdir() if path.suffix} == set()


@pytest.mark.slow
def test_a_strange_result_is_shown_in_a_browser(tmp_path):
    for number, content in enumerate(STRANGE):
        folder = with_others(tmp_path / str(number), content)
        assert as_html(read_and_rank([folder]), folder).endswith("</html>"), content


def test_only_regular_files_are_read(tmp_path):
    for name in ("pipe", "zero", "loop", "folder"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe" / "result.json")
    (tmp_path / "zero" / "result.json").symlink_to("/dev/zero")
    (tmp_path / "loop" / "result.json").symlink_to("result.json")
    (tmp_path / "folder" / "result.json").mkdir()
    errors = {result.run_dir.name: result.error for result in read([tmp_path])}
    assert errors.keys() == {"pipe", "zero", "loop"}
    assert errors["pipe"] == errors["zero"] == "not a regular file" and "symbolic links" in errors["loop"]


def test_reading_survives_half_written_foreign_and_dead_results(tmp_path):
    dead = {"status": "running", "process": {"host": "elsewhere", "pid": 1}}
    alive = failed({LR: 2}, status="running", error=None, process=this_process())
    foreign = {"status": "completed", "question": "?"}
    folder = save(tmp_path / "sweep", [job({LR: 0.1}), failed({LR: 1}, **dead), {"status": 7}, {}, alive, foreign])
    os.utime(folder / "1" / "result.json", (0, 0))
    (folder / "3" / "result.json").write_text('{"status": "comp', encoding="utf-8")
    (folder / "0" / "checkpoints").mkdir()
    (folder / "0" / "checkpoints" / "result.json").write_text("not this one", encoding="utf-8")
    (folder / "9").mkdir()  # a job that has not started
    results = [(result.run_dir.name, result.status) for result in read([folder])]
    odd = [(name, "unreadable") for name in "235"]
    assert sorted(results) == sorted([("0", "completed"), ("1", "died"), ("4", "running"), *odd])
    board = read_and_rank([folder])
    assert [row.status for row in board.rows[:4]] == [
        "completed", "running", "died", "unreadable: status: must be completed, failed, interrupted, pruned or running",
    ]  # fmt: skip
    assert board.rows[-1].status == "unreadable: not the result of a training"
    assert [f"{folder / name / 'result.json'} cannot be read" for name in "235"] == [
        warning.partition(":")[0] for warning in board.warnings
    ]


def test_several_folders_are_joined_each_result_once(tmp_path):
    for name, lr in (("a", 0.1), ("b", 0.2)):
        save(tmp_path / name, [job({LR: lr}, lr)])
    assert len(read([tmp_path / "a", tmp_path / "a"])) == 1
    board = summarize([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert [row.values for row in board.rows] == [(0.2,), (0.1,)]
    files = {"jobs.csv", "summary.csv", "summary.md", "summary.html", "summary_line.png"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == files
    assert not (tmp_path / "a" / "summary.csv").exists()
    assert [row.values for row in read_and_rank([tmp_path]).rows] == [(0.2,), (0.1,)]


@pytest.mark.parametrize(("name", "why"), [("absent", "no such folder"), ("empty", "no result.json below it")])
def test_a_wrong_folder_is_named(tmp_path, name, why):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match=f"{name}: {why}; name the folder of a sweep"):
        read([tmp_path / name])


@pytest.mark.slow
def test_many_results_take_little_time(tmp_path):
    """1,000 of the size of real ones: 10,000 have to take below 10 seconds, pictures included."""
    size, more = 1000, {f"name{number}": number / 3 for number in range(120)}
    jobs = [job({LR: 1 + k // 3, "data.batch_size": 2 ** (k // 3 % 3)}, k, seed=k % 3, more=more) for k in range(size)]
    folder = save(tmp_path, jobs)
    assert len(json.dumps(jobs[0], indent=2)) > 4000
    summarize([folder])  # matplotlib is imported
    started = time.process_time()
    for file in folder.glob("*/result.json"):
        json.loads(file.read_bytes())
    reading = time.process_time() - started  # 0.1 to 0.2 s: says how fast the machine is
    started = time.process_time()
    board = summarize([folder])
    took = time.process_time() - started
    assert len(board.rows) == -(-size // 3)
    assert took < max(3, 15 * reading)
