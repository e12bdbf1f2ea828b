"""A model's layers: known counts, for images, sequences and tokens; and that a description shows them."""

import re

import pytest
from hydra import compose, initialize_config_dir

from litlab.cli import record
from litlab.config.choices import CONF
from litlab.data.digits import Digits
from litlab.data.tensors import TensorData
from litlab.errors import RequestError
from litlab.verbs.describe import describe, training_command
from litlab.verbs.layers import describe_layers


def settings(*words):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("describe", overrides=list(words))


def layers(shape, *words, outputs=10, tokens=None):
    class Some(TensorData):
        input_shape, num_outputs, num_tokens = shape, outputs, tokens

    rows = describe_layers(settings(*words), Some())
    return [tuple(row.values()) for row in rows]


def test_the_network_of_document_003():
    found = layers((1, 28, 28), "model=mlp", "model.hidden_sizes=[20]", "model.activation=Sigmoid")
    assert found == [
        ("0", "Flatten", "784", 0, 0, 0),
        ("1", "Linear", "20", 784 * 20 + 20, 784 * 20, 62.8),
        ("2", "Sigmoid", "20", 0, 0, 0),
        ("3", "Linear", "10", 210, 200, 0.84),
        ("total", "MLP", "10", 15_910, 15_880, 63.64),
    ]


def test_convolutions_recurrence_attention_and_tokens():
    convolution = next(row for row in layers((1, 28, 28), "model=cnn") if row[1] == "Conv2d")
    assert convolution[4] == 28 * 28 * int(convolution[2].split(" x ")[0]) * 9
    for words, shape, tokens in [("rnn", (20, 3), None), ("transformer", (20, 3), None), ("embedding_bag", (9,), 40)]:
        *rows, total = layers(shape, f"model={words}", tokens=tokens)
        assert total[0] == "total" and total[2] == "10" and total[5] == total[3] * 4 / 1000
        assert sum(row[3] for row in rows) == total[3] > 0 and sum(row[4] for row in rows) == total[4]
    with pytest.raises(RequestError, match=r"^model: MLP takes numbers, and the inputs of these data are tokens; use"):
        layers((9,), "model=mlp", tokens=40)


def test_a_description_shows_the_layers_of_a_chosen_model(tmp_path, capsys):
    config = settings("data=digits", "model=linear", f"paths.run_dir={tmp_path}", "trust=[]")
    record(config, describe, "print_description")
    said = capsys.readouterr().out
    assert re.search(r"^ total +MLP +10 +650 +640 +2\.6 *$", said, flags=re.MULTILINE)
    assert training_command(Digits(), ["data=digits", "model=linear"]).endswith(" data=digits model=linear")
