"""What an adapter was taught with, put right on the page: suspects, answers that were wrong, clips that go and come."""

import re
import shutil

import httpx2
import pytest
from playwright.sync_api import expect

from tests.page.conftest import HELD_OUT, TAUGHT_TIMEOUT_MS, TRAIN, Visit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def yard(browser, address, directory):
    """An adapter of two sounds, with a rooster among the rain; its name and the name of that clip."""
    folder = directory / "yard"
    for label in ("rain", "rooster"):
        shutil.copytree(TRAIN / label, folder / label)
    wrong = sorted((folder / "rooster").iterdir())[0]
    wrong.rename(folder / "rain" / wrong.name)
    visit = Visit(browser, address)
    page = visit.open()
    page.locator("input[webkitdirectory]").first.set_input_files(folder)
    page.get_by_label("Call it").fill("yard")
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator(".outcome h2")).to_have_text("yard is taught.", timeout=TAUGHT_TIMEOUT_MS)
    visit.context.close()
    assert visit.faults == []
    return "yard", wrong.name


def clips_of(address: str, ref: str) -> list[dict]:
    return httpx2.get(f"{address}/adapters/{ref}/clips").json()["clips"]


def teach_next(page, version: int) -> None:
    page.get_by_role("button", name="Teach the next version").click()
    said = page.locator(".tray-place [role=status]")
    expect(said).to_contain_text(f"version {version}", ignore_case=True, timeout=TAUGHT_TIMEOUT_MS)


def test_a_suspect_is_heard_and_put_right(visit, address, yard):
    name, wrong = yard
    page = visit(address).open("understand")
    page.get_by_label("Adapter").select_option(name)
    suspect = page.locator(".suspect", has_text=wrong)
    expect(suspect).to_contain_text("is called rain and sounds like rooster")
    suspect.get_by_role("button", name=f"Play {wrong}").click()
    expect(suspect.get_by_role("button", name=f"Stop {wrong}")).to_be_visible()
    expect(suspect.locator(".clips").nth(1).locator(".clip")).to_have_count(3)
    suspect.get_by_role("button", name="It is rooster").click()
    suspect.get_by_role("button", name="Undo").click()
    expect(page.locator(".tray")).to_be_hidden()
    suspect.get_by_role("button", name="It is rooster").click()
    expect(page.locator(".tray")).to_contain_text("1 correction waits")
    teach_next(page, 2)
    (clip,) = (clip for clip in clips_of(address, f"{name}@2") if clip["file"].endswith(wrong))
    assert clip["label"] == "rooster"


def test_a_wrong_answer_feeds_the_next_version(visit, address, yard):
    name, _ = yard
    before = len(clips_of(address, name))
    page = visit(address).open("try")
    page.get_by_label("Adapter").select_option(name)
    files = [HELD_OUT / "helicopter" / "3-68630-A.ogg", HELD_OUT / "dog bark" / "2-118964-A.ogg"]
    page.locator(".drop input[type=file]:not([webkitdirectory])").set_input_files(files)
    expect(page.locator(".result")).to_have_count(2)
    page.get_by_label("Wrong?").nth(0).select_option("background")
    page.get_by_label("Wrong?").nth(1).select_option("=rain")
    page.get_by_label("Wrong?").nth(1).select_option("background")  # upon reflection
    expect(page.locator(".tray")).to_contain_text("2 corrections wait")
    teach_next(page, 3)
    after = clips_of(address, f"{name}@3")
    assert len(after) == before + 2
    assert sum(clip["is_background"] for clip in after) == 2


def test_a_lesson_goes_on_from_what_is_kept(visit, address, yard):
    name, wrong = yard
    newest = httpx2.get(f"{address}/adapters/{name}/versions").json()["versions"][-1]["version"]
    httpx2.put(f"{address}/adapters/{name}/current", json={"version": newest})
    page = visit(address).open()
    page.get_by_label("Start from").select_option(name)
    expect(page.get_by_label("Call it")).to_have_value(name)
    boxes = page.locator(".box:not(.is-background):not(.box-more)")
    expect(boxes).to_have_count(2)
    by_label = {boxes.nth(i).locator(".box-name").input_value(): boxes.nth(i) for i in range(2)}
    rain, rooster = by_label["rain"], by_label["rooster"]
    expect(rooster.locator(".clip")).to_have_count(8)
    rooster.get_by_role("button", name=f"Take out {wrong}").click()
    first = rain.locator(".clip").first
    moved = first.locator(".clip-name").inner_text()
    first.get_by_role("button", name=re.compile("Trim or move")).click()
    first.get_by_label("It belongs to").select_option("Background")
    new = HELD_OUT / "rain" / "2-87781-A.ogg"
    rain.locator("input[type=file]:not([webkitdirectory])").set_input_files(new)
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator(".outcome h2")).to_have_text(
        f"{name} is taught anew: version {newest + 1}.", timeout=TAUGHT_TIMEOUT_MS
    )
    files = {clip["file"]: clip["label"] for clip in clips_of(address, f"{name}@{newest + 1}")}
    assert wrong not in files
    assert files[new.name] == "rain"
    assert files[moved] is None
    expect(page.locator(".box.is-background .clip")).to_have_count(3)  # the lesson goes on from the new version
