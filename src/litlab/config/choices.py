"""The choices on the command line: the folders and files of conf/."""

from pathlib import Path

CONF = Path(__file__).parents[3] / "conf"
HYDRA = ("launcher", "sweeper/sampler")  # its groups that a user chooses from; the sampler is that of sweep=optuna

# Hydra's, and those of the extras in pyproject.toml; conf/hydra/launcher has litlab's own.
LAUNCHERS = {
    "basic": "The jobs of a sweep one after the other.",
    "joblib": "In hydra.launcher.n_jobs processes of this machine; needs `make setup EXTRAS=joblib`.",
    "submitit_local": "In a process each, as many at a time as there are cores; needs `make setup EXTRAS=submitit`.",
    "submitit_slurm": "On Slurm, as one job array; needs `make setup EXTRAS=submitit`.",
    "ray": "On a Ray of this machine that the sweep starts; needs `make setup EXTRAS=ray`.",
}
UNSUPPORTED = ("hydra/launcher/ray_aws",)  # which an extra's plugin brings: it starts machines of Amazon's
SWEEPS = (
    "With -m: a sweep's own command with sweep.resume=FOLDER (or last) resumes it, "
    "--dry-run lists its jobs and how long they would take."
)


def choices(conf: Path = CONF, own: Path | None = None) -> dict[str, dict[str, str]]:
    """By group (a folder) its choices (the YAML files) and their purpose (the file's first comment).

    Of Hydra's own groups those that a user chooses from are listed.

    Args:
        conf: the folder of groups.
        own: the user's, which adds to the groups of `conf`.
    """
    groups = sorted(path for path in conf.iterdir() if path.is_dir() and path.name != "hydra")
    groups += [conf / "hydra" / name for name in HYDRA if (conf / "hydra" / name).is_dir()]
    return {
        name: {file.stem: purpose(file) for folder in (conf, own) if folder for file in _options(folder / name)}
        for name in (group.relative_to(conf).as_posix() for group in groups)
    }


def _options(group: Path) -> list[Path]:
    return sorted(group.glob("*.yaml"))


def purpose(file: Path) -> str:
    """The first comment of a YAML file."""
    comments = (line[1:].strip() for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    return next((comment for comment in comments if comment and not comment.startswith("@package")), "")


def help_text(about: str, program: str, conf: Path = CONF, config_name: str = "train", own: Path | None = None) -> str:
    """The text of --help. (Hydra's own takes a second and does not list the choices.)

    Args:
        about: the first lines.
        program: the script's name.
        conf: the folder of choices.
        config_name: the program's YAML in it, which names the program's groups.
        own: as for `choices`.
    """
    text = (conf / f"{config_name}.yaml").read_text(encoding="utf-8")
    groups = {
        group: names for group, names in choices(conf, own).items() if f"- {group}: " in text or config_name == "train"
    }
    examples = [
        f"  python scripts/{program} data=fashion model=mlp",
        f"  python scripts/{program} data=fashion model=mlp optimizer.lr=0.02 trainer.max_epochs=20",
        f"  python scripts/{program} -m data=fashion model=mlp optimizer.lr=0.01,0.1 data.batch_size=32,64",
    ]
    lines = [
        about.strip(),
        "",
        *(examples if "trainer" in groups else [f"  python scripts/{program} data=fashion"]),
        "",
        "GROUP=NAME chooses, GROUP.SETTING=VALUE sets, -m runs all combinations of VALUE,VALUE,...",
        *([SWEEPS] if "sweep" in groups else []),
        "--cfg job shows all settings of the choices, each explained in conf/GROUP/NAME.yaml.",
        "",
    ]
    if "hydra/launcher" in groups:
        groups["hydra/launcher"] = LAUNCHERS | groups["hydra/launcher"]
    for group, names in groups.items():
        width = max((len(name) for name in names), default=0)
        lines += [f"{group}:", *(f"  {name:<{width}}  {text}" for name, text in names.items())]
    return "\n".join(lines)
