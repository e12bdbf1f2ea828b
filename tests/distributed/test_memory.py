"""The memory that is free: of the machine, and of the control groups of either version."""

import pytest

from litlab.distributed.memory import available

MEMINFO = "MemTotal:       24000 kB\nMemFree:  10 kB\nMemAvailable:   16000 kB\n"
CASES = {
    "machine": ({}, 16000 * 1024),
    "no limit": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 16000 * 1024),
    "version 2, of a parent": (
        {
            "proc/self/cgroup": "1:cpu:/elsewhere\n0::/user/job\n",
            "sys/fs/cgroup/user/job/memory.max": "max\n",
            "sys/fs/cgroup/user/memory.max": "1000000\n",
            "sys/fs/cgroup/user/memory.current": "400000\n",
            "sys/fs/cgroup/user/memory.stat": "anon 300000\ninactive_file 50000\n",
        },
        650000,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "4:memory:/box\n0::/\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "500000\n",
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "600000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "600000\n",
        },
        0,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_least_counts(tmp_path, case):
    files, free = CASES[case]
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available(tmp_path) == free


def test_where_nothing_tells_it_is_not_known(tmp_path):
    assert available(tmp_path) is None
