from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from archwright.cli.app import app

COMMANDS = (
    "bench",
    "evaluators",
    "search",
    "resume",
    "runs",
    "show",
    "why",
    "report",
    "export",
    "spaces",
    "strategies",
    "data",
    "doctor",
    "salvage",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with one small finished run, made on the command line."""
    folder = tmp_path_factory.mktemp("cli") / "runs"
    done = command(
        "search", "wine", "--budget", "3 trials", "--name", "evening", "--workers", "1", "--store", str(folder)
    )
    assert done.returncode == 0, done.stderr
    assert "Test accuracy" in done.stdout
    assert "Checked without archwright" in done.stdout
    assert (folder / "evening" / "model" / "model.py").exists()
    assert (folder / "evening" / "report.html").exists()
    return folder


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "archwright", *arguments], capture_output=True, text=True, check=False)


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_is_quick_and_lists_every_command():
    begun = time.process_time()
    done = command("--help")
    assert time.process_time() - begun < 1.0
    assert all(re.search(rf"\b{name}\b", done.stdout) for name in COMMANDS)


@pytest.mark.slow
@pytest.mark.sample
def test_looking_at_a_run(store):
    assert "evening" in invoke("runs", "--store", store).output
    assert "test accuracy" in invoke("show", "evening", "--store", store).output
    assert "#" in invoke("why", "--store", store).output
    assert "trial 0" in invoke("why", "evening", "0", "--store", store).output.lower()
    shown = json.loads(invoke("show", "evening", "--json", "--store", store).output)
    assert shown["final"]["test"]["accuracy"]["value"] > 0.5
    assert json.loads(invoke("runs", "--json", "--store", store).output)["name"] == "evening"


@pytest.mark.slow
@pytest.mark.sample
def test_reports_and_exports_go_where_they_are_told(store, tmp_path):
    assert invoke("report", "evening", "--out", tmp_path / "r.html", "--store", store).exit_code == 0
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert invoke("export", "evening", "--to", tmp_path / "out", "--store", store).exit_code == 0
    assert (tmp_path / "out" / "predict.py").exists()


@pytest.mark.slow
@pytest.mark.sample
def test_more_budget_on_the_command_line_for_machines(store):
    done = command("resume", "evening", "--budget", "5 trials", "--json", "--store", str(store))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["event"] for line in lines} >= {"trial", "result"}
    assert lines[-1]["final"]["test"]["accuracy"]["value"] > 0.5


def test_spaces_strategies_and_data_are_listed():
    assert "nas-bench-201" in invoke("spaces").output
    assert "15,625 architectures" in invoke("spaces", "nas-bench-201").output
    assert "evolution" in invoke("strategies").output
    assert "fashion-mnist" in invoke("data").output
    assert "107" in invoke("data", "wine").output or "train" in invoke("data", "wine").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "digist"), "Did you mean 'digits'"),
        (("search", "digits", "--budget", "soon"), "expected a duration"),
        (("search", "digits", "--space", "cnnn"), "Did you mean 'cnn'"),
        (("search", "digits", "--strategy", "evolutoin"), "Did you mean 'evolution'"),
        (("search", "digits", "--objective", "acuracy"), "Did you mean 'accuracy'"),
        (("search", "digits", "--constraint", "param<=3"), "Did you mean 'params'"),
        (("search", "digits", "--strategy", "evolution", "--option", "populaton=5"), "populaton"),
        (("search", "digits", "--option", "population"), "NAME=VALUE"),
        (("search", "./nothing.csv", "--target", "price"), "does not exist"),
        (("resume", "nothing"), "no store"),
    ],
)
def test_mistakes_are_explained_before_anything_runs(arguments, message, tmp_path):
    done = command(*arguments, "--store", str(tmp_path / "runs"))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.sample
def test_ctrl_c_ends_cleanly(tmp_path):
    import signal

    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "archwright",
            "search",
            "digits",
            "--budget",
            "5m",
            "--workers",
            "2",
            "--store",
            str(tmp_path / "runs"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "archwright resume" in out
    assert "Traceback" not in err


def test_doctor_finds_no_fault(tmp_path):
    result = invoke("doctor", "--store", tmp_path)
    assert result.exit_code == 0, result.output
    assert "torch" in result.output
