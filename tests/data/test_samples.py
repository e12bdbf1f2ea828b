"""What load() may return, how it is converted, and the line that tells what does not fit."""

import numpy as np
import pytest
import scipy.sparse
import torch

from litlab.data.faults import faults, some
from litlab.data.splits import Split
from litlab.data.tensors import TensorData
from litlab.errors import RequestError

X = torch.arange(12.0).reshape(6, 2)
LABELS = torch.tensor([0, 1, 0, 1, 0, 1])
VALUES = torch.linspace(0, 1, 6)
TRAIN = Split(X, LABELS)
GAPS = X.clone()
GAPS[1, 1] = float("nan")


class Regression(TensorData):
    input_shape = (2,)
    num_outputs = 1

    def __init__(self, *loaded, **settings):
        super().__init__(**settings)
        self.loaded = loaded

    def load(self):
        return self.loaded


class Classes(Regression):
    num_outputs = 2
    class_names = ("no", "yes")


class Tokens(Classes):
    num_tokens = 12


def raw(data):
    return data.raw_splits()["train"]


def refusal(data):
    """The one line that training shows, without the name of the class."""
    with pytest.raises(RequestError) as error:
        data.setup()
    name, _, problem = str(error.value).partition(": ")
    assert name == f"data={type(data).__name__}" and "\n" not in problem
    return problem


def test_inputs_become_float32_at_once_or_with_their_batch_and_tokens_int64():
    for dtype in [torch.float64, torch.int64, torch.int32, torch.float16, torch.bfloat16, torch.uint8, torch.bool]:
        given = X.to(dtype)
        inputs, targets = raw(Regression(Split(given, VALUES), None))
        assert targets.dtype == torch.float32 and torch.equal(inputs[:], given.float())
        small = dtype.itemsize < 4  # these stay as they are: not a byte is copied
        assert inputs.dtype == (dtype if small else torch.float32)
        assert not small or inputs.stored.data_ptr() == given.data_ptr()
    for dtype in [torch.int64, torch.int32, torch.uint8, torch.float32]:
        inputs, _ = raw(Tokens(Split(X.to(dtype), LABELS), None))
        assert inputs.dtype == torch.int64 and torch.equal(inputs, X.long())


def test_targets_become_int64_labels_or_float32(monkeypatch):
    for shape in [(6,), (6, 1)]:
        for dtype in [torch.int32, torch.uint8, torch.bool, torch.float32, torch.float64]:
            targets = raw(Classes(Split(X, LABELS.to(dtype).reshape(shape)), None)).targets
            assert targets.dtype == torch.int64
            assert torch.equal(targets, LABELS)
    for shape in [(6,), (6, 1), (6, 1, 1)]:
        targets = raw(Regression(Split(X, LABELS.reshape(shape)), None)).targets
        assert targets.dtype == torch.float32
        assert torch.equal(targets, LABELS.float().reshape(shape))
    monkeypatch.setattr(Classes, "num_outputs", 1)
    assert torch.equal(raw(Classes(Split(X, LABELS), None)).targets, LABELS)


def test_tensors_are_not_copied_and_arrays_lists_and_pairs_will_do():
    for data, targets in [(Classes, LABELS), (Regression, VALUES)]:
        split = raw(data(Split(X, targets), None))
        assert split.inputs.data_ptr() == X.data_ptr()
        assert split.targets.data_ptr() == targets.data_ptr()
    reversed_rows, read_only = X.numpy().astype(np.float64)[::-1], LABELS.numpy().copy()
    read_only.flags.writeable = False
    splits = Classes((reversed_rows, read_only), (X.tolist(), LABELS.tolist())).raw_splits()
    assert torch.equal(splits["train"].inputs, X.flip(0))
    assert torch.equal(splits["test"].inputs, X)
    assert torch.equal(splits["train"].targets, LABELS) and torch.equal(splits["test"].targets, LABELS)


@pytest.mark.parametrize("loaded", [TRAIN, (X, LABELS), (TRAIN,), (TRAIN, None, None), (X, None), None, {"train": X}])
def test_load_returns_two_splits(monkeypatch, loaded):
    monkeypatch.setattr(Classes, "load", lambda self: loaded)
    message = "load() must return two splits (the second may be None): return Split(inputs, targets), None"
    assert refusal(Classes()) == message


