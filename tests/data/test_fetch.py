"""The roads to MNIST and Fashion-MNIST: none of these tests leaves this machine, but for the slow one."""

import hashlib
import logging
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from litlab.data import fetch, idx, mirrors
from litlab.errors import RequestError, RunError

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "data"
TRAIN_IMAGES = "train-images-idx3-ubyte"
processes = multiprocessing.get_context("fork")  # the children inherit the small data set and the mirrors


def assert_loads(small: Any, data_dir: Path) -> None:
    loaded = fetch.load("FashionMNIST", data_dir)
    for values, truth in zip(loaded, small.tensors, strict=True):
        assert values.dtype == torch.uint8
        assert torch.equal(values, truth)


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class Mirror:
    """A mirror on the loopback; counts what is asked for, and can be made slow, stalling, or a liar."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = {f"/{file}.gz": data for file, data in files.items()}
        self.asked: list[str] = []
        self.pause = 0.0  # seconds between the halves of each file
        self.halfway = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = mirror.files.get(self.path)
                mirror.asked.append(self.path)
                if data is None:
                    self.send_error(404, "not here")
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                mirror.halfway.set()
                time.sleep(mirror.pause)
                self.wfile.write(data[len(data) // 2 :])

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                pass  # a client that was killed is what a test wants

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def mirror(small_fashion: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    from torchvision.datasets import FashionMNIST

    served = Mirror(small_fashion.packed)
    monkeypatch.setattr(FashionMNIST, "mirrors", [served.url])
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.mark.parametrize("folder", ["FashionMNIST/raw", "FashionMNIST"])
@pytest.mark.parametrize("unpacked", [False, True])
def test_files_in_data_dir_are_read_and_left_alone(
    small_fashion: Any, tmp_path: Path, folder: str, unpacked: bool
) -> None:
    small_fashion.write(tmp_path / "data" / folder, unpacked)
    before = sorted((tmp_path / "data").rglob("*"))

    fetch.fetch("FashionMNIST", tmp_path / "data")
    assert_loads(small_fashion, tmp_path / "data")

    assert sorted((tmp_path / "data").rglob("*")) == before


def test_a_file_that_a_browser_unpacked_under_its_gz_name_is_read(small_fashion: Any, tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    small_fashion.write(raw)
    (raw / f"{TRAIN_IMAGES}.gz").write_bytes(small_fashion.contents[TRAIN_IMAGES])

    assert_loads(small_fashion, tmp_path)


def test_the_copy_of_the_operating_system_is_read_in_place(small_fashion: Any, tmp_path: Path) -> None:
    small_fashion.write(small_fashion.system_dir)

    fetch.fetch("FashionMNIST", tmp_path / "data")
    assert_loads(small_fashion, tmp_path / "data")

    assert not (tmp_path / "data").exists()


def test_a_damaged_copy_of_the_operating_system_is_passed_over(
    small_fashion: Any, mirror: Mirror, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small_fashion.write(small_fashion.system_dir)
    damaged = small_fashion.system_dir / f"{TRAIN_IMAGES}.gz"
    damaged.write_bytes(b"\x1f\x8b damaged")

    assert_loads(small_fashion, tmp_path / "data")

    assert mirror.asked == [f"/{TRAIN_IMAGES}.gz"]
    assert damaged.read_bytes() == b"\x1f\x8b damaged"
    assert [str(damaged) in line for line in warnings_in(caplog)] == [True]


def test_the_mirror_serves_what_is_missing_once(
    small_fashion: Any, mirror: Mirror, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fetch.fetch("FashionMNIST", tmp_path)
    assert_loads(small_fashion, tmp_path)

    assert mirror.asked == [f"/{file}.gz" for file in idx.FILES]
    raw = tmp_path / "FashionMNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == {
        f"{file}.gz": small_fashion.packed[file] for file in idx.FILES
    }
    assert not list((tmp_path / "FashionMNIST").glob(".partial-*"))
    assert capfd.readouterr() == ("", "")


def test_the_next_mirror_takes_over_from_one_that_fails(
    small_fashion: Any, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import FashionMNIST

    del mirror.files["/t10k-images-idx3-ubyte.gz"]
    folder = tmp_path / "mirror"
    small_fashion.write(folder)
    monkeypatch.setattr(FashionMNIST, "mirrors", [mirror.url, f"{folder.as_uri()}/"])

    assert_loads(small_fashion, tmp_path / "data")

    assert mirror.asked == [f"/{file}.gz" for file in idx.FILES[:3]]


def test_a_mirror_that_serves_other_bytes_is_refused_though_the_content_is_right(
    small_fashion: Any, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.files[f"/{TRAIN_IMAGES}.gz"] += b"\0"

    with pytest.raises(RequestError, match=r"serves another train-images-idx3-ubyte\.gz \(wrong checksum"):
        fetch.load("FashionMNIST", tmp_path)

    assert not list((tmp_path / "FashionMNIST" / "raw").iterdir())


def test_a_stalling_mirror_is_given_up_after_its_timeout(
    small_fashion: Any, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.pause = 30.0
    monkeypatch.setattr(mirrors, "MIRROR_TIMEOUT", 1.0)

    started = time.monotonic()
    with pytest.raises(RequestError, match=r"does not serve train-images-idx3-ubyte\.gz \(.*timed out\)"):
        fetch.load("FashionMNIST", tmp_path)

    assert time.monotonic() - started < 15
    assert mirror.asked == [f"/{TRAIN_IMAGES}.gz"]  # the other three are not waited for


def _truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip_last_byte_of_content(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _flip_crc(data: bytes) -> bytes:
    return data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (f"{TRAIN_IMAGES}.gz", _truncate),
        (f"{TRAIN_IMAGES}.gz", _flip_crc),
        (f"{TRAIN_IMAGES}.gz", lambda _: b""),
        (TRAIN_IMAGES, _truncate),
        (TRAIN_IMAGES, _flip_last_byte_of_content),
    ],
    ids=["truncated-gz", "wrong-crc", "empty-gz", "truncated", "altered"],
)
def test_a_damaged_file_is_named_and_fetched_again(
    small_fashion: Any,
    mirror: Mirror,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: Callable[[bytes], bytes],
) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    small_fashion.write(raw, unpacked=not name.endswith(".gz"))
    (raw / name).write_bytes(damage((raw / name).read_bytes()))

    assert_loads(small_fashion, tmp_path)

    assert mirror.asked == [f"/{TRAIN_IMAGES}.gz"]
    [warning] = warnings_in(caplog)
    assert warning.startswith(f"{raw / name} is damaged (")
    assert "\n" not in warning

    caplog.clear()
    assert_loads(small_fashion, tmp_path)
    assert mirror.asked == [f"/{TRAIN_IMAGES}.gz"]  # it stays repaired
    assert warnings_in(caplog) == []


def test_a_damaged_file_beside_a_whole_copy_goes_without_a_download(
    small_fashion: Any, mirror: Mirror, tmp_path: Path
) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    small_fashion.write(raw)
    (raw / TRAIN_IMAGES).write_bytes(b"damaged")

    assert_loads(small_fashion, tmp_path)

    assert mirror.asked == []
    assert sorted(path.name for path in raw.iterdir()) == sorted(f"{file}.gz" for file in idx.FILES)


def test_a_damaged_file_without_a_replacement_is_named_and_kept(small_fashion: Any, tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    small_fashion.write(raw)
    damaged = raw / f"{TRAIN_IMAGES}.gz"
    damaged.write_bytes(damaged.read_bytes()[:100])

    with pytest.raises(RequestError) as error:
        fetch.load("FashionMNIST", tmp_path)

    assert f"{damaged} is damaged (not a whole gzip file" in str(error.value)
    assert damaged.read_bytes() == small_fashion.packed[TRAIN_IMAGES][:100]


def write_command(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def apt(small_fashion: Any, tmp_path: Path) -> Path:
    """Fake apt-get and dpkg; returns the file where they write how they were called.

    `lists` beside it stands for the package lists, which `apt-get update` fills.
    """
    package, calls, commands = tmp_path / "package", tmp_path / "calls", tmp_path / "bin"
    small_fashion.write(package)
    write_command(
        commands,
        "apt-get",
        f"""
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
    )
    write_command(
        commands,
        "dpkg",
        f"""
        echo "dpkg $1" >> {calls}
        [ -e "$2" ] || exit 2
        {shutil.which("mkdir", path=os.defpath)} -p "$3/usr/share/datasets"
        {shutil.which("cp", path=os.defpath)} -r {package} "$3/usr/share/datasets/fashion-mnist" """,
    )
    return calls


