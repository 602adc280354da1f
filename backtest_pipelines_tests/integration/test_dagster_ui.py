"""Dagster's UI in a real browser: a variant launched with changed parameters, what it shows, and the login."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import element_to_be_clickable, visibility_of_element_located
from selenium.webdriver.support.wait import WebDriverWait

from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines_tests.browser import HAS_BROWSER, browsing
from backtest_pipelines_tests.integration.dagster_servers import RUN_S, WEEKLY, Installation, installation

__all__ = ["installation"]

PAGE_S = 30.0
REDRAWN = (NoSuchElementException, StaleElementReferenceException)
"""What is seen of a page that is drawn again while it loads, also between finding an element and looking at it."""
LOOKS = """
{ assetOrError(assetKey: {path: ["execution_metrics"]}) { ... on Asset { assetMaterializations(limit: 1) { runId } } } }
"""
PARAMETERS = {"spot_adjustment_type": 3, "spot_adjustment": 0.5, "call_sell_position": 1.0}


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    if not HAS_BROWSER:
        pytest.skip("needs chromium and chromedriver")
    with browsing() as driver:
        yield driver


def test_a_variant_is_launched_with_changed_parameters_and_shows_its_answer(
    installation: Installation, browser: webdriver.Chrome
) -> None:
    url = installation.url
    browser.get(f"{url}/locations/backtest_pipelines/jobs/{WEEKLY}_job/playground")
    visible(browser, "//*[contains(@class, 'CodeMirror-code')]//*[contains(text(), 'spot_adjustment_type')]")
    config = json.dumps({"ops": {WEEKLY: {"config": PARAMETERS}}})
    browser.execute_script("document.querySelector('.CodeMirror').CodeMirror.setValue(arguments[0])", config)
    partition = clickable(browser, "//input[@placeholder='Partition']")
    partition.click()
    partition.send_keys("NIFTY")
    click(browser, "//*[normalize-space(text())='NIFTY']")
    click(browser, "//button[contains(., 'Launch Run')]")
    WebDriverWait(browser, PAGE_S).until(
        lambda driver: "/runs/" in driver.current_url or len(driver.window_handles) > 1
    )
    browser.switch_to.window(browser.window_handles[-1])
    WebDriverWait(browser, PAGE_S).until(lambda driver: "/runs/" in driver.current_url)
    run = installation.dagster.wait(browser.current_url.rpartition("/runs/")[2][:36], RUN_S)
    assert run.status == "SUCCESS", run.failure

    browser.get(f"{url}/assets/{WEEKLY}?view=partitions&partition=NIFTY")
    assert metadata(browser, "fingerprint") == run.metadata["fingerprint"]
    assert metadata(browser, "trades") == str(run.metadata["trades"])
    assert float(metadata(browser, "net_pnl_points")) == pytest.approx(run.metadata["net_pnl_points"])
    question = json.loads(metadata(browser, "question"))
    assert question["parameters"] == {"spot_adjustment_type": 3, "spot_adjustment": "0.5", "call_sell_position": "1"}
    picture = visible(browser, "//tr[td[1][contains(., 'equity')]]//img")
    assert browser.execute_script("return arguments[0].naturalWidth", picture) > 100


def test_the_metrics_are_materialized_and_seen_as_tables_pictures_and_plots(
    installation: Installation, browser: webdriver.Chrome
) -> None:
    browser.get(f"{installation.url}/assets/execution_metrics")
    click(browser, "//button[contains(., 'Materialize')]")
    WebDriverWait(browser, RUN_S).until(
        lambda _: installation.dagster.ask(LOOKS)["assetOrError"].get("assetMaterializations")
    )
    browser.refresh()
    page = WebDriverWait(browser, PAGE_S, ignored_exceptions=REDRAWN)
    executions = f"//tr[td[1][.='variants']]//td[.='{WEEKLY}']/following-sibling::td[1]"
    page.until(lambda driver: int(driver.find_element(By.XPATH, executions).text) >= 1)
    picture = f"//tr[td[1][.='durations: {WEEKLY}']]//img"
    width = "return arguments[0].naturalWidth"
    page.until(lambda driver: driver.execute_script(width, driver.find_element(By.XPATH, picture)) > 50)
    click(browser, "//button[normalize-space(.)='Plots']")
    visible(browser, f"//*[normalize-space(text())='p95_ms: {WEEKLY}']")


def test_the_ui_is_read_behind_the_login(installation: Installation, browser: webdriver.Chrome) -> None:
    url, home = installation.url, installation.home
    runs = installation.dagster.ask("{ runsOrError(limit: 1) { ... on Runs { results { runId } } } }")
    run_id = runs["runsOrError"]["results"][0]["runId"]
    secret = Tokens(home).add("reader", Scope.READ)
    try:
        browser.get(f"{url}/runs/{run_id}")
        assert browser.current_url == f"{url}/login?next=/runs/{run_id}"
        browser.find_element(By.NAME, "token").send_keys("another", Keys.ENTER)
        assert visible(browser, "//*[@role='alert']").text == "This token is not known."
        network(browser)
        browser.find_element(By.NAME, "token").send_keys(secret, Keys.ENTER)
        visible(browser, "//*[contains(text(), 'RUN_SUCCESS') or contains(text(), 'RUN_FAILURE')]")
        browser.get(f"{url}/runs")
        visible(browser, f"//*[contains(text(), '{run_id[:8]}')]")
        seen = network(browser)
        refused = [
            (seen_of["response"]["status"], seen_of["response"]["url"])
            for kind, seen_of in seen
            if kind == "Network.responseReceived" and seen_of["response"]["status"] in (400, 401, 403)
        ]
        assert refused == []
        handshakes = [of for kind, of in seen if kind == "Network.webSocketHandshakeResponseReceived"]
        assert [of["response"]["status"] for of in handshakes][:1] == [101]
        assert [of for kind, of in seen if kind == "Network.webSocketFrameError"] == []

        browser.get(f"{url}/login")
        sign_out = "//button[normalize-space(.)='Sign out']"
        click(browser, sign_out)
        WebDriverWait(browser, PAGE_S).until(lambda driver: not driver.find_elements(By.XPATH, sign_out))
        browser.get(f"{url}/runs")
        assert browser.current_url == f"{url}/login?next=/runs"
    finally:
        (home / "tokens.json").unlink()


def network(browser: webdriver.Chrome) -> list[tuple[str, dict[str, Any]]]:
    """Return what happened on the network since the last look."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    return [(message["method"], message["params"]) for message in messages]


def visible(browser: webdriver.Chrome, path: str) -> WebElement:
    return WebDriverWait(browser, PAGE_S).until(visibility_of_element_located((By.XPATH, path)))


def click(browser: webdriver.Chrome, path: str) -> None:
    """Click what may be drawn again at any moment."""

    def clicked(driver: webdriver.Chrome) -> bool:
        element = driver.find_element(By.XPATH, path)
        if not (element.is_displayed() and element.is_enabled()):
            return False
        element.click()
        return True

    WebDriverWait(browser, PAGE_S, ignored_exceptions=REDRAWN).until(clicked)


def clickable(browser: webdriver.Chrome, path: str) -> WebElement:
    return WebDriverWait(browser, PAGE_S).until(element_to_be_clickable((By.XPATH, path)))


def metadata(browser: webdriver.Chrome, name: str) -> str:
    """Return what the page's table of metadata shows for a name."""
    return str(visible(browser, f"//tr[td[1][normalize-space(.)='{name}']]/td[2]").text)
