"""Which hooks an object overrides."""

from typing import Any

# Lightning calls these around every optimizer step; where a callback has one, it gets its calls.
STEP_HOOKS = ("on_before_backward", "on_after_backward", "on_before_optimizer_step", "on_before_zero_grad")


def has_hook(instance: Any, hook: str, parent: type) -> bool:
    """Whether this object overrides a hook of `parent`; a LambdaCallback's hooks are in the instance."""
    return getattr(type(instance), hook) is not getattr(parent, hook) or hook in vars(instance)