NOT_NUMERIC = "that are not a numeric array ({}); return a tensor"
SPARSE = "sparse train inputs ({}); make them dense with {}"
SHAPE = "{} inputs of shape {}; input_shape = (2,) needs (N, 2)"
NOT_A_ROW = "train labels of shape {}; class indices must be (N,) (one-hot rows: use argmax(1))"
NOT_WHOLE = "{} as a train label; labels are whole numbers from 0 to 1 (regression: set no class_names)"


@pytest.mark.parametrize(
    ("train", "test", "problem"),
    [
        (Split(["a", "b"], LABELS), None, "train inputs " + NOT_NUMERIC.format("list")),
        (Split([[1.0, 2.0], [3.0]], LABELS[:2]), None, "train inputs " + NOT_NUMERIC.format("list")),
        (Split(X, np.array(["no", "yes"] * 3)), None, "train targets " + NOT_NUMERIC.format("ndarray")),
        (TRAIN, Split(X, None), "test targets " + NOT_NUMERIC.format("NoneType")),
        (Split(X.to(torch.complex64), LABELS), None, "train inputs " + NOT_NUMERIC.format("Tensor")),
        (Split(scipy.sparse.csr_matrix(X), LABELS), None, SPARSE.format("csr_matrix", ".toarray()")),
        (Split(scipy.sparse.coo_array(X), LABELS), None, SPARSE.format("coo_array", ".toarray()")),
        (Split(X.to_sparse(), LABELS), None, SPARSE.format("Tensor", ".to_dense()")),
        (Split(torch.zeros(6, 3), LABELS), TRAIN, SHAPE.format("train", "(6, 3)")),
        (TRAIN, Split(torch.zeros(6, 1, 2), LABELS), SHAPE.format("test", "(6, 1, 2)")),
        (Split(torch.zeros(6), LABELS), TRAIN, SHAPE.format("train", "(6,)")),
        (Split(X, LABELS[:5]), None, "6 train inputs and 5 targets; they must match"),
        (Split(X[:0], LABELS[:0]), TRAIN, "an empty train split"),
        (TRAIN, Split(X[:0], LABELS[:0]), "an empty test split; return None to carve data.test_size"),
        *((Split(X, torch.zeros(shape)), None, NOT_A_ROW.format(shape)) for shape in ((6, 2), (6, 1, 1))),
        *(
            (Split(X, torch.where(LABELS == 1, target, 0.0)), None, NOT_WHOLE.format(f"{target:g}"))
            for target in (0.5, -1.25, float("nan"), float("inf"))
        ),
    ],
)
def test_what_does_not_fit_the_classes_is_refused(train, test, problem):
    assert refusal(Classes(train, test)) == f"load() returns {problem}"


def test_values_that_are_no_tokens_and_targets_of_another_shape_are_refused(monkeypatch):
    for outputs, shape, needed in [(1, (6, 2), "(N,)"), (2, (6,), "(N, 2)"), (2, (6, 1), "(N, 2)")]:
        monkeypatch.setattr(Regression, "num_outputs", outputs)
        assert refusal(Regression(Split(X, torch.zeros(shape)), None)) == (
            f"load() returns train targets of shape {shape}; num_outputs = {outputs} without class_names needs {needed}"
        )
    assert refusal(Tokens(Split(X / 2, LABELS), None)) == (
        "load() returns 0.5 as a train token; tokens are whole numbers from 0 to 11 (other inputs: set no num_tokens)"
    )
    for inputs, span in ((X + 1, "1 to 12"), (X - 1, "-1 to 10")):
        assert refusal(Tokens(TRAIN, Split(inputs, LABELS))) == (
            f"the test inputs hold tokens from {span}, but num_tokens = 12 means 0 to 11; fix load() or num_tokens"
        )
    with pytest.raises(RequestError, match=r"^data\.normalize=true: tokens cannot be normalized"):
        Tokens(TRAIN, TRAIN, normalize=True).setup()


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"input_shape": 2}, "input_shape = 2 must be a tuple, such as (2,)"),
        ({"input_shape": ()}, "input_shape = () must be a tuple, such as (2,)"),
        ({"num_tokens": 0.5}, "num_tokens = 0.5 must be a whole number, such as 1000, or None for other inputs"),
        *(
            (
                {"num_outputs": outputs, "class_names": tuple("abc"[:classes])},
                f"num_outputs = {outputs}, but class_names has {classes}; they must match "
                "(or 1 output for two classes, with task=binary)",
            )
            for outputs, classes in ((1, 3), (3, 2))
        ),
        *(
            (
                {"feature_names": ("x", "y", "z"), "input_shape": shape},
                f"feature_names has 3, but input_shape = {shape} means {means}; they must match",
            )
            for shape, means in (((2,), "2 columns"), ((9, 2), "2 channels (time, channels)"))
        ),
    ],
)
def test_a_wrong_declaration_is_refused(monkeypatch, declared, problem):
    for name, value in declared.items():
        monkeypatch.setattr(Classes, name, value)
    assert refusal(Classes(TRAIN, None)) == problem


