"""What a sweep was asked for, from the request in its folder; and which of its jobs have not begun."""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import OmegaConf

from litlab.results import Result
from litlab.sweeps.columns import comparable, identity, own_overrides, parse, typed, value
from litlab.sweeps.folder import REQUEST
from litlab.sweeps.naming import key_of
from litlab.sweeps.reading import read_file
from litlab.sweeps.space import Space

NOT_BEGUN = "not begun"  # the status of a job without a result.json
MAX_JOBS = 100_000  # that a request is held against
FOUND = "optimization_results.yaml"  # in a search's folder, when it has come to its end

Given = dict[str, str]  # by setting, the text of its value


def not_begun(folder: Path, results: Sequence[Result]) -> tuple[list[Result], int]:
    """The jobs that the sweep in `folder` was asked for and that have no result; nothing where no request tells.

    Args:
        folder: of the sweep.
        results: of its jobs.

    Returns:
        those whose setting has begun with other seeds, as results; and how many there are in all.
    """
    try:
        planned, trials = _planned(folder)
    except (OSError, ValueError, ArithmeticError, RecursionError, HydraException, yaml.YAMLError):  # it may be anyone's
        return [], 0
    seeds: dict[Any, dict[str, str]] = defaultdict(dict)  # of each setting, by what they are compared by
    for job in planned:
        texts = {key: parse(text) for key, text in job.items() if key != "seed"}
        seeds[tuple(job), comparable(texts.values())][_seed(parse(job.get("seed")))] = job.get("seed") or ""
    begun: dict[Any, dict[Any, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for keys in {keys for keys, _ in seeds}:
        for result in results:
            told = keys, comparable(_given_to(result, key) for key in keys if key != "seed")
            if told in seeds:
                begun[told][identity(result, seed=False)].append(result)
    lacking, done = [], 0
    for told, settings in begun.items():
        is_seeded = "seed" in told[0]
        for group in settings.values():
            there = {_seed(_given_to(result, "seed") if is_seeded else None) for result in group}
            if there & seeds[told].keys():  # else it is another session's
                lacking += [_lacking(group[0], text) for seed, text in seeds[told].items() if seed not in there]
            done += len(there & seeds[told].keys())
    if trials is None:
        return lacking, max(sum(map(len, seeds.values())) - done, len(lacking))
    if (folder / FOUND).exists():
        return lacking, len(lacking)
    return lacking, max(trials * sum(map(len, seeds.values())) - done, len(lacking))


def _planned(folder: Path) -> tuple[list[Given], int | None]:
    """The jobs that were asked for; of a search those of one trial, without what it draws, and how many trials.

    Raises:
        OSError: there is no request that can be read.
        ValueError: it is none, or of too many jobs.
        HydraException: it has no overrides.
    """
    request: Any = yaml.load(read_file(folder / REQUEST), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        hydra, options = request["hydra"], OmegaConf.create(request["sweep"])
        sweeper, choices = hydra["sweeper"], dict(hydra["runtime"]["choices"])
        params = [f"{key}={text}" for key, text in (sweeper.get("params") or {}).items()]
        trials = int(sweeper["n_trials"]) if str(sweeper.get("_target_")).endswith(".OptunaSweeper") else None
        words = [str(word) for word in (*params, *hydra["overrides"]["task"])]
        overrides = OverridesParser.create().parse_overrides(own_overrides({"overrides": words}))
        if trials is not None:
            overrides = [each for each in overrides if not each.is_sweep_override() or _key(each) == "seed"]
        if max(math.prod(map(_count, overrides)), int(options.get("jobs") or 0)) > MAX_JOBS:
            raise ValueError(f"more than {MAX_JOBS:,} jobs")
        jobs = Space(overrides, options, choices).jobs()
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"no request: {error}") from error
    return [{key_of(word): word.partition("=")[2] for word in job} for job in jobs], trials


def _count(override: Override) -> float:
    """How many values an override gives, without listing them: a range may have a billion."""
    found = override.value()
    if isinstance(found, RangeSweep):
        start, stop, step = (float(each or 0) for each in (found.start, found.stop, found.step))
        return max((stop - start) / (step or 1), 1)
    return len(found.list) if isinstance(found, ChoiceSweep) else 1


def _key(override: Override) -> str:
    return key_of(override.get_key_element())


def _given_to(result: Result, key: str) -> Any:
    """What a job was told of a setting, or what it took by itself."""
    text = typed(result).get(key)
    return value(result, key) if text is None else parse(text)


def _seed(seed: Any) -> str:
    return comparable([seed])


def _lacking(sibling: Result, seed: str) -> Result:
    """The result that a job would have that differs from `sibling` by its seed."""
    words = [f"seed={seed}" if key_of(word) == "seed" else word for word in sibling.get("overrides") or ()]
    same = {name: sibling.get(name) for name in ("choices", "settings", "swept", "started")}
    if same["settings"]:
        same["settings"] = same["settings"] | {"seed": parse(seed)}
    return same | {"overrides": words, "seed": parse(seed), "status": NOT_BEGUN, "error": None, "run_dir": None}
