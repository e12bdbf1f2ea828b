"""Begin a model or a data set of your own: its class, its YAML and a test that passes.

python scripts/new.py model my_model        src/litlab/models/my_model.py, conf/model/my_model.yaml, and its test
python scripts/new.py data my_data          src/litlab/data/my_data.py, conf/data/my_data.yaml, and its test
"""

import argparse

from litlab.cli import print_text, run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["model", "data"])
    parser.add_argument("name", metavar="NAME", help="lower-case letters, digits and _, such as my_model")
    asked = parser.parse_args()

    from litlab.verbs.new import new

    print_text("\n".join(new(asked.kind, asked.name)))


if __name__ == "__main__":
    run_script(main)
