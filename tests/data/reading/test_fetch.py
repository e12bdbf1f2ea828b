"""Where MNIST and Fashion-MNIST come from. None of these tests leaves this machine, but for the slow one."""

import hashlib
import logging
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torchvision import datasets

from litlab.data.reading import fetch, idx, mirrors
from litlab.errors import RequestError, RunError

SHARED = Path(__file__).parents[4] / "shared" / "data"
TRAIN_IMAGES = "train-images-idx3-ubyte"
PATHS = [f"/{file}.gz" for file in idx.FILES]
processes = multiprocessing.get_context("fork")  # the children inherit the small data set and the mirror


def assert_loads(small, data_dir):
    loaded = fetch.load("FashionMNIST", data_dir)
    for values, truth in zip(loaded, small.tensors, strict=True):
        assert values.dtype == torch.uint8
        assert torch.equal(values, truth)


def refusal(data_dir, name="FashionMNIST"):
    with pytest.raises(RequestError) as error:
        fetch.load(name, data_dir)
    assert "\n" not in str(error.value)
    return str(error.value)


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class Mirror(ThreadingHTTPServer):
    """A mirror on the loopback. It counts requests, and can be made slow, stalling, or a liar."""

    daemon_threads, block_on_close = True, False

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), MirrorHandler)
        self.files = {f"/{file}.gz": data for file, data in files.items()}
        self.asked = []
        self.pause = 0.0  # seconds between the halves of each file
        self.halfway = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *_):
        pass  # a test kills its client


class MirrorHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        data = self.server.files.get(self.path)
        self.server.asked.append(self.path)
        if data is None:
            self.send_error(404, "not here")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        self.server.halfway.set()
        time.sleep(self.server.pause)
        self.wfile.write(data[len(data) // 2 :])

    def log_message(self, *_):
        pass


@pytest.fixture
def raw(tmp_path):
    """The folder of the files in a data_dir `tmp_path`."""
    return tmp_path / "FashionMNIST" / "raw"


@pytest.fixture
def mirror(small_fashion, monkeypatch):
    served = Mirror(small_fashion.packed)
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [served.url])
    yield served
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize("folder", ["FashionMNIST/raw", "FashionMNIST"])
@pytest.mark.parametrize("unpacked", [False, True])
def test_files_in_data_dir_are_read_and_left_alone(small_fashion, tmp_path, folder, unpacked):
    data_dir = tmp_path / "data"
    small_fashion.write(data_dir / folder, unpacked)
    if not unpacked:  # some browsers unpack a file and keep its name
        (data_dir / folder / f"{TRAIN_IMAGES}.gz").write_bytes(small_fashion.contents[TRAIN_IMAGES])
    before = sorted(data_dir.rglob("*"))
    fetch.fetch("FashionMNIST", data_dir)
    assert_loads(small_fashion, data_dir)
    assert sorted(data_dir.rglob("*")) == before


def test_the_copy_of_the_operating_system_is_read_in_place(small_fashion, mirror, raw, tmp_path, caplog):
    system = small_fashion.system_dir
    small_fashion.write(system)
    fetch.fetch("FashionMNIST", tmp_path)
    assert_loads(small_fashion, tmp_path)
    assert not raw.parent.exists()
    (system / f"{TRAIN_IMAGES}.gz").write_bytes(b"\x1f\x8b damaged")
    assert_loads(small_fashion, tmp_path)
    assert mirror.asked == PATHS[:1]
    assert (system / f"{TRAIN_IMAGES}.gz").read_bytes() == b"\x1f\x8b damaged"
    assert [str(system / TRAIN_IMAGES) in line for line in warnings_in(caplog)] == [True]


def test_the_mirror_serves_what_is_missing_once(small_fashion, mirror, raw, tmp_path, capfd):
    fetch.fetch("FashionMNIST", tmp_path)
    assert_loads(small_fashion, tmp_path)
    assert mirror.asked == PATHS
    files = {path.name: path.read_bytes() for path in raw.iterdir()}
    assert files == {f"{file}.gz": packed for file, packed in small_fashion.packed.items()}
    assert not list(raw.parent.glob(".partial-*"))
    assert capfd.readouterr() == ("", "")


def test_the_next_mirror_takes_over_from_one_that_fails(small_fashion, mirror, tmp_path, monkeypatch):
    del mirror.files[PATHS[2]]
    folder = tmp_path / "mirror"
    small_fashion.write(folder)
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [mirror.url, f"{folder.as_uri()}/"])
    assert_loads(small_fashion, tmp_path / "data")
    assert mirror.asked == PATHS[:3]


