"""``python -m longtail``, the same as the command."""

import os
import sys

# Python puts the current folder first: a file there that is called like a module would be executed in its place.
if not getattr(sys.flags, "safe_path", False) and sys.path[0] != os.path.dirname(os.path.dirname(__file__)):  # noqa: PTH120
    del sys.path[0]

from longtail.cli.main import main

sys.exit(main())
