"""What an adapter was taught with, put right on the page: suspects, answers that were wrong, clips that go and come."""

import re
import shutil

import httpx2
import pytest
from playwright.sync_api import expect

from tests.page.conftest import HELD_OUT, TAUGHT_TIMEOUT_MS, TRAIN, Visit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def yard(browser, address, directory, offers):
    """An adapter of two sounds, with a helicopter among the roosters; its name and the name of that clip."""
    offers("/adapters/{name}/clips")
    folder = directory / "yard"
    for label in ("helicopter", "rooster"):
        shutil.copytree(TRAIN / label, folder / label)
    wrong = sorted((folder / "helicopter").iterdir())[0]
    wrong.rename(folder / "rooster" / wrong.name)
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


def teach_next(page) -> int:
    """Teach what waits in the tray; the version that comes of it."""
    page.get_by_role("button", name="Teach the next version").click()
    said = page.locator(".tray-place [role=status]")
    expect(said).to_contain_text("ersion", timeout=TAUGHT_TIMEOUT_MS)
    return int(re.search(r"ersion (\d+)", said.inner_text())[1])


def test_a_suspect_is_heard_and_put_right(visit, address, yard):
    name, wrong = yard
    page = visit(address).open("understand")
    page.get_by_label("Adapter").select_option(name)
    suspect = page.locator(".suspect", has_text=wrong)
    expect(suspect).to_contain_text("is called rooster and sounds like helicopter")
    suspect.get_by_role("button", name=f"Play {wrong}").click()
    expect(suspect.get_by_role("button", name=f"Stop {wrong}")).to_be_visible()
    expect(suspect.locator(".clips").nth(1).locator(".clip")).to_have_count(3)
    suspect.get_by_role("button", name="It is helicopter").click()
    suspect.get_by_role("button", name="Undo").click()
    expect(page.locator(".tray")).to_be_hidden()
    suspect.get_by_role("button", name="It is helicopter").click()
    expect(page.locator(".tray")).to_contain_text("1 correction waits")
    version = teach_next(page)
    (clip,) = (clip for clip in clips_of(address, f"{name}@{version}") if clip["file"] == wrong)
    assert clip["label"] == "helicopter"


def test_a_wrong_answer_feeds_the_next_version(visit, address, yard):
    name, _ = yard
    before = len(clips_of(address, name))
    page = visit(address).open("try")
    page.get_by_label("Adapter").select_option(name)
    files = [HELD_OUT / "rain" / "2-87781-A.ogg", HELD_OUT / "dog bark" / "2-118964-A.ogg"]
    page.locator(".drop input[type=file]:not([webkitdirectory])").set_input_files(files)
    expect(page.locator(".result")).to_have_count(2)
    page.get_by_label("Wrong?").nth(0).select_option("background")
    page.get_by_label("Wrong?").nth(1).select_option("=helicopter")
    page.get_by_label("Wrong?").nth(1).select_option("background")  # upon reflection
    expect(page.locator(".tray")).to_contain_text("2 corrections wait")
    after = clips_of(address, f"{name}@{teach_next(page)}")
    assert len(after) == before + 2
    assert sum(clip["is_background"] for clip in after) == 2


def test_a_lesson_goes_on_from_what_is_kept(visit, address, yard):
    name, _ = yard
    newest = httpx2.get(f"{address}/adapters/{name}/versions").json()["versions"][-1]["version"]
    httpx2.put(f"{address}/adapters/{name}/current", json={"version": newest})
    page = visit(address).open()
    page.get_by_label("Start from").select_option(name)
    expect(page.get_by_label("Call it")).to_have_value(name)
    boxes = page.locator(".box:not(.is-background):not(.box-more)")
    expect(boxes).to_have_count(2)
    by_label = {boxes.nth(i).locator(".box-name").input_value(): boxes.nth(i) for i in range(2)}
    helicopter, rooster = by_label["helicopter"], by_label["rooster"]
    before = clips_of(address, f"{name}@{newest}")
    expect(rooster.locator(".clip")).to_have_count(sum(clip["label"] == "rooster" for clip in before))
    gone = helicopter.locator(".clip-name").last.inner_text()
    helicopter.get_by_role("button", name=f"Take out {gone}").click()
    first = rooster.locator(".clip").first
    moved = first.locator(".clip-name").inner_text()
    first.get_by_role("button", name=re.compile("Trim or move")).click()
    first.get_by_label("It belongs to").select_option("Background")
    new = HELD_OUT / "helicopter" / "3-68630-A.ogg"
    helicopter.locator("input[type=file]:not([webkitdirectory])").set_input_files(new)
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator(".outcome h2")).to_have_text(
        f"{name} is taught anew: version {newest + 1}.", timeout=TAUGHT_TIMEOUT_MS
    )
    files = {clip["file"]: clip["label"] for clip in clips_of(address, f"{name}@{newest + 1}")}
    assert gone not in files
    assert files[new.name] == "helicopter"
    assert files[moved] is None
    num_background = sum(label is None for label in files.values())  # the lesson goes on from the new version
    expect(page.locator(".box.is-background .clip")).to_have_count(num_background)
