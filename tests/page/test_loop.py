"""Teach, try, understand, correct, listen: the whole loop on the page, as one who does not program does it."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.page.conftest import HELD_OUT, TAUGHT_TIMEOUT_MS, TRAIN


def wait_for(condition, page, timeout_s=20):
    """Playwright's own waiting evaluates text, which the page's policy forbids."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)


pytestmark = pytest.mark.slow


def test_boxes_take_files_recordings_and_trims(visit, address, farm):
    page = visit(address).open()
    box = page.locator(".box").first
    box.get_by_label("Name of the sound").fill("rain")
    box.locator("input[type=file]:not([webkitdirectory])").set_input_files(sorted((TRAIN / "rain").iterdir())[:2])
    expect(box.locator(".clip")).to_have_count(2)
    expect(box.locator(".advice")).to_contain_text("3 more")
    box.get_by_role("button", name="Record").click()
    expect(box.locator("meter")).to_be_visible()
    meter = box.locator("meter")
    wait_for(lambda: meter.evaluate("meter => meter.value") > 0.1, page)
    box.get_by_role("button", name=re.compile("Stop")).click()
    expect(box.locator(".clip")).to_have_count(3)

    first = box.locator(".clip").first
    first.get_by_role("button", name=re.compile("Trim")).click()
    first.get_by_role("slider", name="From").fill("1")
    first.get_by_role("slider", name="To").fill("3")
    expect(first.locator(".num").first).to_have_text("2.0 s")
    first.get_by_role("button", name=re.compile("Play")).click()
    expect(first.get_by_role("button", name=re.compile("Stop"))).to_be_visible()

    box.get_by_role("button", name=re.compile("Take out")).nth(1).click()
    expect(box.locator(".clip")).to_have_count(2)
    page.get_by_label("Call it").fill("wet")
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator(".outcome h2")).to_have_text("wet is taught.", timeout=TAUGHT_TIMEOUT_MS)


def test_what_is_missing_is_said(visit, address):
    page = visit(address).open()
    page.get_by_role("button", name="Teach", exact=True).click(force=True)  # it looks asleep, and answers all the same
    expect(page.locator("[aria-live]")).to_have_text("Give it a name.")
    expect(page.locator(".bar .small")).to_have_text("Give it a name.")
    page.get_by_label("Call it").fill("farm")
    expect(page.locator(".bar .small")).to_contain_text("at least one sound")


def test_what_the_service_refuses_is_shown_as_it_stands(visit, address):
    begun = visit(address)
    page = begun.open()
    box = page.locator(".box").first
    box.get_by_label("Name of the sound").fill("rain")
    box.locator("input[type=file]:not([webkitdirectory])").set_input_files(TRAIN.parent / "README.md")
    page.get_by_label("Call it").fill("no spaces allowed")
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator(".outcome .problem")).to_contain_text("adapter_name_invalid")
    begun.faults[:] = [fault for fault in begun.faults if "Failed to load resource" not in fault]  # it was refused


def test_results_are_bars_and_unknown_is_said_plainly(visit, address, farm):
    page = visit(address).open("try")
    page.get_by_label("Adapter").select_option(farm)
    files = [HELD_OUT / "rooster" / "1-44831-A.ogg", TRAIN.parents[1] / "models" / "background" / "guitar" / "1.ogg"]
    page.locator(".drop input[type=file]:not([webkitdirectory])").set_input_files(files)
    expect(page.locator(".result")).to_have_count(2)
    expect(page.locator(".result").nth(0).locator(".verdict")).to_have_text("rooster")
    expect(page.locator(".result").nth(1).locator(".verdict")).to_contain_text("Unknown")
    expect(page.locator(".result").nth(0).locator(".bars li")).to_have_count(5)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    rows = download.value.path().read_text().splitlines()
    assert rows[0] == "file,start_s,end_s,label,score,unknown,known_score,error"
    assert rows[1].startswith("1-44831-A.ogg,0,5.00") and ",rooster," in rows[1]
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as Audacity labels").click()
    start, end, label = download.value.path().read_text().splitlines()[0].split("\t")
    assert (float(start), label) == (0, "1-44831-A.ogg: rooster") and float(end) == pytest.approx(5, abs=0.01)


def test_a_long_recording_is_a_timeline(visit, address, farm, long_clip):
    page = visit(address).open("try")
    page.get_by_label("Adapter").select_option(farm)
    page.locator(".drop input[type=file]:not([webkitdirectory])").set_input_files(long_clip)
    spans = page.locator(".timeline .span")
    expect(spans).to_have_count(5)  # windows of 10 s, each 5 s after the one before
    spans.nth(2).click()
    expect(page.locator(".window")).to_contain_text("10 s to 20 s")
    page.locator(".window").get_by_label("Wrong?").select_option("=rain")
    expect(page.locator(".tray")).to_contain_text("1 correction waits")


def test_it_listens_live(visit, address, farm):
    page = visit(address).open("listen")
    page.get_by_label("Adapter").select_option(farm)
    page.get_by_label("Window").fill("5")
    page.get_by_role("button", name="Listen", exact=True).click()
    expect(page.locator(".events li").first).to_contain_text("rooster", timeout=60_000)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Listen", exact=True)).to_be_visible()


def test_it_is_understood_and_rolled_back(visit, address, farm):
    page = visit(address).open("understand")
    page.get_by_label("Adapter").select_option(farm)
    expect(page.locator(".figure")).to_have_text(re.compile(r"\d+\s%"))
    expect(page.locator("svg.confusion")).to_be_visible()
    expect(page.get_by_role("table", name="Rows: what a clip is")).to_be_attached()
    page.get_by_role("button", name="Few false alarms").click()
    versions = page.get_by_role("region", name="Versions").locator("tbody tr")
    expect(versions).to_have_count(2)
    expect(versions.first).to_contain_text("in use")
    page.get_by_role("button", name="Use version 1", exact=True).click()
    expect(versions.last).to_contain_text("in use")


def test_the_service_tells_of_adapters_jobs_and_limits(visit, address, farm):
    page = visit(address).open("service")
    expect(page.get_by_role("region", name="Adapters").get_by_role("rowheader", name=farm, exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Jobs").locator("tbody tr").first).to_contain_text("Done")
    expect(page.locator(".facts")).to_contain_text("tiny-clap")
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save {farm} as a file").click()
    page.get_by_label("Import as").fill("copy")
    page.locator("input[accept]").set_input_files(download.value.path())
    copy = page.get_by_role("rowheader", name="copy", exact=True)
    expect(copy).to_be_visible()
    page.get_by_role("button", name="Delete copy").click()
    page.get_by_role("button", name="Delete copy for good").click()
    expect(copy).to_have_count(0)
