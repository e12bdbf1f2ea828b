"""Settings that only some choices of a sweep have."""

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from litlab.errors import RequestError
from litlab.sweeps.choice_settings import ChoiceSettings
from litlab.sweeps.space import Space

HAVE = {
    ("model=mlp",): {"model": {"hidden": [1], "dropout": 0}, "data": {"columns": {}}},
    ("model=cnn",): {"model": {"channels": [1], "dropout": 0}, "data": {}},
}


@pytest.fixture
def own():
    """Of model=mlp and model=cnn."""
    return ChoiceSettings([["model=mlp", "model=cnn"], ["data=digits"]], lambda words: HAVE[tuple(words)])


def jobs(own, *words, **options):
    space = Space(OverridesParser.create().parse_overrides(list(words)), OmegaConf.create(options), {"model": "mlp"})
    return [" ".join(job) for job in space.jobs(own.fitting)]


def test_a_job_gets_what_its_choice_has_and_once(own):
    assert jobs(own, "model=mlp,cnn", "model.hidden=[1],[2]", "model.channels=[3],[4]", "model.dropout=0.1") == [
        "model=mlp model.hidden=[1] model.dropout=0.1",
        "model=mlp model.hidden=[2] model.dropout=0.1",
        "model=cnn model.channels=[3] model.dropout=0.1",
        "model=cnn model.channels=[4] model.dropout=0.1",
    ]


def test_a_setting_that_no_choice_has_stays_and_so_does_one_that_is_added(own):
    words = ["model=cnn", "model.hiden=[1]", "+model.hidden=[1]", "~model.hidden", "data.columns.a=text"]
    assert own.fitting(words) == words[:-1]
    assert own.fitting(["model=mlp", "data.columns.a=text"])[1:] == ["data.columns.a=text"]


def test_a_setting_of_no_choice_is_refused_with_the_names_of_all(own):
    own.check(["model.hidden=[1]", "model.channels", "model=mlp", "+model.new=1", "~model.old", "data.columns.a=text"])
    beside = "there are hidden, dropout, channels"
    for word, what in {
        "model.chanels=[1]": f"model.chanels: no such setting (did you mean channels?); {beside} (+",
        "model.hiden": f"model.hiden: no such setting (did you mean hidden?); {beside} (+",
        "modle.dropout=0": "modle: no such setting (did you mean model?); there are model, data (+",
        "channels=[1]": "channels: no such setting (did you mean model.channels?)",
    }.items():
        with pytest.raises(RequestError, match=f"^{re.escape(what)}"):
            own.check(["model.dropout=0", word])
    ChoiceSettings([["model=cnn"]], lambda words: pytest.fail("composed")).check(["model.chanels=[1]"])


def test_a_group_is_a_choice_also_where_its_config_is_elsewhere():
    words = [["model=mlp", "model=cnn"], ["experiment=fast", "experiment=slow"]]
    own = ChoiceSettings(words, lambda _: {"model": {}}, ["model", "experiment", "augmentation"])
    own.check(["experiment=fast", "augmentation=none"])
    with pytest.raises(RequestError, match=r"^task: no such setting"):
        own.check(["task=mine"])


def test_an_exclusion_sees_what_is_left(own):
    words = ("model=mlp,cnn", "model.hidden=[1],[2]")
    assert jobs(own, *words, exclude="model == mlp or model.hidden == [1]") == ["model=cnn"]


def test_draws_are_of_different_jobs(own):
    drawn = jobs(own, "model=mlp,cnn", "model.hidden=[1],[2],[3]", "seed=0,1", draw="random", jobs=4)
    assert len(drawn) == len(set(drawn)) == 8 and sum("cnn" in job for job in drawn) == 2


def test_with_one_choice_nothing_is_composed():
    own = ChoiceSettings([["model=cnn"]], lambda words: pytest.fail("composed"))
    assert own.fitting(["model=cnn", "model.hidden=[1]"]) == ["model=cnn", "model.hidden=[1]"]


def test_of_choices_that_cannot_be_composed_nothing_is_left_out():
    own = ChoiceSettings([["model=mlp", "model=non"]], lambda words: HAVE.get(tuple(words)))
    assert own.fitting(["model=non", "model.hidden=[1]"]) == ["model=non", "model.hidden=[1]"]


@pytest.mark.slow
def test_a_sweep_over_models_with_settings_of_their_own(command, quick_train, tmp_path, read_result):
    """One setting is swept, one is not, and only the models that are not the default have it."""
    words = ("model=linear,cnn,rnn", "model.channels=[4],[8]", "model.kernel_size=5", "optimizer.lr=0.1")
    code, out, err = command("-m", *words)
    results = [read_result(path.parent) for path in (tmp_path / "logs").glob("train/multiruns/*/*/result.json")]
    models = {each["choices"]["model"]: each["settings"]["model"] for each in results}
    assert (code, err, len(results)) == (0, "", 4), out
    assert models["cnn"]["kernel_size"] == 5 and "kernel_size" not in models["rnn"] | models["linear"]
    assert sorted(each["settings"]["model"].get("channels", []) for each in results) == [[], [], [4], [8]]
    code, _, err = command("-m", "model=linear,cnn", "model.chanels=[4],[8]")
    assert code == 2 and err.startswith("error: model.chanels: no such setting") and len(err.splitlines()) == 1
    for models in ("cnn,linear", "linear,cnn"):
        code, _, err = command("-m", f"model={models}", "model.chanels=[4]")
        assert code == 2 and "did you mean channels" in err
    code, _, err = command("-m", "model=linear,cnn", 'sweep.when={model: {cnn: {model.chanels: "[4],[8]"}}}')
    assert code == 2 and "did you mean channels" in err
