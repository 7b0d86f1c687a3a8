"""The hash of each method's resolved settings, for the table in docs/protocol.md.

python -m anomaly_tools.frozen [PARAMS_FILE]
"""

import sys

from anomaly_lib.base.errors import exit_code
from anomaly_lib.params import load_params, params_hash
from anomaly_lib.registry import shown_name
from anomaly_lib.reporting.tables import markdown_table


def frozen(params_file: str = "params.yaml") -> str:
    """Markdown: method, preset and hash, one line each. Raises InputError as ``load_params``."""
    sections = load_params(params_file).methods
    return markdown_table(
        [
            {"method": shown_name(name), "preset": section.preset, "params hash": f"`{params_hash(section)}`"}
            for name, section in sections.items()
        ]
    )


if __name__ == "__main__":
    sys.exit(exit_code(lambda: print(frozen(*sys.argv[1:]))))
