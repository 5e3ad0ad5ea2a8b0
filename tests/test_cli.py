"""The `batik` command says what is wrong in one line and never shows a stack trace for a user's mistake."""

import subprocess
import sys

import pytest

from batik_utils.cli import parse_shard
from batik_utils.errors import BatikError


def batik(*words):
    command = [sys.executable, "-c", "from batik_utils.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True)


def test_no_command_prints_help():
    done = batik()
    assert "report" in done.stdout + done.stderr and "predict" in done.stdout + done.stderr


def test_studies_are_listed_with_their_titles():
    done = batik("studies")
    assert done.returncode == 0 and "bali-betawi-celup" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "bali-betawi-cellup"], "did you mean 'bali-betawi-celup'"),
        (["run", "sample", "--shard", "3/2"], "--shard wants i/n"),
        (["audit", "bali-betawi-celup", "--data", "no-such-folder"], "no-such-folder"),
    ],
)
def test_a_mistake_is_named_without_a_stack_trace(words, said):
    done = batik(*words)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr


def test_shards_are_read_as_i_of_n():
    assert parse_shard(None) is None
    assert parse_shard("2/8") == (2, 8)
    for wrong in ("0/2", "3/2", "2", "a/b", "1/", "-1/2"):
        with pytest.raises(BatikError, match="i/n"):
            parse_shard(wrong)
