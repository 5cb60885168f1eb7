"""The clients of docs/clients.md, each run as it stands there against a running Daybook."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.stories.running import ADMIN_EMAIL, ADMIN_PASSWORD, Running

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")
GENERATOR = "openapi-python-client==0.29.1"
BESIDES = ("ruamel.yaml==0.19.1", "jinja2==3.1.6", "markupsafe==3.0.3")


def client(name: str, daybook: Running) -> str:
    """Return the text of one of the page's clients, for the running Daybook."""
    block = re.search(rf"<!-- client: {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    return block[1].replace("127.0.0.1:8000", f"127.0.0.1:{daybook.port}")


def run(*command: str, cwd: Path, seconds: float = 60, **more: str) -> str:
    """Run a command as an administrator would; return what it prints."""
    kept = {name: value for name, value in os.environ.items() if "DAYBOOK" not in name}
    known = {"EMAIL": ADMIN_EMAIL, "PASSWORD": ADMIN_PASSWORD}
    done = subprocess.run(
        command,
        env=kept | known | more,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needs(*command: str, cwd: Path) -> None:
    """Fetch what a client needs; skip where it cannot be fetched."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=90, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{command[0]} gets no answer from its registry")
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        pytest.skip(f"{command[0]} cannot fetch what it needs: {last}")


def document(daybook: Running, folder: Path) -> Path:
    """Fetch the OpenAPI document."""
    path = folder / "openapi.json"
    path.write_bytes(httpx.get(f"http://127.0.0.1:{daybook.port}/openapi.json").content)
    return path


def test_curl(daybook: Running, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    told = run("bash", "-eu", "-c", client("curl", daybook), cwd=tmp_path)
    assert '"success":true' in told
    assert "event: product.listed" in told
    assert "CURL-1" in told


def test_python_with_httpx(daybook: Running, tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(client("httpx", daybook), encoding="utf-8")
    total, event = run(sys.executable, "client.py", cwd=tmp_path).splitlines()
    assert total == "{'amount': '8.40', 'currency': 'GBP'}"
    assert event.startswith("order.cancelled {'status': 'cancelled', 'cancellation':")


def test_python_generated(daybook: Running, tmp_path: Path) -> None:
    """The generator wants another typer than ours; without its dependencies it does with ours."""
    tools = tmp_path / "tools"
    fetch = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tools))
    needs(sys.executable, *fetch, GENERATOR, *BESIDES, cwd=tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    made = ("--meta", "none", "--output-path", "daybook_client")
    generate = (sys.executable, "-m", "openapi_python_client", "generate")
    found = str(document(daybook, tmp_path))
    told = run(*generate, "--path", found, *made, cwd=tmp_path, PYTHONPATH=str(tools), PATH=path)
    assert "WARNING" not in told.upper()
    (tmp_path / "client.py").write_text(client("generated", daybook), encoding="utf-8")
    assert re.match(r"\d+ \[", run(sys.executable, "client.py", cwd=tmp_path))


def test_typescript_generated(daybook: Running, tmp_path: Path) -> None:
    (install,) = re.findall(r"^npm install (.*)$", PAGE, re.MULTILINE)
    (compile_,) = re.findall(r"^npx tsc (.*) && node client.mjs$", PAGE, re.MULTILINE)
    quiet = ("--no-audit", "--no-fund", "--no-save", "--silent")
    needs("npm", "install", *quiet, *install.split(), cwd=tmp_path)
    path = document(daybook, tmp_path)
    run("npx", "openapi-typescript", str(path), "--output", "daybook.d.ts", cwd=tmp_path)
    (tmp_path / "client.mts").write_text(client("typescript", daybook), encoding="utf-8")
    run("npx", "tsc", *compile_.split(), cwd=tmp_path)
    told = run("node", "client.mjs", cwd=tmp_path)
    assert re.search(r"^\d+ \w+\.\w+$", told, re.MULTILINE)
