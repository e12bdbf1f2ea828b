"""Settings by the names of columns: Hydra parses only ASCII letters, digits, _ and - in the name of a setting."""

import re
import shlex

from omegaconf import DictConfig, OmegaConf, open_dict

COLUMNS = "data.columns"
PLAIN = re.compile(r"[\w-]+", re.ASCII)
ENCODED = "utf8_"  # and the name's bytes, in hexadecimal digits
WORD = re.compile(rf"({re.escape(COLUMNS)}\.){ENCODED}((?:[0-9a-f]{{2}})+)(?==|$)")


def typed(name: str, kind: str) -> str:
    """The word that sets the type of a column, as one types it in a shell."""
    word = f"{COLUMNS}.{name}={kind}"
    return word if re.fullmatch(r"[\w.=-]+", word) else shlex.quote(word)


def encoded(word: str) -> str:
    """The word as Hydra can parse it, if it sets the type of a column; the type is what follows the last =."""
    setting, equals, kind = word.rpartition("=")
    before, found, name = setting.partition(f"{COLUMNS}.")
    if not found or before.strip("+") or not equals:
        return word
    if len(name) > 2 and name[0] == name[-1] and name[0] in "'\"":
        name = name[1:-1]
    return word if PLAIN.fullmatch(name) else f"{before}{COLUMNS}.{ENCODED}{name.encode().hex()}={kind}"


def decoded(word: str) -> str:
    """To show: a word, or the setting that it sets, with the column's own name, as one types it."""
    word = word.removeprefix("++") if word.startswith(f"++{COLUMNS}.") else word
    found = WORD.match(word)
    return found[1] + bytes.fromhex(found[2]).decode(errors="replace") + word[found.end() :] if found else word


def decode(config: DictConfig) -> None:
    """Give the columns in a composed config their names again."""
    columns = OmegaConf.select(config, COLUMNS, throw_on_missing=False, throw_on_resolution_failure=False)
    if isinstance(columns, DictConfig):
        with open_dict(columns):
            for name in [str(each) for each in columns if str(each).startswith(ENCODED)]:
                columns[bytes.fromhex(name.removeprefix(ENCODED)).decode()] = columns.pop(name)
