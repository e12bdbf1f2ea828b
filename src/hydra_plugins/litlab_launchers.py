"""litlab's launcher for Hydra, which accepts it from the package hydra_plugins alone."""

from hydra._internal.core_plugins.basic_launcher import BasicLauncher


class StackedLauncher(BasicLauncher):
    """Runs the jobs in this process, as Hydra's own does; `litlab.sweeps.runner.Runner` trains many of them at once."""
