"""The kit on the revisions of a real project as they are: what it finds there holds when it is tried by hand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.authoring.test_real_projects import downloaded
from tests.docs.pages import ROOT
from tests.testing.running import Outcome, run_kit

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]
OPTUNA = "optuna==5.0.0"
REQUIRED = ("colorlog", "numpy", "packaging", "PyYAML", "tqdm")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    installed = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(installed)]
    done = subprocess.run([*command, str(downloaded(OPTUNA)), *REQUIRED], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"{OPTUNA} could not be installed: {done.stderr.strip().splitlines()[-1:]}")
    config = installed / "optuna/storages/_rdb/alembic.ini"
    folder = tmp_path_factory.mktemp("run")
    path = os.pathsep.join([str(ROOT / "src"), str(installed)])
    return run_kit(folder, None, "--safeops-config", str(config), str(config), PYTHONPATH=path)


def test_no_revision_ends_the_kit(outcome: Outcome) -> None:
    assert not outcome.errors, outcome.output
    assert "defect of safeops" not in outcome.output
    assert len(outcome.passed) > 20


@pytest.mark.parametrize(
    ("test", "told"),
    [
        # downgrade() refers to FloatTypeEnum, which its module does not have.
        ("test_up_down_up[v3.0.0.c_add_intermediate_value_type_column_to]", "no attribute 'FloatTypeEnum'"),
        # upgrade() makes trial_values.value NOT NULL, and downgrade() does not undo that.
        ("test_up_down_up[v3.0.0.b_change_floating_point_precision_and]", "trial_values.value: nullable was True"),
        ("test_up_down_up[v2.4.0.a_empty_message]", "empty downgrade()"),
        # sa.inspect() reads a database, which --sql does not have.
        ("test_offline[v3.0.0.d_handle_inf_inf_for_trial_values_table]", "NoInspectionAvailable"),
    ],
)
def test_what_it_finds(outcome: Outcome, test: str, told: str) -> None:
    assert told in outcome.failed[test], outcome.output
