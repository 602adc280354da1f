"""A real browser without a screen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from selenium import webdriver

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_CHROMEDRIVER = shutil.which("chromedriver")
HAS_BROWSER = bool(_CHROMIUM and _CHROMEDRIVER)


@contextmanager
def browsing() -> Iterator[webdriver.Chrome]:
    """Run Chromium, which keeps a log of its network, and end it; where `HAS_BROWSER`."""
    assert _CHROMIUM is not None
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1600,1400"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_CHROMEDRIVER))
    try:
        yield driver
    finally:
        driver.quit()
        driver.service.stop()
