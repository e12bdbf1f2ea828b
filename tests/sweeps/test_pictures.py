"""Which picture shows a leaderboard, and that it shows what the rows are."""

from sweep_results import by_rate, failed, job, rank, save

from litlab.sweeps.leaderboard import read_and_rank
from litlab.sweeps.pictures import draw, pictures
from litlab.sweeps.report import as_markdown

LR, BATCH = "optimizer.lr", "data.batch_size"


def axes_of(jobs, kind, mode="max"):
    """The axes of the picture of these jobs, which is of this kind."""
    board = rank(jobs)
    found, figure = draw(board.columns, board.rows, "val/accuracy", mode)
    assert found == kind and figure is not None
    return figure.axes[0]


def test_a_line_has_its_deviations():
    jobs = by_rate({1: [1, 2, 3], 2: [2, 3, 4]}, mode="min")
    drawn, _, (bars,) = axes_of(jobs, "line", "min").containers[0]
    assert drawn.get_xydata().tolist() == [[1, 2], [2, 3]]
    assert [bar[:, 1].tolist() for bar in bars.get_segments()] == [[1, 3], [2, 4]]


def test_of_many_settings_the_lowest_may_be_the_best():
    jobs = [job({LR: n, BATCH: n, "model": f"m{n}"}, n, mode="min") for n in (1, 2)]
    assert axes_of(jobs, "parallel", "min").lines[0].get_ydata()[-1] == 0


def test_sweeps_of_two_optimizers_are_two_lines():
    """Joined: in each, the rate alone was swept."""
    jobs = by_rate({0.1: 0.1, 0.2: 0.2, 0.4: 0.4})
    for number, lr in enumerate((0.001, 0.002, 0.004)):
        jobs.append(job({LR: lr}, 0.5 + lr, overrides=["optimizer=adam", f"{LR}={lr}"], started=f"2027-{number}"))
        jobs[-1]["choices"] = jobs[-1]["choices"] | {"optimizer": "adam"}
        jobs[-1]["settings"]["optimizer"] = {"_target_": "torch.optim.Adam", "lr": lr, "betas": [0.9, 0.999]}
    jobs.append(failed({LR: 0.8}))
    assert rank(jobs).columns == [LR, "optimizer"]
    axes = axes_of(jobs, "line")
    lines = {bars.get_label(): bars[0].get_xydata().tolist() for bars in axes.containers}
    assert lines == {
        "sgd": [[0.1, 0.1], [0.2, 0.2], [0.4, 0.4]],
        "adam": [[0.001, 0.501], [0.002, 0.502], [0.004, 0.504]],
    }
    assert [text.get_text() for text in axes.texts] == ["sgd: failed"]
    assert axes.get_legend().get_title().get_text() == "optimizer"


def test_no_picture_shows_the_mean_of_survivors():
    axes = axes_of([*by_rate({0.1: [0.5, 0.5], 0.2: 0.9}), failed({LR: 0.2}, seed=1)], "line")
    assert axes.containers[0][0].get_xydata().tolist() == [[0.1, 0.5]]
    assert [text.get_text() for text in axes.texts] == ["1 of 2"]


def test_a_heatmap_has_the_digits_of_the_table():
    jobs = [job({LR: lr, BATCH: batch}, best) for lr, batch, best in ((1, 32, 0.9722), (1, 64, 0.85), (2, 32, 0.9))]
    jobs.append(failed({LR: 2, BATCH: 64}))
    texts = {text.get_text() for text in axes_of(jobs, "heatmap").texts}
    assert texts == {"0.9722", "0.8500", "0.9000", "failed"}
    assert "| 0.8500 |" in as_markdown(rank(jobs))


def test_values_that_are_no_numbers_are_in_the_order_of_the_jobs():
    shapes = [[64], [64, 32], [128], [16]]
    jobs = [job({"model.hidden": shape}, 0.1 * n, run_dir=f"s/{n}_x") for n, shape in enumerate(shapes, 9)]
    labels = [each.get_text() for each in axes_of(jobs, "line").get_xticklabels()]
    assert labels == ["[64]", "[64, 32]", "[128]", "[16]"]


def test_the_curves_of_all_jobs_are_in_one_picture(tmp_path):
    """From history.csv: the best rows by name, each job thin and their mean thick; a single epoch is no curve."""
    folder = save(tmp_path / "s", by_rate({0.1: [0.9, 0.9], 0.2: [0.8, 0.8], 0.3: [0.7, 0.7]}))
    assert "summary_curves" not in pictures(read_and_rank([folder]))
    for number in range(6):
        lines = [f"{epoch},{'' if epoch == 2 else number + epoch}" for epoch in range(1, 4 if number < 4 else 2)]
        (folder / str(number) / "history.csv").write_text("\n".join(["epoch,val/accuracy", *lines]))
    (axes,) = pictures(read_and_rank([folder]))["summary_curves"].axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["lr=0.1", "lr=0.2"]
    thick = {line.get_label(): line.get_xydata().tolist() for line in axes.lines if line.get_linewidth() == 2}
    assert thick == {"lr=0.1": [[1, 1.5], [3, 3.5]], "lr=0.2": [[1, 3.5], [3, 5.5]]}
    thin = [line.get_xydata().tolist() for line in axes.lines if line.get_linewidth() < 1]
    assert thin[-2:] == [[[1, 1], [3, 3]], [[1, 2], [3, 4]]]
    (folder / "0" / "history.csv").write_bytes(b"\xff\x00 no csv")
    (folder / "1" / "history.csv").unlink()
    (folder / "1" / "history.csv").symlink_to("/dev/zero")
    (axes,) = pictures(read_and_rank([folder]))["summary_curves"].axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["lr=0.2"]
