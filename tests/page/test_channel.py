"""Channel: what is heard through another microphone, and what mends it, on the page."""

import re

import pytest
import soundfile
from playwright.sync_api import expect
from scipy import signal

from tests.page.conftest import HELD_OUT, TAUGHT_TIMEOUT_MS, TRAIN

pytestmark = pytest.mark.slow
CUTOFF_HZ = 1200


@pytest.fixture(scope="module")
def muffled(directory):
    """Clips as a cheap microphone under a coat has them."""
    folder = directory / "muffled"
    folder.mkdir()
    for path in sorted([*HELD_OUT.glob("*/*.ogg"), *TRAIN.glob("*/*.ogg")])[::2]:
        samples, rate_hz = soundfile.read(path, dtype="float32")
        low = signal.sosfilt(signal.butter(2, CUTOFF_HZ, fs=rate_hz, output="sos"), samples)
        soundfile.write(folder / f"{path.stem}.wav", low, rate_hz, subtype="PCM_16")
    return sorted(folder.iterdir())


def test_the_channel_is_shown_and_put_right(visit, address, farm, muffled, offers):
    offers("/adapters/{name}/recalibrate")
    begun = visit(address)
    page = begun.open("channel")
    page.get_by_label("Adapter").select_option(farm)
    card = page.get_by_role("region", name="Recalibrate")
    recalibrate = card.get_by_role("button", name="Recalibrate", exact=True)
    expect(recalibrate).to_be_disabled()
    card.locator("input[type=file]").set_input_files(muffled[:4])
    expect(card).to_contain_text("1 more to go.")
    card.locator("input[type=file]").set_input_files(muffled[4:])
    recalibrate.click()
    expect(page.locator(".section > .notice")).to_have_text(
        re.compile(r"Version \d+ allows|Nothing is changed|stands by"), timeout=TAUGHT_TIMEOUT_MS
    )

    begun.go("try")
    page.locator(".drop input[type=file]:not([webkitdirectory])").set_input_files(muffled)
    expect(page.locator(".result")).to_have_count(len(muffled), timeout=TAUGHT_TIMEOUT_MS)
    begun.go("channel")
    curve = page.get_by_role("region", name="What is heard against what was taught")
    expect(curve.get_by_role("heading")).to_have_text(re.compile(r"[\d.]+ dB away"))
    expect(curve.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"Low frequencies .* high "))
