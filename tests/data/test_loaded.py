"""What load() may give, what is made of it, and the line that tells what does not fit."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from litlab.data.splits import Split
from litlab.data.tensors import TensorData
from litlab.errors import RequestError

X = torch.arange(12.0).reshape(6, 2)
LABELS = torch.tensor([0, 1, 0, 1, 0, 1])
VALUES = torch.linspace(0, 1, 6)


class Given(TensorData):
    """Two columns; load() gives what the test wants."""

    input_shape: Any = (2,)
    num_outputs = 1

    def __init__(self, given: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self.given = given

    def load(self) -> Any:
        return self.given


class Classes(Given):
    num_outputs = 2
    class_names = ("no", "yes")


def raw(data: TensorData) -> Split:
    return data.raw_splits()["train"]


def told(data: TensorData) -> str:
    """The one line that describe.py and train.py show."""
    with pytest.raises(RequestError) as error:
        data.raw_splits()
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- what is converted


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool]
)
def test_inputs_become_float32(dtype):
    inputs, targets = raw(Given((Split(X.to(dtype), VALUES), None)))
    assert inputs.dtype == targets.dtype == torch.float32
    assert torch.equal(inputs, X.to(dtype).float())


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.bool, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_labels_become_int64_in_a_row(dtype, shape):
    targets = raw(Classes((Split(X, LABELS.to(dtype).reshape(shape)), None))).targets
    assert targets.dtype == torch.int64
    assert torch.equal(targets, LABELS)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 1, 1)])
def test_numbers_to_predict_become_float32(shape):
    targets = raw(Given((Split(X, LABELS.reshape(shape)), None))).targets
    assert targets.dtype == torch.float32
    assert torch.equal(targets, LABELS.float().reshape(shape))


def test_what_is_right_is_not_copied():
    for data, targets in ((Classes, LABELS), (Given, VALUES)):
        split = raw(data((Split(X, targets), None)))
        assert split.inputs.data_ptr() == X.data_ptr()
        assert split.targets.data_ptr() == targets.data_ptr()


def test_numpy_arrays_lists_and_plain_pairs_will_do():
    reversed_rows, read_only = X.numpy().astype(np.float64)[::-1], LABELS.numpy().copy()
    read_only.flags.writeable = False
    train, test = (reversed_rows, read_only), (X.tolist(), LABELS.tolist())
    splits = Classes((train, test)).raw_splits()
    assert torch.equal(splits["train"].inputs, X.flip(0))
    assert torch.equal(splits["test"].inputs, X)
    assert torch.equal(splits["train"].targets, LABELS) and torch.equal(splits["test"].targets, LABELS)


# ---- what is refused


@pytest.mark.parametrize(
    "given",
    [Split(X, LABELS), (X, LABELS), (Split(X, LABELS),), (Split(X, LABELS), None, None), (X, None), None, {"train": X}],
)
def test_load_returns_two_splits(given):
    assert told(Classes(given)) == (
        "data=Classes: load() must return two splits, the test split or None as the second: "
        "return Split(inputs, targets), None"
    )


@pytest.mark.parametrize(
    ("given", "part", "kind"),
    [
        ((Split(["a", "b"], LABELS), None), "train inputs", "list"),
        ((Split([[1.0, 2.0], [3.0]], LABELS[:2]), None), "train inputs", "list"),
        ((Split(X, np.array(["no", "yes"] * 3)), None), "train targets", "ndarray"),
        ((Split(X, LABELS), Split(X, None)), "test targets", "NoneType"),
        ((Split(X.to(torch.complex64), LABELS), None), "train inputs", "Tensor"),
    ],
)
def test_what_is_no_number_is_refused(given, part, kind):
    assert told(Classes(given)) == (
        f"data=Classes: load() gives {part} that are no numbers in rows of one length ({kind}); give a tensor"
    )


@pytest.mark.parametrize(
    ("sparse", "kind", "dense"),
    [
        (scipy.sparse.csr_matrix(X), "csr_matrix", ".toarray()"),
        (scipy.sparse.coo_array(X), "coo_array", ".toarray()"),
        (X.to_sparse(), "Tensor", ".to_dense()"),
    ],
)
def test_sparse_inputs_are_to_be_made_dense(sparse, kind, dense):
    assert told(Classes((Split(sparse, LABELS), None))) == (
        f"data=Classes: load() gives train inputs that are sparse ({kind}); make them dense with {dense}"
    )


@pytest.mark.parametrize(
    ("part", "inputs", "shape"),
    [(0, torch.zeros(6, 3), "(6, 3)"), (1, torch.zeros(6, 1, 2), "(6, 1, 2)"), (0, torch.zeros(6), "(6,)")],
)
def test_inputs_of_another_shape_are_refused(part, inputs, shape):
    given = [Split(X, LABELS), Split(X, LABELS)]
    given[part] = Split(inputs, LABELS)
    assert told(Classes(tuple(given))) == (
        f"data=Classes: load() gives {('train', 'test')[part]} inputs of shape {shape}; "
        "with input_shape = (2,) they must be (N, 2)"
    )


@pytest.mark.parametrize("shape", [2, ()])
def test_an_input_shape_that_is_no_tuple_is_told(monkeypatch, shape):
    monkeypatch.setattr(Given, "input_shape", shape)
    assert told(Given((Split(X, VALUES), None))) == f"data=Given: input_shape = {shape} must be a tuple, such as (2,)"


def test_inputs_and_targets_must_be_as_many():
    assert told(Classes((Split(X, LABELS[:5]), None))) == (
        "data=Classes: load() gives 6 train inputs and 5 targets; each input needs a target"
    )


@pytest.mark.parametrize("part", [0, 1])
def test_a_split_without_samples_is_refused(part):
    given = [Split(X, LABELS), Split(X, LABELS)]
    given[part] = Split(X[:0], LABELS[:0])
    assert (
        told(Classes(tuple(given)))
        == (
            "data=Classes: load() gives a train split without samples",
            "data=Classes: load() gives a test split without samples; give None to carve data.test_size",
        )[part]
    )


@pytest.mark.parametrize(
    ("target", "shown"), [(0.5, "0.5"), (-1.25, "-1.25"), (float("nan"), "nan"), (float("inf"), "inf")]
)
def test_labels_that_are_not_whole_are_refused(target, shown):
    labels = LABELS.double()
    labels[3] = target
    assert told(Classes((Split(X, labels), None))) == (
        f"data=Classes: load() gives {shown} as a train label; classes are whole numbers from 0 to 1 "
        "(numbers to predict: no class_names)"
    )


@pytest.mark.parametrize("shape", [(6, 2), (6, 1, 1)])
def test_labels_of_another_shape_are_refused(shape):
    assert told(Classes((Split(X, torch.zeros(shape)), None))) == (
        f"data=Classes: load() gives train labels of shape {shape}; classes must be (N,), "
        "a number each (one-hot rows: take argmax(1))"
    )


@pytest.mark.parametrize(
    ("outputs", "shape", "right"), [(1, (6, 2), "(N,)"), (2, (6,), "(N, 2)"), (2, (6, 1), "(N, 2)")]
)
def test_numbers_to_predict_of_another_shape_are_refused(monkeypatch, outputs, shape, right):
    monkeypatch.setattr(Given, "num_outputs", outputs)
    assert told(Given((Split(X, torch.zeros(shape)), None))) == (
        f"data=Given: load() gives train targets of shape {shape}; "
        f"with num_outputs = {outputs} and no class_names they must be {right}"
    )


@pytest.mark.parametrize("outputs", [1, 3])
def test_as_many_outputs_as_classes(monkeypatch, outputs):
    monkeypatch.setattr(Classes, "num_outputs", outputs)
    monkeypatch.setattr(Classes, "class_names", ("no", "yes") if outputs == 3 else ("no", "yes", "perhaps"))
    classes = 2 if outputs == 3 else 3
    assert told(Classes((Split(X, LABELS), None))) == (
        f"data=Classes: num_outputs = {outputs}, but class_names has {classes}; "
        "they must be as many (or 1 output for two classes, with task=binary)"
    )


def test_one_output_will_do_for_two_classes(monkeypatch):
    monkeypatch.setattr(Classes, "num_outputs", 1)
    assert torch.equal(raw(Classes((Split(X, LABELS), None))).targets, LABELS)


@pytest.mark.parametrize(("shape", "means"), [((2,), "2 columns"), ((9, 2), "2 channels (time, channels)")])
def test_as_many_names_as_columns(monkeypatch, shape, means):
    monkeypatch.setattr(Given, "feature_names", ("x", "y", "z"))
    monkeypatch.setattr(Given, "input_shape", shape)
    assert told(Given((Split(X, VALUES), None))) == (
        f"data=Given: feature_names has 3, but input_shape = {shape} means {means}; they must be as many"
    )


# ---- tokens


class Tokens(Classes):
    num_tokens: Any = 12


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.float32])
def test_tokens_are_int64(dtype):
    inputs, _ = raw(Tokens((Split(X.to(dtype), LABELS), None)))
    assert inputs.dtype == torch.int64 and torch.equal(inputs, X.long())


def test_what_are_no_tokens_is_refused(monkeypatch):
    assert told(Tokens((Split(X / 2, LABELS), None))) == (
        "data=Tokens: load() gives 0.5 as a train token; tokens are whole numbers from 0 to 11 "
        "(other inputs: no num_tokens)"
    )
    for inputs, span in ((X + 1, "1 to 12"), (X - 1, "-1 to 10")):
        with pytest.raises(RequestError) as error:
            Tokens((Split(X, LABELS), Split(inputs, LABELS))).setup()
        assert str(error.value) == (
            f"data=Tokens: the test inputs hold tokens from {span}, and num_tokens = 12 means 0 to 11; "
            "mend load() or num_tokens"
        )
    with pytest.raises(RequestError, match=r"^data\.normalize=true: the inputs are tokens"):
        Tokens((Split(X, LABELS), Split(X, LABELS)), normalize=True).setup()
    monkeypatch.setattr(Tokens, "num_tokens", 0.5)
    assert told(Tokens((Split(X, LABELS), None))).startswith("data=Tokens: num_tokens = 0.5 must be a whole number")
