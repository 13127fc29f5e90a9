"""Airflow reads its home when it is first imported; it must not be the one of the person who runs the tests."""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
sys.path.append(str(Path(__file__).parents[2] / "plugins"))
