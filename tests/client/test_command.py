"""The command's exit status and output, where no service is needed."""

import json

import pytest
from earshot_client.version import VERSION

from tests.client.command_line import earshot, run
from tests.client.scripted import Told, problem

COMMANDS = (
    "teach", "add", "correct", "evaluate", "recalibrate", "classify", "listen", "adapters", "versions", "suspects",
    "rollback", "export", "import", "jobs", "doctor",
)  # fmt: skip
HEARD = {"file": "a.wav", "label": "rain", "score": 0.5, "unknown": False, "known_score": 0.9}


@pytest.fixture(scope="module", autouse=True)
def needs_the_extra():
    pytest.importorskip("typer")
    pytest.importorskip("rich")


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"x")
    return path


def test_help_names_every_command():
    ran = earshot("--help")
    assert ran.returncode == 0
    assert all(f" {name} " in ran.stdout for name in COMMANDS)
    assert earshot("--version").stdout.strip() == VERSION


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["teach"], ["classify", "farm", "none.wav"], ["listen", "x", "--window", "0"]]
)
def test_usage_is_2(arguments):
    ran = earshot(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Traceback" not in ran.stderr


def test_no_answer_is_3():
    ran = earshot("--retries", 0, "adapters")
    assert ran.returncode == 3
    assert "http://127.0.0.1:9 does not answer" in ran.stderr
    assert "EARSHOT_URL" in ran.stderr
    assert earshot("doctor").returncode == 3


def test_no_url_is_2():
    ran = earshot("adapters", url="localhost:8000")
    assert ran.returncode == 2
    assert "is no URL" in ran.stderr


def test_a_refusal_is_1(scripted):
    server = scripted(**{"adapters/farm/versions": [problem(404, "adapter_not_found")]})
    ran = earshot("versions", "farm", url=server.url)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "earshot: adapter_not_found: It is adapter_not_found.\n"


def test_waiting_is_said(scripted):
    server = scripted(
        adapters=[problem(429, "rate_limited", Retry_After="0"), Told(200, {"adapters": [], "next": None})]
    )
    ran = earshot("adapters", url=server.url)
    assert ran.returncode == 0
    assert "It is rate_limited. Trying again in 0.0 s." in ran.stderr


def test_the_key_comes_from_the_environment_or_the_option(scripted):
    server = scripted(jobs=[Told(200, {"jobs": [], "next": None})])
    earshot("jobs", url=server.url, EARSHOT_API_KEY="one")
    earshot("--key", "two", "jobs", url=server.url)
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer one", "Bearer two"]


def test_results_in_every_form(scripted, clip, tmp_path):
    windows = [{"start_s": 5.0 * n, "end_s": 5.0 * n + 10, "label": "rain", "unknown": n == 1} for n in range(3)]
    results = [{**HEARD, "windows": windows}, {"file": "b.wav", "error": {"code": "audio_invalid", "detail": "No."}}]
    server = scripted(info=[Told(200, {"limits": {}})], classify=[Told(200, {"adapter": None, "results": results})])
    table = earshot("classify", "farm", clip, clip, url=server.url)
    assert table.returncode == 1  # of b.wav
    assert table.stdout.splitlines() == ["a.wav\train\t0.500\t0.900\t", "b.wav\t\t\t\tNo."]
    lines = earshot("classify", "farm", clip, clip, "--json", url=server.url).stdout.splitlines()
    assert [json.loads(line) for line in lines] == results
    csv = earshot("classify", "farm", clip, clip, "--csv", url=server.url).stdout.splitlines()
    assert csv[0] == "file,label,score,unknown,known_score,duration_s,silent,truncated,damaged,error"
    assert csv[1:] == ["a.wav,rain,0.5,False,0.9,,,,,", "b.wav,,,,,,,,,audio_invalid"]
    earshot("classify", "farm", clip, clip, "--audacity", tmp_path / "tracks", url=server.url)
    (track,) = (tmp_path / "tracks").iterdir()
    assert track.name == "a.wav.txt"
    assert track.read_text() == "0.000000\t7.500000\train\n12.500000\t20.000000\train\n"
    assert earshot("classify", "farm", clip, "--csv", "--json", url=server.url).returncode == 2


def test_the_doctor_says_what_is_wrong(scripted, clip):
    info = {"version": "0.2.0", "needs_key": True, "model": {"name": "tiny", "device": "cpu"}, "limits": {}}
    bad_file = problem(415, "audio_unsupported")
    server = scripted(info=[Told(200, info)], adapters=[problem(401, "key_invalid")], classify=[bad_file])
    ran = earshot("doctor", clip, url=server.url)
    assert ran.returncode == 1
    assert "good  model tiny on cpu" in ran.stdout
    assert "BAD   a key is needed" in ran.stdout
    assert f"BAD   {clip}: It is audio_unsupported." in ran.stdout
    assert "BAD   key: It is key_invalid." in earshot("--key", "x", "doctor", url=server.url).stdout
    other = scripted(info=[Told(200, {"hello": 1})])
    ran = earshot("doctor", url=other.url)
    assert ran.returncode == 1
    assert "no earshot" in ran.stdout


def test_without_a_microphone_it_says_what_is_missing(scripted, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    ran = earshot("listen", "farm", before=str(tmp_path))
    assert ran.returncode == 2
    assert "libportaudio2" in ran.stderr or "numpy is not installed" in ran.stderr
    (tmp_path / "sounddevice.py").write_text("raise ImportError('none', name='sounddevice')")
    ran = earshot("listen", "farm", before=str(tmp_path))
    assert ran.returncode == 2
    assert "pip install 'earshot-client[cli,listen]'" in ran.stderr


def test_without_typer_it_says_what_to_install(tmp_path):
    (tmp_path / "typer.py").write_text("raise ImportError('none', name='typer')")
    ran = earshot("jobs", before=str(tmp_path))
    assert ran.returncode == 2
    assert ran.stderr == "earshot: typer is not installed: pip install 'earshot-client[cli]'\n"


def test_a_shell_can_complete():
    ran = earshot(_EARSHOT_COMPLETE="source_bash")
    assert ran.returncode == 0
    assert "complete" in ran.stdout


def test_a_shell_is_told_names_of_adapters(scripted):
    rows = [{"name": "farm", "current": 1}, {"name": "yard", "current": 1}]
    server = scripted(adapters=[Told(200, {"adapters": rows, "next": None})])
    asking = {"_EARSHOT_COMPLETE": "complete_bash", "COMP_WORDS": "earshot classify f", "COMP_CWORD": "2"}
    assert earshot(url=server.url, **asking).stdout.split() == ["farm"]
    assert earshot(**asking).stdout.strip() == ""


def test_it_brings_neither_torch_nor_numpy():
    probe = "import sys, earshot_client.command.app; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert run("-c", probe).returncode == 0
