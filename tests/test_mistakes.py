"""Mutated command lines and broken files: an exit code, a few lines that name the setting, and nothing left behind."""

import os
import random
import re
import signal
from contextlib import contextmanager

import pytest
import yaml
from broken_files import broken_files

from litlab.data.input_files import find_files
from litlab.errors import RequestError
from litlab.verbs.find import find_run

LINES = int(os.environ.get("LITLAB_MISTAKES", 120))  # 500 takes minutes
FIRST = int(os.environ.get("LITLAB_MISTAKES_FIRST", 0))  # the number of the first one: others are others
SMALL = (
    "threads=1", "logger=none", "~callbacks.pictures", "trainer=cpu", "trainer.max_epochs=1", "trainer.max_steps=1",
    "trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1",
)  # fmt: skip
DATA = ("digits", "table", "image_folder", "arrays", "text")
MODELS = (
    "cnn", "cnn1d", "embedding_bag", "linear", "mlp", "mlp_periodic", "mlp_table", "polynomial", "resnet", "rnn",
    "tabm", "transformer",
)  # fmt: skip
GROUPS = ("data", "model", "task", "optimizer", "scheduler", "augmentation", "trainer", "tune", "callbacks")
VALUES = (
    "", "null", "true", "text", "-1", "0", "1", "0.5", "-0.0", "1e308", "-1e308", "1" + 30 * "0", "nan", "inf", "[]",
    "[1,a]", "[[]]", "{}", "{a:1}", "{_target_:os.system}", "é", "한국어", "\u202e", "\x1b[31mred", "a" * 5000, "a b",
    "${nothing}", "${oc.env:NOTHING}", "???", "'", "[", "1,2", "a=b", "..", "/", "*", "-", "\\", "%s", "{0}", "0x1f",
)  # fmt: skip
INTERNAL = "LITLAB_TRACEBACK=1 shows"  # an error that nothing has foreseen
NAMED = re.compile(r"error: [~+]*[\w.@/-]+( \(.*?\))?[=:]")  # the setting comes first