def test_setup_refuses_the_faults_that_raw_splits_leaves_to_describe():
    data = Classes(Split(GAPS, LABELS), Split(X, LABELS + 1))
    splits = data.raw_splits()
    assert splits["train"].inputs.isnan().sum() == 1 and splits["test"].targets.max() == 2
    assert refusal(data) == (
        "the train inputs hold NaN or infinite values in 1 of 6 samples (column 1); fix them in load() "
        "(scripts/describe.py shows 1 more)"
    )


IMAGES = X.reshape(6, 1, 2, 1)


@pytest.mark.parametrize(
    ("declared", "train", "test", "where"),
    [
        (
            {"feature_names": ("height", "width")},
            Split(X, VALUES),
            Split(torch.full_like(X, float("inf")), VALUES),
            "test inputs hold NaN or infinite values in 6 of 6 samples (height, width)",
        ),
        ({}, Split(X, VALUES.log()), Split(X, VALUES), "train targets hold NaN or infinite values in 1 of 6 samples"),
        (
            {"input_shape": (1, 2, 1)},
            Split(IMAGES, VALUES),
            Split(torch.where(IMAGES < 8, IMAGES, float("-inf")), VALUES),
            "test inputs hold NaN or infinite values in 2 of 6 samples",
        ),
    ],
)
def test_values_that_are_not_finite_are_refused(monkeypatch, declared, train, test, where):
    for name, value in declared.items():
        monkeypatch.setattr(Regression, name, value)
    assert refusal(Regression(train, test)) == f"the {where}; fix them in load()"


OUTSIDE = "labels outside the classes 0 to 1: {} of 6 in the {} split, such as {}; fix load() or class_names"


def test_labels_outside_the_classes_and_all_other_faults_are_told():
    for labels, problems in [
        (LABELS + 1, ["labels go from 1 to 2, but classes are 0 to 1: subtract 1 in load()"]),
        (LABELS + 7, ["labels go from 7 to 8, but classes are 0 to 1: subtract 7 in load()"]),
        (LABELS - 1, ["labels go from -1 to 0, but classes are 0 to 1: add 1 in load()"]),
        # One class alone does not tell from where they are counted.
        (0 * LABELS + 5, [OUTSIDE.format(6, "train", 5), OUTSIDE.format(6, "test", 5)]),
        (2 * LABELS - 1, [OUTSIDE.format(3, "train", -1), OUTSIDE.format(3, "test", -1)]),
    ]:
        split = Split(X, labels)
        assert list(faults(Classes(), {"train": split, "test": split})) == problems
    splits = {"train": TRAIN, "val": Split(GAPS, LABELS), "test": Split(X, LABELS + 4)}
    assert list(faults(Classes(), splits)) == [
        "the val inputs hold NaN or infinite values in 1 of 6 samples (column 1); fix them in load()",
        "labels outside the classes 0 to 1: 6 of 6 in the test split, such as 4; fix load() or class_names",
    ]
    rows = Split(torch.full_like(X, 3e38), VALUES)
    assert list(faults(Regression(rows), {"train": rows})) == []
    both, one = Split(X, LABELS + 1), Split(X[:1], LABELS[1:2] + 1)  # class 2 alone
    assert list(faults(Classes(), {"train": both, "test": one})) == [
        "labels go from 1 to 2, but classes are 0 to 1: subtract 1 in load()"
    ]
    for count, more in [(5, ""), (6, " and 1 more"), (7, " and 2 more")]:
        assert some([f"a{number}" for number in range(count)]) == "a0, a1, a2, a3, a4" + more