def test_apt_brings_the_files_without_installing_them(
    small_fashion: Any, apt: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lists").touch()

    fetch.fetch("FashionMNIST", tmp_path / "data")
    assert_loads(small_fashion, tmp_path / "data")

    assert apt.read_text().splitlines() == ["apt-get download dataset-fashion-mnist", "dpkg -x"]
    home = tmp_path / "data" / "FashionMNIST"
    assert {path.relative_to(home).as_posix() for path in home.rglob("*")} == {
        ".lock",
        "raw",
        *(f"raw/{file}.gz" for file in idx.FILES),
    }
    assert capfd.readouterr() == ("", "")


def test_apt_with_empty_lists_is_updated_once_by_root(
    small_fashion: Any, apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert_loads(small_fashion, tmp_path / "data")

    download = "apt-get download dataset-fashion-mnist"
    assert apt.read_text().splitlines() == [download, "apt-get update", download, "dpkg -x"]


def test_apt_with_empty_lists_tells_a_user_what_to_run(
    small_fashion: Any, apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(RequestError) as error:
        fetch.load("FashionMNIST", tmp_path / "data")

    said = "apt-get download dataset-fashion-mnist failed (E: Unable to locate package dataset-fashion-mnist)"
    assert f"{said}; run: sudo apt-get update;" in str(error.value)
    assert apt.read_text().splitlines() == ["apt-get download dataset-fashion-mnist"]


def test_when_all_roads_fail_one_line_says_what_was_tried_and_what_to_do(
    small_fashion: Any, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import FashionMNIST

    mirror.files.clear()
    closed = "http://127.0.0.1:9/"  # the discard port: nobody listens
    monkeypatch.setattr(FashionMNIST, "mirrors", [mirror.url, closed])

    with pytest.raises(RequestError) as error:
        fetch.load("FashionMNIST", tmp_path)

    message, raw = str(error.value), tmp_path / "FashionMNIST" / "raw"
    assert "\n" not in message
    assert f"no whole {', '.join(idx.FILES)} in {raw} or {small_fashion.system_dir};" in message
    assert f"{mirror.url} does not serve {TRAIN_IMAGES}.gz (HTTP Error 404: not here);" in message
    assert f"{closed} does not serve {TRAIN_IMAGES}.gz (<urlopen error" in message
    assert "apt-get download dataset-fashion-mnist is not possible (no apt-get and dpkg here);" in message
    assert f"put {', '.join(f'{file}.gz' for file in idx.FILES)} in {raw}, or set paths.data_dir" in message


def test_mnist_has_no_package_to_ask_apt_for(
    small_fashion: Any, apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", [])

    with pytest.raises(RequestError, match=r"^MNIST is missing: no whole .* in \S+/MNIST/raw; put "):
        fetch.load("MNIST", tmp_path)

    assert not apt.exists()


def test_a_data_dir_that_cannot_be_made_is_named(small_fashion: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RequestError) as error:
        fetch.fetch("FashionMNIST", tmp_path / "file" / "data")

    said = f"{tmp_path}/file/data cannot be written (Not a directory)"
    assert str(error.value).startswith(f"FashionMNIST is missing and {said};")
    assert "paths.data_dir" in str(error.value)


def test_a_full_disk_is_a_failure_of_the_run(
    small_fashion: Any, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)

    with pytest.raises(RunError, match=r"No space left on device.*paths\.data_dir"):
        fetch.load("FashionMNIST", tmp_path)


@pytest.fixture
def read_only_dir() -> Iterator[Callable[[Path], None]]:
    """Makes a folder read-only, and this process one that must respect it; root may write anywhere."""
    made = []

    def make_read_only(folder: Path) -> None:
        made.append(folder)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 0)

    yield make_read_only
    if os.getresuid()[2] == 0:
        os.setresuid(0, 0, 0)
    for folder in made:
        for path in (folder, *filter(Path.is_dir, folder.rglob("*"))):
            path.chmod(0o755)


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """Like tmp_path, but other users may enter it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_read_only_data_dir_that_has_the_files_serves(
    small_fashion: Any,
    open_dir: Path,
    read_only_dir: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    raw = open_dir / "FashionMNIST" / "raw"
    small_fashion.write(raw)
    (raw / TRAIN_IMAGES).write_bytes(b"damaged")  # nothing can be repaired, and nothing need be
    read_only_dir(open_dir)

    assert_loads(small_fashion, open_dir)

    [warning] = warnings_in(caplog)
    assert warning.startswith(f"{open_dir} cannot be written (Permission denied)")
    assert f"{raw / TRAIN_IMAGES} is damaged" in warning


def test_a_read_only_data_dir_without_the_files_is_named(
    small_fashion: Any, open_dir: Path, read_only_dir: Callable[[Path], None]
) -> None:
    read_only_dir(open_dir)

    with pytest.raises(RequestError, match=r"cannot be written \(Permission denied\); .* paths\.data_dir"):
        fetch.load("FashionMNIST", open_dir)


def test_a_run_killed_in_mid_download_leaves_nothing_that_is_taken_for_whole(
    small_fashion: Any, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.pause = 60.0
    child = processes.Process(target=fetch.load, args=("FashionMNIST", tmp_path))
    child.start()
    assert mirror.halfway.wait(120)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    home = tmp_path / "FashionMNIST"
    assert list((home / "raw").iterdir()) == []
    assert len(list(home.glob(".partial-*"))) == 1  # so the second run has something to clear away

    mirror.pause = 0.0
    assert_loads(small_fashion, tmp_path)

    assert not list(home.glob(".partial-*"))
    assert mirror.asked == [f"/{TRAIN_IMAGES}.gz", *(f"/{file}.gz" for file in idx.FILES)]


def test_two_processes_at_once_download_each_file_once(small_fashion: Any, mirror: Mirror, tmp_path: Path) -> None:
    mirror.pause = 0.2
    both = [processes.Process(target=assert_loads, args=(small_fashion, tmp_path)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)

    assert [process.exitcode for process in both] == [0, 0]
    assert mirror.asked == [f"/{file}.gz" for file in idx.FILES]


@pytest.mark.skipif(not (SHARED / "MNIST" / "raw").is_dir(), reason="no ../shared/data/MNIST/raw")
def test_the_real_mnist_has_the_checksums_of_torchvision_and_of_our_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import MNIST

    raw = SHARED / "MNIST" / "raw"
    assert [
        (f"{file}.gz", hashlib.md5((raw / f"{file}.gz").read_bytes()).hexdigest()) for file in idx.FILES
    ] == MNIST.resources

    # Links, and no mirrors: where this test fails, it must not write into the shared folder.
    monkeypatch.setattr(MNIST, "mirrors", [])
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
def test_the_real_package_of_debian_is_fashion_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import FashionMNIST

    source = replace(idx.SOURCES["FashionMNIST"], system_dir=None)
    monkeypatch.setitem(idx.SOURCES, "FashionMNIST", source)
    monkeypatch.setattr(FashionMNIST, "mirrors", [])

    loaded = fetch.load("FashionMNIST", tmp_path)

    assert loaded.train_images.shape == (60000, 28, 28)
    assert loaded.train_labels[:4].tolist() == [9, 0, 0, 3]
    assert loaded.train_labels.bincount().tolist() == [6000] * 10
    assert loaded.test_images.shape == (10000, 28, 28)
    assert loaded.test_labels.bincount().tolist() == [1000] * 10