def keys(root, group, name):
    """The settings of an option, with its group."""
    content = yaml.safe_load((root / "conf" / group / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    return [f"{group}.{key}" for key in content if key != "defaults"]


def mangled(chance, word):
    """The word with one character twice, left out, or another one."""
    at = chance.randrange(len(word) or 1)
    return word[:at] + chance.choice(["", word[at : at + 1] * 2, "x", "é", ".", " "]) + word[at + 1 :]


def command_line(chance, root, files, broken, runs):
    """The script, its words, and those of them that are changed."""
    script = chance.choice(["train"] * 4 + ["describe"] * 2 + ["evaluate", "predict", "export", "compare"])
    data = chance.choice(DATA)
    if script in ("train", "describe"):
        model = "embedding_bag" if data == "text" else chance.choice(MODELS)
        words = [f"data={data}", *(word for word in files[data] if not word.startswith("model="))]
        words += [f"model={model}"] if script == "train" else []
        names = keys(root, "data", data)
        if script == "train":
            names += keys(root, "model", model) + keys(root, "trainer", "auto") + ["seed", "threads", "resume"]
            names += [*keys(root, "optimizer", "sgd"), "scheduler.max_lr", "task.steps_per_execution", "evaluate_train"]
    else:
        words = {
            "evaluate": [f"run={runs[data]}", "split=test"],
            "predict": [f"run={runs[data]}", f"input={files[f'{data} input']}"],
            "export": [f"run={runs[data]}", "formats=safetensors"],
            "compare": [str(runs["digits"]), str(runs["table"])],
        }[script]
        names = [
            "split",
            "input",
            "topk",
            "batch_size",
            "key",
            "formats",
            "trainer",
            "data",
            "data.batch_size",
            "trust",
        ]
    changed = []
    for _ in range(chance.randint(1, 2)):
        kind = chance.choice(["file"] * 3 + ["value"] * 3 + ["typo", "wrong", "swap", "drop", "delete", "add"])
        at = chance.randrange(len(words) or 1)
        name, _, value = words[at].partition("=") if words else ("", "", "")
        if kind == "file" and broken.get(data) and script != "compare":
            option = "input" if script == "predict" else "data.root" if data == "image_folder" else "data.file"
            words = [word for word in words if not word.startswith(f"{option}=")]
            word = f"{option}={chance.choice(broken[data])}"
        elif kind == "typo" and words:
            word = words.pop(at)
            word = f"{mangled(chance, name)}={value}" if chance.random() < 0.5 else mangled(chance, word)
        elif kind == "wrong" and words:
            words.pop(at)
            word = f"{name}={chance.choice(VALUES)}"
        elif kind == "swap":
            group = chance.choice(GROUPS)
            word = f"{group}={chance.choice([*DATA, *MODELS, 'sgd', 'plateau', 'binary', 'regression', 'shift'])}"
        elif kind == "drop" and words:
            words.pop(at)
            continue
        elif kind in ("delete", "add"):
            word = "~" + chance.choice(names) if kind == "delete" else "+" + chance.choice(names) + "=1"
        else:
            word = f"{chance.choice(names)}={chance.choice(VALUES)}"
        changed.append(word)
        words.append(word)
    fixed = [f"paths.data_dir={files['cache']}", *SMALL] if script == "train" else []
    return script, (*fixed, *words), changed


@contextmanager
def at_most(seconds):
    """Raise TimeoutError where the body takes longer."""

    def late(number, frame):
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def faults(code, out, err, changed):
    """What a user would not bear about the end of a program."""
    lines = err.splitlines()
    if code not in (0, 1, 2):
        yield f"exit code {code}"
    if "Traceback" in out + err:
        yield "a traceback"
    if INTERNAL in err:
        yield "an internal error"
    if len(lines) > 8:
        yield f"{len(lines)} lines"
    if any(len(line) > 2000 for line in lines):
        yield "a line without end"
    if code and not lines and not out:
        yield "no message"
    known = [part for word in changed for part in (word, *word.lstrip("~+").split("=", 1))]
    for line in lines if code == 2 else ():
        if not NAMED.match(line) and not any(word and word in line for word in known):
            yield "no setting named"


def listing(*folders):
    """The files of the folders, apart from runs and caches."""
    found = (path for folder in folders for path in folder.rglob("*") if not {"logs", "data"} & set(path.parts))
    return {path for path in found if ".pytest_cache" not in path.parts and "__pycache__" not in path.parts}


def test_names_too_long_and_folders_that_are_no_input(tmp_path):
    for find, told in (
        (lambda name: find_run(name, tmp_path), "run=aaaa"),
        (lambda name: find_files([name]), "input=aaaa"),
    ):
        with pytest.raises(RequestError, match=rf"^{told}.*there is no such "):
            find("a" * 5000)
    with pytest.raises(RequestError, match=r"^input=/: is the whole file system; name a folder of images in it$"):
        find_files(["/"])
    (tmp_path / "locked").mkdir(mode=0)
    (tmp_path / "a.png").touch()
    assert find_files([str(tmp_path)]) == ([tmp_path / "a.png"], [])


@pytest.mark.slow
def test_no_mistake_shows_a_traceback_or_leaves_files(program, own_files, tmp_path, root):
    files = {"digits": [], "cache": tmp_path / "data"} | {data: words for data, words in own_files.items() if data}
    for data in DATA:
        files[f"{data} input"] = files[data][0].partition("=")[2] if files[data] else own_files[None] / "photos" / "cat"
    broken = broken_files(own_files[None])
    runs = {}
    for data in DATA:
        code, _, err = program("train", f"data={data}", *files[data], *SMALL)
        assert (code, err) == (0, "")
        (runs[data],) = set((tmp_path / "logs" / "train" / "runs").iterdir()) - set(runs.values())
    there, found = listing(tmp_path, own_files[None]), []
    for number in range(FIRST, FIRST + LINES):
        script, words, changed = command_line(random.Random(number), root, files, broken, runs)
        try:
            with at_most(30):
                code, out, err = program(script, *words)
            wrong = [*faults(code, out, err, changed)]
        except BaseException as error:  # that left the program
            wrong, err = [f"{type(error).__name__} left it: {error}"], ""
        new = listing(tmp_path, own_files[None]) - there
        there.update(new)
        asked = any(word.lstrip("~+").startswith(("paths.", "to=", "output=")) for word in changed)
        wrong += [f"wrote {path}" for path in new if not asked]
        if wrong:
            found.append(f"{', '.join(wrong)}: {script} {' '.join(map(repr, words))}\n    {err[:1500]}")

    assert not found, f"{len(found)} of {LINES}:\n" + "\n".join(found)
