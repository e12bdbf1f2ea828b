"""What jobs postpone to the sweep's end: the latest alone is done, once."""

from litlab.runs.postponed import Postponed, postponed


def test_the_latest_is_done_once_at_the_end():
    done, left = [], Postponed()
    for name in ("a", "b"):
        left.put(lambda name=name: done.append(name))
    assert done == []
    left.do()
    left.do()
    assert done == ["b"]


def test_where_jobs_take_long_it_is_done_at_once(monkeypatch):
    now, done = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def draw():
        done.append(now[0])
        now[0] += 2

    left = Postponed()
    for now[0] in (19, 21, 50, 64):  # a second is assumed, then it takes 2: at most a twentieth of the time
        left.put(draw)
    assert done == [21, 64]


def test_each_sweep_has_its_own():
    assert postponed("a") is postponed("a")
    assert postponed("a") is not postponed("b")
