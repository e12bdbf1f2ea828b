"""When the jobs of a stack are trained: at once as far as memory allows, one by one where their stack fails."""

import pytest


@pytest.fixture
def stack_of(monkeypatch):
    """Stacks of numbers in place of trainings: more than three at once do not fit, and none with a five works."""
    from litlab.sweeps.stacks import stack

    class Training:
        def __init__(self, configs):
            self.configs = configs

        def run(self):
            if len(self.configs) > 3:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")
            if 5 in self.configs:
                raise ValueError("five")
            return [f"{each} of {len(self.configs)}" for each in self.configs]

    monkeypatch.setattr(stack, "StackedTraining", Training)
    return stack.Stack


def test_out_of_memory_halves_the_stack_and_any_other_failure_parts_it(stack_of, capsys):
    stack = stack_of(range(7))
    found = [stack.replay(number) for number in range(7)]
    assert found == ["0 of 3", "1 of 3", "2 of 3", None, None, None, "6 of 1"]
    assert capsys.readouterr().out.splitlines() == [
        "out of memory: 3 instead of 7 jobs are trained at once",
        "3 jobs are trained one by one, as their stack failed: five",
    ]


def test_memory_limits_the_stack(stack_of, monkeypatch, compose, capsys):
    monkeypatch.setattr("litlab.sweeps.stacks.memory.available", lambda: 3e6)
    configs = [compose("data=digits", "model.hidden_sizes=[8]", f"seed={seed}") for seed in range(5)]
    stack = stack_of(configs, by_memory=True)
    assert stack.replay(0).endswith(" of 2") and stack.has_trained(1) and not stack.has_trained(2)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("2 of 5 jobs are trained at once: each takes about 1 MB, and 3 MB are free")
    assert stack_of(configs, by_memory=True, processes=2).replay(3).endswith(" of 1")
    monkeypatch.setattr("litlab.sweeps.stacks.memory.available", lambda: None)
    assert stack_of(configs[:3], by_memory=True).replay(0).endswith(" of 3"), "not known: no limit"
