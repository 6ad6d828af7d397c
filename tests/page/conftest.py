"""The page in Debian's Chromium, before a real service, with a microphone that hears a real clip."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import httpx2
import numpy as np
import pytest
import soundfile
import soxr

from service.keys import KeyFile
from tests.e2e.stack import ROOT, Stack

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
MODEL = ROOT / "models" / "tiny-clap"
TRAIN, HELD_OUT = ROOT / "examples" / "train", ROOT / "examples" / "held_out"
HEARD = HELD_OUT / "rooster" / "1-44831-A.ogg"
MICROPHONE_HZ = 48_000
TAUGHT_TIMEOUT_MS = 90_000
PREFIX = "/tools/earshot"


def pytest_collection_modifyitems(items):
    """Whoever has no Chromium is told so, and has all the other tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.page)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium: install it, or name it by CHROMIUM"))


@pytest.fixture(scope="session")
def directory():
    with tempfile.TemporaryDirectory(prefix="earshot-page-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def stack(directory):
    """A worker, and the APIs that the tests ask for."""
    stack = Stack(directory, MODEL, requests_per_s=0)
    stack.start_worker()
    yield stack
    stack.stop()


def _ready(stack: Stack, **environment: str) -> str:
    api = stack.start_api(**environment)
    stack.wait_until_ready(api)
    return api.address


@pytest.fixture(scope="session")
def address(stack):
    """The page as `make run` shows it."""
    return _ready(stack)


@pytest.fixture(scope="session")
def offers(address):
    """Skips what stands on a route that the service does not have."""
    paths = httpx2.get(f"{address}/openapi.json").json()["paths"]

    def check(path: str) -> None:
        if path not in paths:
            pytest.skip(f"the service has no {path}")

    return check


@pytest.fixture(scope="session")
def address_with_keys(stack, directory):
    """The same under a proxy's path, for a tenant, acme, whose key `stack.keys` has."""
    keys_path = directory / "their-keys.json"
    stack.keys["acme"] = KeyFile(keys_path).add("acme")
    return _ready(stack, EARSHOT_KEYS_PATH=str(keys_path), EARSHOT_ROOT_PATH=PREFIX) + PREFIX


@pytest.fixture(scope="module")
def farm(browser, address, request):
    """An adapter of the module's own that was taught on the page from a folder of folders; its name."""
    from playwright.sync_api import expect

    name = f"farm-{request.module.__name__.rpartition('_')[2]}"
    visit = Visit(browser, address)
    page = visit.open()
    page.locator("input[webkitdirectory]").first.set_input_files(TRAIN)
    expect(page.locator(".box:not(.is-background) .box-name")).to_have_count(5)
    page.get_by_label("Call it").fill(name)
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator(".outcome h2")).to_have_text(f"{name} is taught.", timeout=TAUGHT_TIMEOUT_MS)
    expect(page.locator(".outcome")).to_contain_text(re.compile(r"Right in \d+ of 40 clips"))
    visit.context.close()
    assert visit.faults == []
    return name


@pytest.fixture(scope="session")
def microphone(directory):
    """A WAV of a rooster, which Chromium plays into its microphone over and over."""
    samples, rate_hz = soundfile.read(HEARD, dtype="float32")
    path = directory / "microphone.wav"
    soundfile.write(path, np.asarray(soxr.resample(samples, rate_hz, MICROPHONE_HZ)), MICROPHONE_HZ, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def browser(microphone):
    """Closed after each module: while it is open, Playwright's event loop runs, and no other test can have one."""
    from playwright.sync_api import sync_playwright

    arguments = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # which Chromium refuses to make for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Visit:
    """One visitor: a fresh browser context, and what went wrong in it."""

    def __init__(self, browser, address: str, **settings):
        self.context = browser.new_context(
            **{"viewport": {"width": 1200, "height": 850}, "accept_downloads": True} | settings
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.address = address
        self.faults: list[str] = []
        self.bytes_by_url: dict[str, int] = {}
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        self.page.on("request", self._request)
        self.page.on("dialog", lambda dialog: dialog.accept())

    def open(self, section: str = ""):
        """Go to the page; returns when its section is there."""
        self.page.goto(f"{self.address}/#{section}" if section else f"{self.address}/")
        self.page.wait_for_selector("main h1, dialog h1")
        return self.page

    def go(self, section: str):
        """Choose a section by its link, as a visitor does."""
        self.page.locator(f"nav a[href='#{section}']").click()
        self.page.wait_for_selector(f".section-{section} h1")
        return self.page

    def _console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def _request(self, request) -> None:
        if not request.url.startswith((self.address, "blob:", "data:")):
            self.faults.append(f"fetched from elsewhere: {request.url}")


@pytest.fixture
def visit(browser):
    """Visitors whose browsers must have had nothing to complain of."""
    visits = []

    def begin(address: str, **settings) -> Visit:
        visits.append(Visit(browser, address, **settings))
        return visits[-1]

    yield begin
    for each in visits:
        each.context.close()
    assert [fault for each in visits for fault in each.faults] == []


@pytest.fixture(scope="session")
def long_clip(directory):
    """Half a minute: rain, a rooster, and rain again."""
    parts = []
    for name in ("rain/2-87781-A.ogg", "rooster/1-44831-A.ogg", "rain/3-157149-A.ogg"):
        samples, rate_hz = soundfile.read(HELD_OUT / name, dtype="float32")
        parts += [soxr.resample(samples, rate_hz, MICROPHONE_HZ)] * 2
    path = directory / "long.wav"
    soundfile.write(path, np.concatenate(parts)[: 30 * MICROPHONE_HZ], MICROPHONE_HZ, subtype="PCM_16")
    return path
