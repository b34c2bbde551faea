"""``python -m tvm_ops`` is ``tvm-ops``."""

import sys

from tvm_ops.cli import main

sys.exit(main())
