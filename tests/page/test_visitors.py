"""Who can use the page: with a key or without, by keyboard, by ear, on a telephone, behind a proxy's prefix."""

import os
import re
from pathlib import Path

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.page.conftest import HELD_OUT, TRAIN

pytestmark = pytest.mark.slow
SECTIONS = ("teach", "try", "listen", "understand", "channel", "service")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
MAX_PAGE_BYTES = 300 * 1024
MAX_FIRST_PAINT_MS = 1000
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SERIOUS = ("serious", "critical")


def fill(page, section: str) -> None:
    """Put into a section what visitors put there, so that there is more to look at than an empty page."""
    if section == "teach":
        page.locator("input[webkitdirectory]").first.set_input_files(TRAIN)
        page.locator(".clip").first.get_by_role("button", name=re.compile("Trim")).click()
        expect(page.locator(".trim")).to_be_visible()
    elif section == "try":
        files = [HELD_OUT / "rooster" / "1-44831-A.ogg", HELD_OUT / "rain" / "2-87781-A.ogg"]
        page.locator(".drop input[type=file]:not([webkitdirectory])").set_input_files(files)
        expect(page.locator(".result")).to_have_count(2)
        page.get_by_label("Wrong?").first.select_option("background")
    elif section == "understand":
        expect(page.get_by_role("region", name="Versions")).to_be_visible()
    elif section == "service":
        expect(page.get_by_role("region", name="Jobs").locator("tbody tr").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(visit, address, farm, scheme):
    begun = visit(address, color_scheme=scheme, bypass_csp=True)  # axe comes as a script of the test's
    page = begun.open()
    found = []
    for section in SECTIONS:
        begun.go(section)
        fill(page, section)
        violations = Axe().run(page).response["violations"]
        found += [(section, row["id"], row["nodes"][0]["html"]) for row in violations if row["impact"] in SERIOUS]
    assert found == []


def test_it_fits_a_telephone(visit, address, farm):
    begun = visit(address, **PHONE)
    page = begun.open()
    for section in SECTIONS:
        begun.go(section)
        fill(page, section)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"], section
        if folder := os.environ.get("PAGE_SHOTS"):
            page.screenshot(path=f"{folder}/phone-{section}.png", full_page=True)


def test_it_is_worked_by_keyboard(visit, address, farm):
    page = visit(address).open("try")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Files")).to_be_focused()
        page.keyboard.press("Enter")
    chooser.value.set_files(HELD_OUT / "rooster" / "1-44831-A.ogg")
    expect(page.locator(".verdict")).to_have_text("rooster")
    expect(page.locator("[aria-live=polite]").last).to_contain_text("rooster")
    page.keyboard.press("Shift+Tab")
    page.locator("nav a").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Teach it your sounds")
    expect(page.locator("main")).to_be_focused()


def test_a_key_is_asked_for_and_kept_for_the_session_alone_behind_a_prefix_too(visit, stack, address_with_keys):
    begun = visit(address_with_keys)
    page = begun.open()
    key = page.get_by_label("API key")
    expect(key).to_be_focused()
    assert begun.faults == []
    key.fill("wrong")
    key.press("Enter")
    expect(page.locator(".problem")).to_contain_text("This API key is not known.")
    assert [fault for fault in begun.faults if "401" not in fault] == []
    begun.faults.clear()
    key.fill(stack.keys["acme"])
    key.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Teach it your sounds")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Teach it your sounds")
    assert page.evaluate("[Object.keys(localStorage).length, document.cookie]") == [0, ""]
    begun.go("service")
    expect(page.locator(".facts")).to_contain_text("tiny-clap")
    assert page.locator(".foot a").evaluate("link => link.href") == f"{address_with_keys}/docs"
    another = begun.context.new_page()
    another.goto(address_with_keys)
    expect(another.get_by_label("API key")).to_be_visible()
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_label("API key")).to_be_visible()


def test_the_adapter_that_was_chosen_is_chosen_after_a_reload(visit, address, farm):
    file = httpx2.get(f"{address}/adapters/{farm}/file").content
    assert httpx2.post(f"{address}/adapters/aviary/file", content=file).status_code == 201
    try:
        page = visit(address).open("try")
        chosen = page.get_by_label("Adapter", exact=True)
        expect(chosen).to_have_value("aviary")
        chosen.select_option(farm)
        page.reload()
        expect(chosen).to_have_value(farm)
    finally:
        httpx2.delete(f"{address}/adapters/aviary")


def test_it_is_small_and_there_at_once(visit, address):
    begun = visit(address)
    sizes = []
    begun.page.on("response", lambda response: sizes.append((response.url, len(response.body()))))
    page = begun.open()
    page.wait_for_load_state("networkidle")
    size_bytes = sum(size for url, size in sizes if url == f"{address}/" or "/web/" in url)
    first_paint_ms = page.evaluate(FIRST_PAINT)
    print(f"page: {size_bytes / 1024:.0f} KiB, first paint after {first_paint_ms:.0f} ms")
    assert 0 < size_bytes <= MAX_PAGE_BYTES
    assert first_paint_ms < MAX_FIRST_PAINT_MS


def test_every_text_that_is_asked_for_is_there(visit, address):
    page = visit(address).open()
    web = Path(__file__).parents[2] / "service" / "web"
    sources = [path.read_text() for path in web.glob("*.js")]
    asked = {name for text in sources for name in re.findall(r"\bt\.([a-zA-Z]+(?:\.[a-zA-Z]+)*)\b", text)}
    missing = """async (asked) => {
        const { texts } = await import(new URL("web/texts.js", location.href));
        return asked.filter((name) => name.split(".").reduce((found, part) => found?.[part], texts) === undefined);
    }"""
    assert len(asked) > 100
    assert page.evaluate(missing, sorted(asked)) == []


def test_the_picture_of_the_readme(visit, address, farm, tmp_path):
    """`PAGE_PICTURE=docs/page.png` has the README's own made anew."""
    page = visit(address, viewport={"width": 1120, "height": 760}).open()
    page.locator("input[webkitdirectory]").first.set_input_files(TRAIN)
    page.get_by_label("Call it").fill("farm")
    page.wait_for_timeout(1500)  # the waveforms
    path = Path(os.environ.get("PAGE_PICTURE") or tmp_path / "page.png")
    page.screenshot(path=path)
    assert 10_000 < path.stat().st_size < 200_000
