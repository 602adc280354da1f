"""Every room but those made for Dagster works without it, and importing does nothing."""

import json
import pkgutil
import subprocess
import sys

import pytest

import backtest_pipelines

KNOW_DAGSTER = ("defs", "service", "demo", "definitions")

IMPORT_ALL = """
import builtins, importlib, json, os, socket, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0].startswith("dagster"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())

class Watched(dict):
    def __init__(self, *given):
        super().__init__(*given)
        self.read = []
    def note(self, name):
        if isinstance(name, str) and name.startswith(("BACKTEST_", "REDIS_", "DAGSTER_")):
            self.read.append(name)
    def __getitem__(self, name):
        self.note(name)
        return super().__getitem__(name)
    def get(self, name, default=None):
        self.note(name)
        return super().get(name, default)

os.environ = watched = Watched(os.environ)
connected = []
socket.socket.connect = lambda self, address: connected.append(str(address))
opened = []
real_open = builtins.open
def open_noted(file, mode="r", *rest, **named):
    if any(letter in mode for letter in "wax+"):
        opened.append(str(file))
    return real_open(file, mode, *rest, **named)
builtins.open = open_noted
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps({"environment": watched.read, "connected": connected, "written": opened}))
"""


def modules() -> list[str]:
    walked = pkgutil.walk_packages(backtest_pipelines.__path__, "backtest_pipelines.")
    return [module.name for module in walked if not module.name.endswith("__main__")]


def test_every_other_room_is_imported_with_dagster_blocked_and_nothing_happens() -> None:
    plain = [name for name in modules() if name.split(".")[1] not in KNOW_DAGSTER]
    assert len(plain) > 50
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, json.dumps(plain)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"environment": [], "connected": [], "written": []}


def test_the_block_is_real() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, json.dumps(["backtest_pipelines.defs.variants"])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "dagster is blocked" in done.stderr


@pytest.mark.parametrize(
    "name", ["backtest_pipelines.definitions", "backtest_pipelines.service.worker", "backtest_pipelines.cli.up"]
)
def test_the_rooms_for_dagster_read_no_setting_at_import(name: str) -> None:
    unblocked = IMPORT_ALL.replace("sys.meta_path.insert(0, Blocked())", "")
    done = subprocess.run(
        [sys.executable, "-c", unblocked, json.dumps([name])], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert [variable for variable in read["environment"] if not variable.startswith("DAGSTER_")] == []
    assert read["connected"] == []
