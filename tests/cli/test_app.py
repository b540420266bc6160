from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
import time

import pytest
from rich.console import Console
from typer.testing import CliRunner

import archwright
from archwright.cli.app import _options_of, app
from archwright.cli.handover import conclude
from archwright.engine import Store
from archwright.errors import LedgerError
from archwright.space import OUTPUTS, Space, chain, choice, get_space, op

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
    "latency",
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
    assert "559,386" in invoke("spaces", "nas-bench-201").output
    assert "64 symbols" in invoke("spaces", "rnn-cell").output
    assert "evolution" in invoke("strategies").output
    assert "fashion-mnist" in invoke("data").output
    assert "107" in invoke("data", "wine").output or "train" in invoke("data", "wine").output


def test_a_reference_is_printed_as_a_start():
    printed = json.loads(invoke("spaces", "nas-bench-201", "--reference", "ResNet").output)
    assert printed["cell.edge0_1"] == "nor_conv_3x3"
    assert set(printed) == {info.address for info in get_space("nas-bench-201").choices()}
    done = command("spaces", "darts", "--reference", "GDSA")
    assert (done.returncode, "Did you mean 'GDAS'" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "digits", "--space", "darts", "--start", "GDSA"), "Did you mean 'GDAS'"),
        (("search", "digist"), "Did you mean 'digits'"),
        (("search", "digits", "--budget", "soon"), "expected a duration"),
        (("search", "digits", "--space", "cnnn"), "Did you mean 'cnn'"),
        (("search", "digits", "--strategy", "evolutoin"), "Did you mean 'evolution'"),
        (("search", "digits", "--objective", "acuracy"), "Did you mean 'accuracy'"),
        (("search", "digits", "--constraint", "param<=3"), "Did you mean 'params'"),
        (("search", "digits", "--strategy", "evolution", "--option", "populaton=5"), "populaton"),
        (("search", "digits", "--option", "population"), "NAME=VALUE"),
        (("search", "./nothing.csv", "--target", "price"), "does not exist"),
        (("search", "digits", "--progress", "foo"), "progress='foo'"),
        (("search", "digits", "--strategy", "optuna:Nosuch"), "Nosuch"),
        (
            ("search", "digits", "--strategy", "darts", "--option", "order=2", "--evaluator", "supernet:darts(lr=0.1)"),
            "expected them in one place",
        ),
        (("resume", "nothing"), "no store"),
    ],
)
def test_mistakes_are_explained_before_anything_runs(arguments, message, tmp_path):
    done = command(*arguments, "--store", str(tmp_path / "runs"))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    with contextlib.suppress(LedgerError):
        assert Store(tmp_path / "runs", create=False).ledger.runs() == []


def test_options_are_written_as_in_python_or_json():
    written = ["population=5", "replacement=true", "uniform=False", "crossover=two-point", "rate=1e-3"]
    assert _options_of([*written, "proposer=optuna:TPESampler"]) == {
        "population": 5,
        "replacement": True,
        "uniform": False,
        "crossover": "two-point",
        "rate": 0.001,
        "proposer": "optuna:TPESampler",
    }


def test_the_kind_of_a_target_can_be_said_where_data_are_looked_at(tmp_path):
    rows = "".join(f"{row % 7},{row % 40}\n" for row in range(200))
    (tmp_path / "t.csv").write_text("x,price\n" + rows)
    found = {kind: invoke("data", tmp_path / "t.csv", "--target", "price", "--kind", kind).output for kind in KINDS}
    assert all(kind in output for kind, output in found.items())


KINDS = ("classification", "regression")


def toy(result_of, **settings):
    space = Space(chain(op("dense", width=choice(4, 8, 16)), op("linear", width=OUTPUTS)), "tiny")
    return archwright.search(
        space=space, evaluator=result_of, signature=archwright.Signature(((6,),), (3,)), progress="none",
        budget="3 trials", strategy="grid", name="toy", **settings,
    )  # fmt: skip


def test_a_run_shows_what_was_wanted_and_its_front(tmp_path):
    def measured(proposal, problem, seed):
        params = float(problem.graph(proposal.architecture).cost.params)
        return {"score": params, "params": params, "latency_ms": 2.0 + proposal.architecture.choices[0][1]}

    toy(measured, objectives=["score", "min:latency_ms"], store=tmp_path)
    shown = invoke("show", "toy", "--store", tmp_path).output
    assert re.search(r"trial +score +latency_ms +params +epochs", shown)
    front = shown[shown.index("none beats in all objectives: ") :].split(": ")[1].strip()
    assert sorted(front.split(", ")) == ["0", "1", "2"]


@pytest.mark.parametrize("good", [True, False])
def test_an_interruption_says_how_to_go_on(tmp_path, good):
    def measured(proposal, problem, seed):
        if proposal.architecture.choices[0][1] == 2:
            raise KeyboardInterrupt
        return {"score": 1.0, "late": 0.0 if good else 9.0}

    result = toy(measured, constraints=["late<=1"], store=tmp_path)
    assert result.interrupted
    console = Console(file=io.StringIO(), width=200)
    assert conclude(result, None, console, as_json=False) == 130
    said = console.file.getvalue()
    assert ("Best so far" in said) is good
    assert "The test split has not been touched" in said
    assert "archwright resume toy" in said


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
