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

from litlab.runs.result import Result
from litlab.sweeps.columns import REPLICATES, comparable, identity, own_overrides, parse, typed, value
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
        those whose setting has begun with other seeds or folds, as results; and how many there are in all.
    """
    try:
        planned, trials = _planned(folder)
    except (OSError, ValueError, ArithmeticError, RecursionError, HydraException, yaml.YAMLError):  # it may be anyone's
        return [], 0
    replicates: dict[Any, dict[str, Given]] = defaultdict(dict)  # of each setting, by what they are compared by
    for job in planned:
        texts = {key: parse(text) for key, text in job.items() if key not in REPLICATES}
        own = {key: job[key] for key in REPLICATES if key in job}
        replicates[tuple(job), comparable(texts.values())][comparable(map(parse, own.values()))] = own
    begun: dict[Any, dict[Any, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for keys in {keys for keys, _ in replicates}:
        for result in results:
            told = keys, comparable(_given_to(result, key) for key in keys if key not in REPLICATES)
            if told in replicates:
                begun[told][identity(result, replicates=False)].append(result)
    lacking, done = [], 0
    for told, settings in begun.items():
        given = [key for key in REPLICATES if key in told[0]]
        for group in settings.values():
            there = {comparable(_given_to(result, key) for key in given) for result in group}
            if there & replicates[told].keys():  # else it is another session's
                lacking += [_lacking(group[0], own) for each, own in replicates[told].items() if each not in there]
            done += len(there & replicates[told].keys())
    if trials is None:
        return lacking, max(sum(map(len, replicates.values())) - done, len(lacking))
    if (folder / FOUND).exists():
        return lacking, len(lacking)
    return lacking, max(trials * sum(map(len, replicates.values())) - done, len(lacking))


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
            overrides = [each for each in overrides if not each.is_sweep_override() or _key(each) in REPLICATES]
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


def _lacking(sibling: Result, own: Given) -> Result:
    """The result that a job would have that differs from `sibling` by its seed or fold."""
    words = [f"{key}={own[key]}" if (key := key_of(word)) in own else word for word in sibling.get("overrides") or ()]
    same = {name: sibling.get(name) for name in ("choices", "settings", "swept", "started")}
    if same["settings"]:
        settings = OmegaConf.create(same["settings"])
        for key, text in own.items():
            OmegaConf.update(settings, key, parse(text))
        same["settings"] = OmegaConf.to_container(settings)
    seed = {"seed": parse(own["seed"])} if "seed" in own else {}
    return same | seed | {"overrides": words, "status": NOT_BEGUN, "error": None, "run_dir": None}
