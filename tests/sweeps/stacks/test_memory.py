"""How many members of a stack the memory holds."""

import pytest

from litlab.sweeps.stacks.memory import member_bytes, members_that_fit


def test_what_is_free_is_shared_by_members_and_one_fits_always():
    assert members_that_fit(1000, 100) == 8, "some is left"
    assert members_that_fit(1000, 10_000) == 1


@pytest.mark.parametrize(("optimizer", "states"), [("sgd", 1), ("adam", 2)])
def test_a_member_has_weights_states_and_what_a_batch_passes_through(compose, optimizer, states):
    from litlab.build import build_data, build_task

    config = compose("data=digits", f"optimizer={optimizer}", "model.hidden_sizes=[8]", "data.batch_size=2000")
    data = build_data(config)
    task = build_task(config, data)
    largest, rest = 64 * 8, 8 + 8 * 10 + 10
    of_weights = (largest + rest) * (3 + states + 2 * (1 + states)) + 3 * largest
    # The inputs, flattened ones, two of eight (with the activation), and the outputs; in validation the widest.
    assert member_bytes(task, data, 4) == 4 * (of_weights + 3 * 2000 * (64 + 64 + 8 + 8 + 10))
    data.batch_size = 10
    assert member_bytes(task, data, 8) == 8 * (of_weights + 3 * 1024 * 64)
    assert task.model.training
