"""The rendered site.

python -m anomaly_tools.site execute    run the lessons once; minutes, and nothing when they are up to date
python -m anomaly_tools.site build      pages from what has been executed; well under two minutes
python -m anomaly_tools.site slides     the lessons as slides
"""

import argparse
import sys

from anomaly_lib.base.errors import exit_code
from anomaly_lib.params import project_root


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m anomaly_tools.site", description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=["execute", "build", "slides"])
    options = parser.parse_args(arguments)
    return exit_code(lambda: _run(options.action))


def _run(action: str) -> None:
    root = project_root()
    if action == "execute":
        from anomaly_tools.site.execute import execute_all

        execute_all(root)
    elif action == "build":
        from anomaly_tools.site.build import build

        print(f"wrote {build(root)}")
    else:
        from anomaly_tools.site.slides import write_slides

        for file in write_slides(root, root / "build/slides"):
            print(f"wrote {file}")


if __name__ == "__main__":
    sys.exit(main())
