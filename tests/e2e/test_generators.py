"""What generators make of the OpenAPI document: a client in Python that teaches and classifies, types, a verdict."""

import json
import os
import shutil
import subprocess

import httpx2
import pytest

from tests.e2e.sounds import EXAMPLES
from tests.e2e.stack import ROOT

ENVIRONMENT = ROOT / ".venv-generators"
BIN = ENVIRONMENT / "bin"
NODE_BIN = ENVIRONMENT / "node_modules" / ".bin"
pytestmark = pytest.mark.generators

# Run by the generators' Python, which has httpx and attrs, as the user of such a client has.
TEACH_AND_CLASSIFY = """
import io, json, sys
from pathlib import Path
from generated import AuthenticatedClient
from generated.api.adapt import adapt
from generated.api.adapters import export_adapter, import_adapter, list_adapters, list_versions
from generated.api.classify import classify
from generated.api.jobs import follow_job, get_job
from generated.models import AdaptForm, ClassifyForm, CurrentVersion, Problem
from generated.types import File

address, examples = sys.argv[1], Path(sys.argv[2])
client = AuthenticatedClient(address, token="none is needed here", timeout=120)

paths = [path for label in ("rain", "rooster") for path in sorted((examples / "train" / label).iterdir())[:3]]
clips = [File(io.BytesIO(path.read_bytes()), path.name) for path in paths]
labels = [path.parent.name for path in paths]
form = AdaptForm(name="generated", clips=clips, labels=labels, audio_prompt="none", epochs=2)
job = adapt.sync(client=client, body=form)
events = follow_job.sync(job.id, client=client)
job = get_job.sync(job.id, client=client)

held_out = [next((examples / "held_out" / label).iterdir()) for label in ("rain", "rooster")]
audio = [File(io.BytesIO(path.read_bytes())) for path in held_out]  # without a name
answer = classify.sync(client=client, body=ClassifyForm(audio=audio, adapter="generated", top_k=1))
problem = classify.sync(client=client, body=ClassifyForm(audio=audio[:1], adapter="nobody"))

file = export_adapter.sync("generated", client=client)
imported = import_adapter.sync("copy", client=client, body=file)
print(json.dumps({
    "state": job.state, "events": events, "problem": problem.code, "imported": imported.version,
    "adapters": [row.name for row in list_adapters.sync(client=client).adapters],
    "versions": [row.version for row in list_versions.sync("generated", client=client).versions],
    "results": [[row.label, len(row.scores)] for row in answer.results],
}))
"""


def run(tool, *arguments, cwd):
    """Run a tool of the generators' environment, or skip where it is not there."""
    if not tool.exists():
        pytest.skip(f"there is no {tool.relative_to(ROOT)}: make test-generators")
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run([tool, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def document(stack, tmp_path):
    path = tmp_path / "openapi.json"
    path.write_text(httpx2.get(f"{stack.apis[0].address}/openapi.json").text)
    return path


def test_a_generated_client_teaches_and_classifies(stack, document, tmp_path):
    generate = ("generate", "--path", document, "--output-path", tmp_path / "generated", "--meta", "none")
    said = run(BIN / "openapi-python-client", *generate, "--fail-on-warning", cwd=tmp_path)
    assert "Warning" not in said
    (tmp_path / "script.py").write_text(TEACH_AND_CLASSIFY)
    seen = json.loads(run(BIN / "python", "script.py", stack.apis[0].address, EXAMPLES, cwd=tmp_path))
    assert seen["state"] == "succeeded"
    assert "event: job" in seen["events"]
    assert {"generated", "copy"} <= set(seen["adapters"])
    assert (seen["versions"], seen["imported"], seen["problem"]) == ([1], 1, "adapter_not_found")
    assert [num_scores for _, num_scores in seen["results"]] == [1, 1]
    assert {label for label, _ in seen["results"]} <= {"rain", "rooster"}


def test_openapi_typescript_takes_the_document(document, tmp_path):
    if not shutil.which("node"):
        pytest.skip("there is no node")
    run(NODE_BIN / "openapi-typescript", document, "--output", "types.d.ts", cwd=tmp_path)
    (tmp_path / "uses.ts").write_text(
        'import type { operations } from "./types";\n'
        'type Form = operations["classify"]["requestBody"]["content"]["multipart/form-data"];\n'
        'export const form: Form = { audio: ["bytes"], labels: ["dog", "rain"], template: "{}", windows: false };\n'
    )
    run(NODE_BIN / "tsc", "--noEmit", "--strict", "uses.ts", cwd=tmp_path)


def test_openapi_generator_finds_nothing_wrong(document, tmp_path):
    if not shutil.which("java"):
        pytest.skip("there is no java")
    said = run(BIN / "openapi-generator-cli", "validate", "--input-spec", document, cwd=tmp_path)
    assert "No validation issues detected" in said
