"""The charts of a page: what is drawn is what was given, and texts are no markup."""

import json

import numpy as np

from litlab.plots.interactive import curves, intervals, parallel_coordinates, plain, shares
from litlab.plots.setting import Setting

NONE = np.zeros(3, bool)  # no row is unranked
HOSTILE = '<a href="javascript:x">&</script><b>\u202e'


def lines(trace):
    """Of a trace the points of each line, by its number."""
    found = {}
    for x, y, number in zip(trace.x, trace.y, trace.customdata, strict=True):
        if x is not None:
            found.setdefault(number, []).append((float(x), float(y)))
    return found


def test_parallel_coordinates_lead_each_row_through_its_values():
    settings = [Setting("lr", [0.01, 0.1, 1.0]), Setting("model", ["mlp", "cnn"]), Setting("dropout", [None, 0.0, 0.5])]
    values = [[0.01, "mlp", 0.5], [0.1, "cnn", None], [1.0, "mlp", 0.0]]
    figure = parallel_coordinates(settings, values, np.array([0.9, 0.5, np.nan]), NONE, "val/accuracy", "max")
    dotted, *others, best = figure.data
    of_row = lines(dotted) | {number: points for trace in others for number, points in lines(trace).items()}
    assert dotted.line.dash == "dot" and best.line.color == "#D55E00" and lines(best).keys() == {0}
    at = {number: [y for x, y in points if x == int(x)] for number, points in (of_row | lines(best)).items()}
    np.testing.assert_allclose(at[0], [0, 0, 1, 1], atol=0.02)
    np.testing.assert_allclose(at[1], [0.5, 1, 0, 0], atol=0.02)
    np.testing.assert_allclose(at[2], [1, 0, 0.15], atol=1e-9)
    assert figure.layout.xaxis.ticktext == ("lr<br><sup>log scale</sup>", "model", "dropout", "<b>val/accuracy</b>")
    marks = [(note.x, note.text) for note in figure.layout.annotations]
    assert marks[:3] == [(0, "0.01"), (0, "0.1"), (0, "1")] and (2, "none") in marks and (3, "0.9") in marks
    lowest = parallel_coordinates(settings[:1], [[0.01], [0.1]], np.array([0.9, 0.5]), NONE[:2], "val/loss", "min")
    assert lines(lowest.data[-1]).keys() == {1}
    tie = parallel_coordinates(settings, values, np.array([0.5, 0.9, 0.9]), NONE, "val/accuracy", "max")
    assert lines(tie.data[-1]).keys() == {1}, "of a tie the first row, as in the leaderboard"


def test_what_did_not_complete_is_dotted_up_to_its_value_and_never_the_best():
    rates = [[0.1], [0.2], [0.3], [0.4]]
    means, unranked = np.array([0.5, 0.9, np.nan, 0.7]), np.array([False, True, True, False])
    figure = parallel_coordinates([Setting("lr", [0.1, 0.2, 0.3, 0.4])], rates, means, unranked, "val/accuracy", "max")
    without, pruned, *_, best = figure.data
    assert [trace.line.dash for trace in figure.data[:2]] == ["dot", "dot"] and pruned.line.color == "#8C8C8C"
    assert lines(without).keys() == {2} and lines(without)[2][-1][0] == 0, "it ends before the metric's axis"
    assert lines(pruned)[1][-1] == (1.0, 1.0) and lines(pruned).keys() == {1}
    assert lines(best).keys() == {3} and round(lines(best)[3][-1][1], 6) == 0.5, "0.7 of 0.5 to 0.9"


def test_labels_on_an_axis_are_apart():
    near = Setting("lr", [0.01, 0.0101, 0.0102, 0.1, 1.0])
    values = [[value] for value in near.values]
    figure = parallel_coordinates([near], values, np.arange(5.0), np.zeros(5, bool), "val/accuracy", "max")
    assert [note.text for note in figure.layout.annotations if note.x == 0] == ["0.01", "0.1", "1"]


def test_curves_are_named_grey_or_dotted():
    histories = [np.array([0.1, np.nan, 0.3]), np.array([0.2, 0.4]), np.array([0.1]), np.array([0.5, 0.6])]
    figure = curves(histories, [("first", [1]), ("second", [3])], {2}, "val/accuracy")
    drawn = {trace.name: trace for trace in figure.data}
    assert list(drawn) == ["other settings", "not completed", "second", "first"], "the best on top"
    assert lines(drawn["other settings"]) == {0: [(1, 0.1), (3, 0.3)]}
    assert lines(drawn["first"]) == {1: [(1, 0.2), (2, 0.4)]} and lines(drawn["not completed"]) == {2: [(1, 0.1)]}
    alone = drawn["not completed"]
    assert (alone.mode, alone.marker.size, alone.marker.color) == ("markers", 5, "#8C8C8C"), "not row 2's orange"
    both = curves([np.array([0.1]), np.array([0.2, 0.3]), np.array([0.5, 0.6])], [("first", [2])], {0, 1}, "val/loss")
    assert [(trace.name, trace.mode, trace.showlegend) for trace in both.data] == [
        ("not completed", "lines", True), ("not completed", "markers", False), ("first", "lines", True),
    ]  # fmt: skip
    assert both.data[0].line.dash == "dot" and both.data[0].line.color == "#8C8C8C"
    assert len(curves([np.arange(60_000.0)] * 2, [], set(), "val/loss").data[0].x) == 2 * 30_001, "every second epoch"


def test_intervals_are_of_the_mean():
    points, means = intervals(["1. lr=1", "2. lr=2"], [[1, 3], [5, 7]], [(0, 4), (5, 8)], "val/loss").data
    assert (list(points.x), list(points.y)) == ([1, 3, 5, 7], [0, 0, 1, 1])
    assert (list(means.x), list(means.error_x.array), list(means.error_x.arrayminus)) == ([2, 6], [2, 2], [2, 1])


def test_texts_are_no_markup():
    setting = Setting(HOSTILE, [HOSTILE, "b"])
    figures = [
        parallel_coordinates([setting], [[HOSTILE], ["b"]], np.array([0.1, 0.2]), NONE[:2], HOSTILE, "max"),
        curves([np.array([1.0, 2.0])], [(HOSTILE, [0])], set(), HOSTILE),
        intervals([HOSTILE], [[1, 2]], [(0, 3)], HOSTILE),
        shares([HOSTILE], [0.5], HOSTILE),
    ]
    for figure in figures:
        text = figure.to_json()
        assert "<" not in text, "the script that holds it cannot be closed"
        found = json.dumps(json.loads(text), ensure_ascii=False)
        assert "&lt;a" in found and "<a" not in found and "\u202e" not in found
    assert plain("<b>&\x1b") == "&lt;b&gt;&amp;\\x1b"


def test_equal_values_have_one_label_in_the_middle_of_the_metrics_axis():
    for mode in ("max", "min"):
        setting = Setting("lr", [0.1, 0.2])
        figure = parallel_coordinates([setting], [[0.1], [0.2]], np.array([0.9, 0.9]), NONE[:2], "val/accuracy", mode)
        assert [(each.y, each.text) for each in figure.layout.annotations if each.x == 1] == [(0.5, "0.9")]
        assert [each for each in figure.data[-1].y if each is not None][-1] == 0.5
