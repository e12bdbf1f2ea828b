"""User-facing messages for errors of Hydra and of the classes that a config names."""

import functools
import re
import shlex
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from litlab.config.signatures import REQUIRED, signature
from litlab.config.suggestions import OF_A_SEARCH, choice_meant, unknown_choice, unknown_setting
from litlab.escape import one_line

LITLAB = Path(__file__).parents[1]
USER_FOLDERS = ("data", "models")  # of litlab's: users put files of their own there
INSTALLED = {"site-packages", "dist-packages"}
SWEEP_VALUES = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'(?: 1\. To| requires --multirun)")
UNPARSABLE = re.compile(
    r"no ?viable ?alt|mismatched input|extraneous input|missing .* at|token recognition", re.IGNORECASE
)
IS_THERE = re.compile(r"Could not append to config. An item is already at '(.*?)'")
NO_CHOICE = re.compile(r"Could not override '(.*?)'. No match in the defaults list.*use \+(.*)")
WRONG_ARGUMENTS = re.compile(r"unexpected keyword argument|missing \d+ required")


def user_frame(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost frame of the user's own code that litlab has called; None where the error is litlab's own."""
    found = None
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(LITLAB) and path.relative_to(LITLAB).parts[0] not in USER_FOLDERS:
            found = None
        elif not _is_installed(path):
            found = frame
    return found


def _is_installed(path: Path) -> bool:
    library = Path(sysconfig.get_path("stdlib"))
    return str(path).startswith("<") or bool(INSTALLED & set(path.parts)) or path.is_relative_to(library)


def error_location(error: BaseException) -> str:
    """The file and line to look at: in the user's own code, or else where the error was raised."""
    if hasattr(error, "location"):  # it was raised in another process
        return str(error.location)
    frame = user_frame(error) or traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def format_error(error: BaseException) -> str:
    """An error's type and message on one line, and the remedy where it is known."""
    text = ": ".join(filter(None, (type(error).__name__, one_line(error))))
    if "while checking arguments for embedding" in text and "Float" in text:
        text += "; inputs are float32, unless their class sets num_tokens (they stay int64 then)"
    return text


def build_error(error: BaseException) -> str:
    """Why a class of a config could not be built.

    The message alone where it is about a setting: an unknown one, or a ValueError that the user's class itself raises.
    Other errors of the user's classes come with their type and location.
    """
    frame, message = user_frame(error), one_line(error)
    raised_there = frame is not None and frame == traceback.extract_tb(error.__traceback__)[-1]
    about_setting = (isinstance(error, ValueError) and raised_there) or WRONG_ARGUMENTS.search(message)
    if frame is None or (message and about_setting):
        return message or type(error).__name__
    return f"{format_error(error)} ({error_location(error)})"


def hydra_message(error: BaseException) -> str | None:
    """The message for an error on the command line or in a YAML file; None for other errors."""
    from hydra.errors import HydraException, MissingConfigException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

    from litlab.compat.omegaconf import root

    cause = error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        return unknown_choice(error.missing_cfg_file or "", error.options)
    if isinstance(cause, OmegaConfBaseException) and cause.parent_node is not None and cause.full_key:
        return unknown_setting(cause.full_key, root(cause.parent_node), cause.parent_node)
    if isinstance(error, HydraException) and (several := SWEEP_VALUES.match(one_line(error))):
        return f"{several[1]}: several values make a sweep; add -m (a list has brackets, [1,2])"
    if isinstance(error, ConfigAttributeError | ConfigKeyError) and error.full_key and cause is None:
        return f"{error.full_key}: is required; remove ~{error.full_key}"
    if type(error).__name__ == "MisconfigurationException":  # Lightning's, by its name: importing it takes seconds
        return blame_setting("trainer", {"_target_": "lightning.pytorch.Trainer"}, error)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _wrong_override(error)
    if isinstance(error, OSError) and error.filename:
        files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
        if any(file.parts[-2:] == ("hydra", "main.py") for file in files):
            return f"paths.log_dir: cannot write {error.filename} ({error.strerror}); name a folder that can be written"
    return None


def _wrong_override(error: Any) -> str:
    """Args: error: of Hydra or OmegaConf, about a word that is not in the grammar, or a value that cannot be had."""
    message = one_line(error).split(" See https")[0]
    if override := getattr(error, "override", None):  # what could not be parsed
        if re.fullmatch(r"[\w./-]+", override):
            return f"{override}: is not NAME=VALUE{choice_meant(override)}"
        name, _, value = override.partition("=")
        is_text = value and value[0] not in "[{(" and '"' not in value
        quoted = shlex.quote(f'{name}="{value}"' if is_text else 'data.file="a (1).csv"')
        quote = f"cannot be parsed; put quotes around special characters, such as {quoted}"
        return f"{override}: {quote if UNPARSABLE.search(message) else message}"
    if match := IS_THERE.match(message):
        return f"+{match[1]}: is there already; leave out the +"
    if (match := NO_CHOICE.match(message)) and match[1].startswith("hydra/sweeper/"):
        return f"{match[2]}: {OF_A_SEARCH}"
    if match:
        return f"{match[2]}: {match[1]} is not chosen by this command; leave it out"
    setting = getattr(error, "full_key", None)  # of a value that refers to what there is not
    return (
        f"{setting}: {str(error).splitlines()[0]}"
        if setting and setting not in message.split(" full_key")[0]
        else message
    )


def blame_setting(path: str, made: Any, error: BaseException | str) -> str:
    """An error of another library's class, prefixed with the setting that it is about.

    Args:
        path: of the settings in the config.
        made: the settings, with their `_target_`; or the callable, a partial, that was made of them.
        error: what the class raised, or its message.
    """
    message = one_line(error)
    if message.startswith(f"{path}."):
        return message
    if callable(made):
        function = made.func if isinstance(made, functools.partial) else made
        target = f"{function.__module__}.{getattr(function, '__qualname__', '')}"
        made = {"_target_": target, **getattr(made, "keywords", {})}
    target = str(made.get("_target_"))
    if message.startswith("Error l"):  # Hydra's "loading" and "locating"
        return f"{path}._target_={target}: {message}"
    words = re.findall(r"\w+", message.lower())
    given = [name for name in sorted(map(str, made), key=len, reverse=True) if name.lower() in words]
    optional = [name for name, each in signature(target).parameters.items() if each.default is not REQUIRED]
    left_out = [name for word in words for name in optional if name.lower() == word]
    if not given:
        return f"{path}.{left_out[0]}: {message}" if left_out else f"{path}: {message}"
    value = made[given[0]]
    shown = f"={value}" if isinstance(value, str | int | float | list | tuple | None) else ""
    return f"{path}.{given[0]}{shown}: {message}"
