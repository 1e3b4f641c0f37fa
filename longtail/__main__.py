"""``python -m longtail``, the same as the command."""

import sys

from longtail.cli.main import main

sys.exit(main())