def test_a_mirror_that_serves_other_bytes_or_stalls_is_given_up(mirror, raw, tmp_path, monkeypatch):
    served = dict(mirror.files)
    mirror.files[PATHS[0]] += b"\0"  # the content is right
    assert f"serves another {TRAIN_IMAGES}.gz (wrong checksum" in refusal(tmp_path)
    assert not list(raw.iterdir())
    mirror.files, mirror.pause, mirror.asked[:] = served, 30.0, []
    monkeypatch.setattr(mirrors, "MIRROR_TIMEOUT", 1.0)
    started = time.monotonic()
    message = refusal(tmp_path)
    assert f"does not serve {TRAIN_IMAGES}.gz (" in message and "timed out)" in message
    assert time.monotonic() - started < 15
    assert mirror.asked == PATHS[:1]  # the other three are not waited for


def test_when_all_mirrors_fail_one_line_says_what_was_tried_and_what_to_do(
    small_fashion, mirror, raw, tmp_path, monkeypatch
):
    mirror.files.clear()
    closed = "http://127.0.0.1:9/"  # the discard port: nobody listens
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [mirror.url, closed])
    message = refusal(tmp_path)
    assert f"no intact files of it in {raw} or {small_fashion.system_dir};" in message
    assert f"{mirror.url} does not serve {TRAIN_IMAGES}.gz (HTTP Error 404: not here);" in message
    assert f"{closed} does not serve {TRAIN_IMAGES}.gz ([Errno 111] Connection refused);" in message
    assert "apt-get download dataset-fashion-mnist is not possible (no apt-get and dpkg here);" in message
    assert f"put {', '.join(f'{file}.gz' for file in idx.FILES)} in {raw}, or set paths.data_dir" in message


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (f"{TRAIN_IMAGES}.gz", lambda data: data[: len(data) // 2]),
        (f"{TRAIN_IMAGES}.gz", lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]),
        (f"{TRAIN_IMAGES}.gz", lambda data: b""),
        (TRAIN_IMAGES, lambda data: data[: len(data) // 2]),
        (TRAIN_IMAGES, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    ],
    ids=["truncated-gz", "wrong-crc", "empty-gz", "truncated", "altered"],
)
def test_a_damaged_file_is_named_and_downloaded_again(small_fashion, mirror, raw, tmp_path, caplog, name, damage):
    small_fashion.write(raw, unpacked=not name.endswith(".gz"))
    (raw / name).write_bytes(damage((raw / name).read_bytes()))
    assert_loads(small_fashion, tmp_path)
    assert mirror.asked == PATHS[:1]
    [warning] = warnings_in(caplog)
    assert warning.startswith(f"{raw / name} is damaged (") and "\n" not in warning
    caplog.clear()
    assert_loads(small_fashion, tmp_path)
    assert mirror.asked == PATHS[:1] and warnings_in(caplog) == []  # it stays repaired


def test_a_damaged_file_is_deleted_beside_an_intact_copy_and_else_named_and_kept(small_fashion, raw, tmp_path):
    small_fashion.write(raw)
    (raw / TRAIN_IMAGES).write_bytes(b"damaged")
    assert_loads(small_fashion, tmp_path)  # there is no mirror
    assert sorted(path.name for path in raw.iterdir()) == sorted(f"{file}.gz" for file in idx.FILES)
    damaged = raw / f"{TRAIN_IMAGES}.gz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert f"{damaged} is damaged (not a whole gzip file" in refusal(tmp_path)
    assert damaged.read_bytes() == small_fashion.packed[TRAIN_IMAGES][:100]


@pytest.fixture
def apt(small_fashion, tmp_path):
    """Fake apt-get and dpkg; the file where they write how they were called.

    The file `lists` beside it stands for the package lists, which `apt-get update` fills.
    """
    package, calls = tmp_path / "package", tmp_path / "calls"
    small_fashion.write(package)
    mkdir, cp = (shutil.which(name, path=os.defpath) for name in ("mkdir", "cp"))
    commands = {
        "apt-get": f"""
            for word; do case "$word" in -*) ;; *) words="$words $word" ;; esac; done
            echo "apt-get$words" >> {calls}
            if [ "$words" = " update" ]; then : > {tmp_path}/lists; exit 0; fi
            if [ ! -e {tmp_path}/lists ]; then
                echo "E: Unable to locate package dataset-fashion-mnist" >&2
                echo "W: a harmless warning" >&2
                exit 100
            fi
            echo "noise on stdout"; echo "W: Download is performed unsandboxed as root" >&2
            : > dataset-fashion-mnist_1_all.deb""",
        "dpkg": f"""
            echo "dpkg $1" >> {calls}
            [ -e "$2" ] || exit 2
            {mkdir} -p "$3/usr/share/datasets"
            {cp} -r {package} "$3/usr/share/datasets/fashion-mnist" """,
    }
    for name, script in commands.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return calls


DOWNLOAD = "apt-get download dataset-fashion-mnist"


def test_apt_brings_the_files_without_installing_them(small_fashion, apt, raw, tmp_path, capfd):
    (tmp_path / "lists").touch()
    fetch.fetch("FashionMNIST", tmp_path)
    assert_loads(small_fashion, tmp_path)
    assert apt.read_text().splitlines() == [DOWNLOAD, "dpkg -x"]
    files = {".lock", "raw", *(f"raw{path}" for path in PATHS)}
    assert {path.relative_to(raw.parent).as_posix() for path in raw.parent.rglob("*")} == files
    assert capfd.readouterr() == ("", "")


def test_apt_with_empty_lists_is_updated_by_root_alone_and_never_for_mnist(apt, tmp_path, monkeypatch, small_fashion):
    monkeypatch.setattr(datasets.MNIST, "mirrors", [])
    missing = f"MNIST is missing: no intact files of it in {tmp_path}/MNIST/raw; put "
    assert refusal(tmp_path, "MNIST").startswith(missing)
    assert not apt.exists()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    reason = "failed (E: Unable to locate package dataset-fashion-mnist)"
    assert f"{DOWNLOAD} {reason}; run: sudo apt-get update;" in refusal(tmp_path)
    assert apt.read_text().splitlines() == [DOWNLOAD]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert_loads(small_fashion, tmp_path)
    assert apt.read_text().splitlines() == [DOWNLOAD, DOWNLOAD, "apt-get update", DOWNLOAD, "dpkg -x"]


def test_a_data_dir_that_cannot_be_made_and_a_full_disk_are_told(mirror, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "file").touch()
    with pytest.raises(RequestError) as error:
        fetch.fetch("FashionMNIST", tmp_path / "file" / "data")
    message = f"FashionMNIST is missing and {tmp_path}/file/data cannot be written (Not a directory);"
    assert str(error.value).startswith(message) and "paths.data_dir" in str(error.value)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match=r"No space left on device.*paths\.data_dir"):
        fetch.load("FashionMNIST", tmp_path)


@pytest.fixture
def read_only_dir():
    """Makes a folder that others may enter, fills it by a function, and makes it read-only, also for root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def make(fill):
            fill(folder)
            folder.chmod(0o755)
            for path in (*folder.rglob("*"), folder):
                path.chmod(0o555 if path.is_dir() else 0o444)
            if os.geteuid() == 0:  # root may write anywhere
                os.setresuid(65534, 65534, 0)
            return folder

        yield make
        if os.getresuid()[2] == 0:
            os.setresuid(0, 0, 0)
        for path in (folder, *filter(Path.is_dir, folder.rglob("*"))):
            path.chmod(0o755)


def test_a_read_only_data_dir_serves_or_is_named(small_fashion, read_only_dir, caplog):
    def fill(folder):
        small_fashion.write(folder / "has" / "FashionMNIST" / "raw")
        # It cannot be repaired, and need not be:
        (folder / "has" / "FashionMNIST" / "raw" / TRAIN_IMAGES).write_bytes(b"damaged")
        (folder / "empty").mkdir()

    folder = read_only_dir(fill)
    message = refusal(folder / "empty")
    assert "cannot be written (Permission denied); " in message and " paths.data_dir" in message
    folder = folder / "has"
    caplog.clear()
    assert_loads(small_fashion, folder)
    [warning] = warnings_in(caplog)
    assert warning.startswith(f"{folder} cannot be written (Permission denied)")
    assert f"{folder}/FashionMNIST/raw/{TRAIN_IMAGES} is damaged" in warning


def test_a_run_killed_in_mid_download_leaves_nothing_that_is_taken_for_intact(small_fashion, mirror, raw, tmp_path):
    mirror.pause = 60.0
    child = processes.Process(target=fetch.load, args=("FashionMNIST", tmp_path))
    child.start()
    assert mirror.halfway.wait(120)
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert list(raw.iterdir()) == []
    assert len(list(raw.parent.glob(".partial-*"))) == 1  # so the second run has something to clear away
    mirror.pause = 0.0
    assert_loads(small_fashion, tmp_path)
    assert not list(raw.parent.glob(".partial-*"))
    assert mirror.asked == [*PATHS[:1], *PATHS]


def test_two_processes_at_once_download_each_file_once(small_fashion, mirror, tmp_path):
    mirror.pause = 0.2
    both = [processes.Process(target=assert_loads, args=(small_fashion, tmp_path)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    assert mirror.asked == PATHS


@pytest.mark.skipif(not (SHARED / "MNIST" / "raw").is_dir(), reason="no ../shared/data/MNIST/raw")
def test_the_real_mnist_has_the_checksums_of_torchvision_and_of_our_table(tmp_path, monkeypatch):
    raw = SHARED / "MNIST" / "raw"
    assert [
        (f"{file}.gz", hashlib.md5((raw / f"{file}.gz").read_bytes()).hexdigest()) for file in idx.FILES
    ] == datasets.MNIST.resources
    # Links, and no mirrors: where this test fails, it must not write into the shared folder.
    monkeypatch.setattr(datasets.MNIST, "mirrors", [])
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for file in idx.FILES:
        (tmp_path / "MNIST" / "raw" / f"{file}.gz").symlink_to(raw / f"{file}.gz")
    loaded = fetch.load("MNIST", tmp_path)
    assert loaded.train_images.shape == (60000, 28, 28)
    assert loaded.test_images.shape == (10000, 28, 28)
    assert loaded.train_labels[:4].tolist() == [5, 0, 4, 1]
    assert loaded.test_labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt-get")
def test_the_real_package_of_debian_is_fashion_mnist(tmp_path, monkeypatch):
    source = replace(idx.SOURCES["FashionMNIST"], system_dir=None)
    monkeypatch.setitem(idx.SOURCES, "FashionMNIST", source)
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [])
    loaded = fetch.load("FashionMNIST", tmp_path)
    assert loaded.train_images.shape == (60000, 28, 28)
    assert loaded.train_labels[:4].tolist() == [9, 0, 0, 3]
    assert loaded.train_labels.bincount().tolist() == [6000] * 10
    assert loaded.test_images.shape == (10000, 28, 28)
    assert loaded.test_labels.bincount().tolist() == [1000] * 10
