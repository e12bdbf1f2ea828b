"""Columns of any name can be named in settings, and words in any script need no quotes of their own."""

import pytest
from omegaconf import OmegaConf

from litlab.config.arguments import arguments
from litlab.config.column_names import decode, decoded, encoded, typed
from litlab.errors import RequestError


@pytest.mark.parametrize("name", ["x.1", "area, m²", "가격", "종류=", "date sold", "note[]", "it's", "utf8"])
def test_what_describe_prints_is_parsed_and_means_the_column(name):
    import shlex

    from hydra.core.override_parser.overrides_parser import OverridesParser

    (word,) = shlex.split(typed(name, "category"))
    (parsed,) = OverridesParser.create().parse_overrides(arguments([word]))
    assert parsed.value() == "category" and parsed.key_or_group.startswith("data.columns.")
    config = OmegaConf.create({"data": {"columns": {parsed.key_or_group.split(".", 2)[2]: "category", "id": "drop"}}})
    decode(config)
    assert dict(config.data.columns) == {name: "category", "id": "drop"}


def test_only_names_of_columns_that_cannot_be_parsed_are_encoded():
    for word in (
        "data.columns.id=drop",
        "++data.columns.a-b_1=drop",
        "data.target=x.1",
        "~data.columns.x.1",
        "a.b=c=d",
    ):
        assert encoded(word) == word
    assert encoded("++data.columns.'x.1'=drop,text") == "++data.columns.utf8_782e31=drop,text"
    config = OmegaConf.create({"model": {}})
    decode(config)
    assert config == {"model": {}}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("data.target=가격", "가격"),
        ("data.target=가격 (만원)", "가격 (만원)"),
        ("data.target=연 소득", "연 소득"),
        ("data.drop=[가격,id, 연 소득]", ["가격", "id", "연 소득"]),
        ("data.file=없는/é.csv", "없는/é.csv"),
        ("data.target='가격'", "가격"),
    ],
)
def test_words_in_any_script_need_no_quotes_of_their_own(word, value):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (parsed,) = OverridesParser.create().parse_overrides(arguments([word]))
    assert parsed.value() == value


def test_several_of_them_are_a_sweep():
    assert arguments(["-m", "data.target=가격,b"]) == ["-m", "data.target='가격',b"]
    assert arguments(["-m", "data.target=choice(가격,b)"]) == ["-m", "data.target=choice('가격',b)"]


@pytest.mark.parametrize(("word", "character", "instead"), [("optimizer.lr＝0.1", "＝", "="), ("－m", "－", "-")])
def test_a_full_width_character_is_named(word, character, instead):
    with pytest.raises(RequestError, match=f"^{word}: {character} is a full-width character; type {instead}$"):
        arguments([word])


def test_a_composed_config_has_the_columns_names(tmp_path):
    from litlab.config.composition import compose

    (tmp_path / "a.csv").write_text("종류=,id,값\n" + "가,1,1.5\n나,2,2.5\n" * 10)
    words = arguments(
        [
            "data=table",
            f"data.file={tmp_path}/a.csv",
            "data.target=값",
            "data.columns.종류==drop",
            "data.columns.id=drop",
        ]
    )
    config = compose("train", words)
    assert dict(config.data.columns) == {"종류=": "drop", "id": "drop"} and config.data.target == "값"


@pytest.mark.parametrize("name", ["x.1", "area, m²", "종류", "종류=", "it's", "plain"])
def test_a_decoded_word_is_the_one_that_was_typed(name):
    word = f"data.columns.{name}=category"
    assert decoded(encoded(word)) == decoded(f"++{encoded(word)}") == word
    assert decoded(encoded(word).removesuffix("=category")) == f"data.columns.{name}"
    assert decoded("data.columns.utf8_abc=drop") == "data.columns.utf8_abc=drop"  # not encoded: an odd digit
    assert decoded("data.target=utf8_61") == "data.target=utf8_61"
