"""``python -m longtail``, the same as the command."""

import sys

from longtail.cli import main

sys.exit(main())
