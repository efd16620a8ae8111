"""The console as a person sees it: figures, states, keyboard, screen reader, pictures."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

    Open = Callable[..., Page]

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "console"
COST_BY_DAY = ROOT / "functions/perminute/formats/charts/cost_by_day.json"
"""The chart that statements contain, too."""
MOST_BYTES = 150_000
"""Of the picture in the README, which a test takes."""
NOVEMBER = "from=2026-11-01&to=2026-12-01"


def report(address: str, name: str, organization: str = "contoso") -> Any:
    base, token = address.split("/#token=")
    url = f"{base}/reports/organizations/{organization}/{name}"
    with urlopen(Request(url, headers={"Perminute-Token": token})) as answer:  # noqa: S310
        return json.load(answer)


def ready(page: Page) -> Page:
    expect(page.locator("#content")).to_have_attribute("aria-busy", "false")
    page.locator("#calls table").wait_for()
    page.locator("#ledger table").wait_for()
    expect(page.locator(".chart:not(:has(svg))")).to_have_count(0)
    return page


def plain(text: str) -> str:
    """The decimal text of the API that is shown as an amount."""
    found = re.sub(r"[,\u00a0 A-Z]", "", text).replace("\u2212", "-")
    return found.rstrip("0").rstrip(".") if "." in found else found


def picture(page: Page, name: str) -> None:
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def answer_with(status: int, error: str, pattern: str = "**/reports/**") -> Callable[[Page], None]:
    document = json.dumps({"error": error, "message": "a reason"})

    def fulfil(route: Route) -> None:
        route.fulfill(status=status, body=document, content_type="application/json")

    return lambda page: page.route(pattern, fulfil)


def changed(pattern: str, change: Callable[[Any], None]) -> Callable[[Page], None]:
    """Have the page read a true answer in which something is changed."""

    def fulfil(route: Route) -> None:
        document = route.fetch().json()
        change(document)
        route.fulfill(json=document)

    return lambda page: page.route(pattern, fulfil)


def test_figures_are_those_of_the_reports(open_page: Open, address: str) -> None:
    page = ready(open_page(viewport={"width": 1280, "height": 1060}))
    overview, usage = report(address, "overview"), report(address, f"usage?{NOVEMBER}")
    figures = page.locator(".card .figure").all_text_contents()
    titles = page.locator(".card h2").all_text_contents()
    shown = dict(zip(titles, figures, strict=True))
    assert plain(shown["Available credit"]) == overview["available"]
    assert plain(shown["Cost of 2026-11"]) == usage["total"]["charge"]
    assert plain(shown["Expires next"]) == overview["lots"][0]["remaining"]
    assert shown["Runs out"].startswith(("about 20", "after 90", "not within"))
    forecast = report(address, "forecast")
    assert forecast["recharges"]["high"]
    expect(page.locator(".card").nth(1)).to_contain_text("if each recharge is paid")
    # More than cents would say more than an estimate knows.
    foretold = page.locator("#balance td", has_text="about ").all_text_contents()
    assert foretold
    assert all(re.fullmatch(r"about \u2212?[0-9,]+\.[0-9]{2}\u00a0USD", text) for text in foretold)
    by_country = report(address, f"usage?{NOVEMBER}&groupBy=country")["rows"]
    rows = page.locator("#countries tbody tr").all()
    charged = {row.locator("td").first.text_content(): row.locator("td").last for row in rows}
    assert len(rows) == len(by_country)
    assert {name: plain(cell.text_content() or "") for name, cell in charged.items()} == {
        row["country"] or "not known": row["charge"] for row in by_country
    }
    as_of = overview["asOf"]["at"][:19].replace("T", " ")
    expect(page.locator("#as-of")).to_have_text(f"As of {as_of} UTC")
    colors = json.loads(COST_BY_DAY.read_text())["encoding"]["color"]["scale"]["range"]
    bars = page.locator("#days path[aria-roledescription='bar']").all()
    assert {bar.get_attribute("fill") for bar in bars} == set(colors)
    tooltip = page.locator("#vg-tooltip-element")
    page.locator("#days path[aria-roledescription='bar']").first.hover()
    expect(tooltip).to_contain_text("2026-11-02")
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    shown = page.screenshot(path=ROOT / "docs" / "console.png")
    assert len(shown) <= MOST_BYTES


def test_listings_have_pages_filters_and_explanations(open_page: Open, address: str) -> None:
    page = ready(open_page())
    listed = report(address, f"calls?{NOVEMBER}&limit=25")
    amounts = page.locator("#calls tbody td:nth-child(7)").all_text_contents()
    assert [plain(one) for one in amounts] == [call["charge"] for call in listed["calls"]]
    first = page.locator("#calls .link").first
    before = first.get_attribute("aria-label")
    page.locator("#calls").get_by_role("button", name="Next page").click()
    expect(page.locator("#calls .pages span")).to_have_text("page 2")
    assert first.get_attribute("aria-label") != before
    page.locator("#calls").get_by_role("button", name="Earlier page").click()
    expect(page.locator("#calls .pages span")).to_have_text("page 1")
    assert first.get_attribute("aria-label") == before
    page.locator("#calls select").nth(2).select_option("grady")
    expect(page.locator("#calls tbody td:nth-child(2)").first).to_have_text("grady")
    assert set(page.locator("#calls tbody td:nth-child(2)").all_text_contents()) == {"grady"}
    first.click()
    sentences = page.locator(".explanation li")
    sentences.first.wait_for()
    call = re.fullmatch("Call (.*)", page.locator(".explanation h3").text_content() or "")
    assert call
    explained = report(address, f"explanation?callId={call[1]}")
    assert sentences.all_text_contents() == explained["sentences"]
    entries = report(address, "ledger?month=2026-11&limit=25")["entries"]
    assert page.locator("#ledger tbody td:nth-child(4)").all_text_contents() == [
        entry["description"] for entry in entries
    ]
    picture(page, "explained")


def test_of_two_calls_the_one_that_was_chosen_last_is_explained(open_page: Open) -> None:
    page = ready(open_page())
    calls = page.locator("#calls .link")
    held: list[Route] = []
    page.route("**/explanation?*", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/explanation?*"):
        calls.nth(0).click()
    calls.nth(1).click()
    heading = page.locator(".explanation h3")
    heading.wait_for()
    chosen = heading.text_content()
    with page.expect_response("**/explanation?*"):
        held[0].continue_()
    page.evaluate("() => fetch('/').then(() => null)")  # what came before it is read
    assert heading.text_content() == chosen


def test_an_organization_without_credit_is_told_what_to_do(open_page: Open) -> None:
    page = ready(open_page())
    balance = page.locator(".card .figure").first.text_content()
    page.locator("#organization").select_option("nobody")
    expect(page.locator("#notices")).to_contain_text("Credit is not set up")
    expect(page.locator("#days p")).to_have_text("No calls in 2026-11 yet.")
    expect(page.locator("#balance")).to_be_hidden()
    assert balance not in (page.locator("#figures").text_content() or "")
    assert page.locator("#figures .card").count() == 0
    picture(page, "not-set-up")


def test_a_month_without_calls_says_so_and_keeps_the_cards(open_page: Open) -> None:
    page = ready(open_page())
    page.locator("#month").select_option("2026-08")
    expect(page.locator("#content")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#days p")).to_have_text("No calls in 2026-08.")
    expect(page.locator("#balance")).to_contain_text("Nothing moved the balance in 2026-08.")
    expect(page.locator(".card").first).to_contain_text("Available credit")
    picture(page, "empty-month")


@pytest.mark.parametrize("known", [True, False])
def test_a_link_to_an_organization_that_is_not_known_shows_no_other(
    open_page: Open, *, known: bool
) -> None:
    # Followed from elsewhere, or while the page shows another one.
    page = open_page(fragment="" if known else "&organization=a%3Cb&ledger")
    if known:
        ready(page).evaluate("location.hash = '#ledger&organization=a%3Cb'")
    expect(page.get_by_role("alert")).to_contain_text("names the organization a<b, which is not")
    expect(page.locator("#figures")).to_be_hidden()
    expect(page.locator("#content")).to_have_attribute("aria-busy", "false")
    assert page.locator("#figures .card").count() == 0
    picture(page, "unknown-organization")
    page.locator("#organization").select_option("contoso")
    expect(ready(page).locator(".card").first).to_contain_text("Available credit")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_link_leads_to_an_earlier_month_or_says_that_there_is_none(open_page: Open) -> None:
    page = open_page(fragment="&month=2024-02")
    expect(page.locator("#days p")).to_have_text("No calls in 2024-02.")
    expect(page.locator("#month")).to_have_value("2024-02")
    for none in ("2024-13", "2031-01"):
        page = ready(open_page(fragment=f"&calls&month={none}"))
        expect(page.locator("#month")).to_have_value("2026-11")
        expect(page.locator("#problem")).to_have_text(
            f"There is no month {none} to show: this is 2026-11."
        )


def test_the_link_of_an_e_mail_about_a_statement_makes_a_link_to_it(open_page: Open) -> None:
    asked: list[str] = []

    def make(page: Page) -> None:
        def made(route: Route) -> None:
            asked.append(route.request.url.partition("/organizations/")[2])
            link = {"location": "https://bucket.example/s.pdf", "expiresAt": "2026-11-20T17:15:00Z"}
            route.fulfill(json=link)

        page.route("**/statement?*format=pdf", made)

    page = open_page(make, fragment="&statement&month=2026-10&organization=fabrikam")
    link = page.get_by_role("link", name="Open the statement of 2026-10 (PDF)")
    expect(link).to_be_focused()
    expect(page.locator("#problem")).to_contain_text("until 2026-11-20 17:15:00 UTC")
    picture(page, "statement-link")
    # The next one, while the page is open.
    page.evaluate("location.hash = '#statement&month=2026-09&organization=contoso'")
    expect(page.get_by_role("link", name="Open the statement of 2026-09 (PDF)")).to_be_focused()
    assert asked == [
        "fabrikam/statement?month=2026-10&basis=stated&format=pdf",
        "contoso/statement?month=2026-09&basis=stated&format=pdf",
    ]
    expect(page.locator("#organization")).to_have_value("contoso")


@pytest.mark.parametrize(("width", "rows"), [(1200, [6]), (1000, [3, 3]), (600, [2, 2, 2])])
def test_no_card_is_alone_in_its_row(open_page: Open, width: int, rows: list[int]) -> None:
    page = ready(open_page(viewport={"width": width, "height": 900}))
    tops = page.locator(".card").evaluate_all("all => all.map((one) => one.offsetTop)")
    assert list(Counter(tops).values()) == rows
    page.screenshot(path=PICTURES / f"cards-{width}.png")


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_refused_sees_no_figure(open_page: Open, status: int) -> None:
    page = ready(open_page())
    answer_with(status, "forbidden")(page)
    figure = page.locator(".card .figure").first.text_content() or ""
    page.locator("#month").select_option("2026-10")
    expect(page.get_by_role("alert")).to_contain_text("You may not see this organization")
    expect(page.locator("#figures")).to_be_hidden()
    assert page.locator("#figures .card").count() == 0
    assert figure not in page.content()
    picture(page, "refused")


def test_old_figures_stay_when_a_page_cannot_be_read_and_trying_again_helps(
    open_page: Open,
) -> None:
    page = ready(open_page())
    answer_with(503, "unavailable")(page)
    page.locator("#calls").get_by_role("button", name="Next page").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing is lost")
    expect(page.locator(".card").first).to_be_visible()
    picture(page, "broken")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_old_figures_stay_when_the_server_is_gone(open_page: Open) -> None:
    page = ready(open_page())
    page.route("**/reports/**", lambda route: route.abort())
    page.locator("#ledger").get_by_role("button", name="Next page").click()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    expect(page.locator(".card").first).to_contain_text("Available credit")
    assert "As of" in (page.locator("#as-of").text_content() or "")


def test_who_has_no_credit_left_is_told_what_that_means_and_what_to_do(
    open_page: Open, address: str
) -> None:
    page = ready(open_page(fragment="&organization=fabrikam"))
    overview = report(address, "overview", "fabrikam")
    basis = report(address, "forecast", "fabrikam")["basis"]
    expect(page.locator("#notices .bad")).to_contain_text("nobody can join meetings")
    expect(page.locator("#notices .bad")).to_contain_text("calls continue and the debt grows")
    expect(page.locator("#notices .bad")).to_contain_text("Buy credit")
    available = page.locator(".card").first
    expect(available.locator(".bad")).to_be_visible()
    assert plain(available.locator(".figure").text_content() or "") == overview["available"]
    expect(available).to_contain_text(f"debt {overview['debt']}, which the next purchase pays")
    lacking = f"needs 7 complete days, 3 of them with cost; there are {basis['days']}"
    expect(page.locator(".card").nth(1)).to_contain_text(lacking)
    picture(page, "exhausted")


def test_a_recharge_that_is_stopped_or_waits_is_told(open_page: Open) -> None:
    request = {"rechargeId": "r-1", "amount": "150", "requestedAt": "2026-11-20T10:00:00Z"}

    def stop(overview: Any) -> None:
        overview["autoRecharge"] |= {"stoppedBy": "monthlyLimit", "waiting": [request]}

    page = ready(open_page(changed("**/overview*", stop)))
    expect(page.locator("#notices")).to_contain_text("its monthly limit is reached")
    expect(page.locator("#notices")).to_contain_text("since 2026-11-20 10:00:00")
    picture(page, "recharge-stopped")


def test_who_may_not_see_numbers_is_told_why_they_are_masked(open_page: Open) -> None:
    def mask(answer: Any) -> None:
        for call in answer["calls"]:
            call["number"] = "+4930****"

    page = ready(open_page(changed("**/calls?*", mask)))
    expect(page.locator("#calls")).to_contain_text("you do not have the role numbers")
    page.locator("#calls").screenshot(path=PICTURES / "masked.png")


def test_more_entries_than_are_drawn_are_drawn_by_day_and_the_page_says_so(open_page: Open) -> None:
    def never_end(route: Route) -> None:
        first = route.request.url.partition("&cursor=")[0]
        route.fulfill(json={**route.fetch(url=first).json(), "next": "more"})

    page = open_page(lambda page: page.route("**/ledger?month=2026-11&limit=200*", never_end))
    expect(page.locator("#balance")).to_contain_text("the balance at the end of each day")
    expect(page.locator("#balance .chart svg")).to_be_visible()


def test_without_the_library_of_charts_there_are_their_tables(open_page: Open) -> None:
    page = open_page(lambda page: page.route("**/vega.*.js", lambda route: route.abort()))
    expect(page.locator("#days")).to_contain_text("the library of charts could not be loaded")
    for section in ("#balance", "#days", "#countries", "#organizers"):
        expect(page.locator(f"{section} table").first).to_be_visible()


@pytest.mark.parametrize(
    ("fragment", "focused"),
    [
        ("overview", "#cards"),
        ("forecast", "#balance"),
        ("calls", "#calls"),
        ("ledger", "#ledger"),
        ("call=call%20of%20%26%20%3Cb%3E", ".explanation"),
    ],
)
def test_a_link_opens_its_part(open_page: Open, fragment: str, focused: str) -> None:
    page = ready(open_page(fragment=f"&{fragment}"))
    expect(page.locator(focused)).to_be_focused()
    assert "token" not in page.url
    assert page.url.endswith(f"#{fragment}")
    if focused == ".explanation":
        expect(page.locator(f"{focused} h3")).to_have_text("Call call of & <b>")


def test_names_are_texts_wherever_they_stand(open_page: Open) -> None:
    page = ready(open_page())
    name = "<img src=x onerror=alert(1)>"
    page.locator("#calls select").nth(2).select_option(name)
    expect(page.locator("#calls tbody td:nth-child(2)").first).to_have_text(name)
    page.locator("#organizers summary").click()
    expect(page.locator("#organizers td").filter(has_text=name)).to_be_visible()
    assert page.locator("img").count() == 0


def test_advice_is_that_of_the_report(open_page: Open) -> None:
    change = {"user": "adele", "from": "payPerMinute", "to": "subscription", "saves": "8.2"}
    advice: dict[str, Any] = {"currency": "USD", "current": "40", "best": "31.8", "saving": "8.2"}
    advice |= {"recommendations": [{**change, "monthsAgreeing": 3}], "confidence": "high"}
    pool = [{"month": "2026-10", "minutes": 120, "wanted": 77}]
    advice |= {"status": "ok", "months": ["2026-10"], "subscribers": ["adele"], "pool": pool}
    advice["remarks"] = [{"remark": "idle", "user": "joni"}]
    queries: list[str] = []

    def answer(route: Route) -> None:
        queries.append(route.request.url.partition("?")[2])
        route.fulfill(json=advice)

    def prepare(page: Page) -> None:
        changed("**/console.json", lambda shown: shown["reports"].append("license-advice"))(page)
        page.route("**/license-advice?*", answer)

    page = ready(open_page(prepare))
    section = page.locator("#advice")
    section.get_by_role("button", name="Compare").click()
    assert queries == [], "the price has no default"
    section.get_by_label("Price of a subscription").fill("4.50")
    section.get_by_role("button", name="Compare").click()
    expect(section).to_contain_text("1 change would save 8.20\u00a0USD a month")
    assert queries == ["price=4.50&months=3"]
    expect(section.get_by_role("listitem")).to_have_text(re.compile("joni subscribes"))
    cells = section.locator("tbody").first.locator("td").all_text_contents()
    assert cells == ["adele", "pay-per-minute", "subscription", "8.20", "3"]
    section.screenshot(path=PICTURES / "advice.png")


def test_before_anything_is_read_there_is_no_zero(open_page: Open) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page = open_page(lambda page: page.route("**/reports/**", hold))
    expect(page.locator("#content")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#as-of")).to_have_text("Loading …")
    expect(page.locator("#figures")).to_be_hidden()
    for route in held:
        route.continue_()
    page.unroute_all()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: Open, scheme: str) -> None:
    # Axe adds a script of its own, which the policy forbids.
    page = ready(
        open_page(color_scheme=scheme, bypass_csp=True, viewport={"width": 1440, "height": 900})
    )
    page.locator("#calls .link").first.click()
    page.locator(".explanation li").first.wait_for()
    picture(page, scheme)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_keyboard_reaches_everything(open_page: Open) -> None:
    page = ready(open_page())
    wanted = page.locator("a, button:enabled, select, summary, [tabindex='0']")
    count = page.evaluate(
        """() => [...document.querySelectorAll(
             "a, button:enabled, select, summary, [tabindex='0']")]
             .filter((one) => one.checkVisibility()).length"""
    )
    assert wanted.count() >= count > 30
    reached = set()
    for _ in range(count):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)")
        )
    assert len(reached) == count
    page.locator("#calls .link").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".explanation")).to_be_focused()
    page.get_by_role("button", name="Close").press("Enter")
    expect(page.locator("#calls .link").first).to_be_focused()


def test_an_address_of_an_unknown_call_says_so_where_it_leads(open_page: Open) -> None:
    page = ready(open_page(fragment="&organization=contoso&call=nosuch"))
    explanation = page.locator(".explanation")
    expect(explanation).to_be_focused()
    expect(explanation).to_contain_text("Call nosuch")
    expect(explanation).to_contain_text("There is no record of this call")
    expect(explanation).to_be_in_viewport()
    expect(page.locator("#problem")).to_be_empty()


def test_a_phone_and_paper_have_it_too(open_page: Open) -> None:
    page = ready(open_page(viewport={"width": 390, "height": 844}))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "phone")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(media="print")
    page.pdf(path=PICTURES / "print.pdf", format="A4")
    expect(page.locator(".choices")).to_be_hidden()
    expect(page.locator("#subject")).to_have_text("contoso, 2026-11")
    # A4 is 794 px wide, with margins of a centimeter 718: no column may be cut off.
    page.set_viewport_size({"width": 718, "height": 900})
    tables = page.locator("#calls .scroll, #ledger .scroll").all()
    assert len(tables) == 2
    assert all(one.evaluate("it => it.scrollWidth <= it.clientWidth") for one in tables)


def test_the_statement_is_saved_as_csv(open_page: Open, address: str) -> None:
    page = ready(open_page())
    with page.expect_download() as download:
        page.get_by_role("button", name="Statement CSV").click()
    assert download.value.suggested_filename == "statement-contoso-2026-11.csv"
    saved = download.value.path().read_bytes().decode()
    assert saved == report(address, "statement?month=2026-11&format=csv")["csv"]


def test_a_statement_as_pdf_is_a_link_or_the_reason_why_there_is_none(open_page: Open) -> None:
    page = ready(open_page())
    made = {"location": "https://bucket.example/s.pdf", "expiresAt": "2026-11-20T17:15:00Z"}
    page.route("**/statement?*format=pdf", lambda route: route.fulfill(json=made))
    page.get_by_role("button", name="Statement PDF").click()
    link = page.get_by_role("link", name="Open the statement of 2026-11 (PDF)")
    expect(link).to_be_focused()
    assert link.get_attribute("href") == made["location"]
    page.unroute_all()
    answer_with(400, "invalid", "**/statement?*format=pdf")(page)
    page.get_by_role("button", name="Statement PDF").click()
    expect(page.locator("#problem")).to_have_text("There is no PDF: a reason")
    expect(page.locator(".card").first).to_be_visible()


def test_what_if_shows_what_would_differ(open_page: Open) -> None:
    rows = [{"calls": 3, "recorded": "6", "whatIf": "4.5", "difference": "-1.5"}]
    totals = {"poolMinutes": 60, "notEntitled": 2, "unrated": 0}
    found: dict[str, Any] = {"month": "2026-11", "currency": "USD", "calls": 9, "changedCalls": 3}
    found |= {"recorded": {**totals, "charge": "6"}, "whatIf": {**totals, "charge": "4.5"}}
    found |= {"difference": "-1.5", "byCountry": [{"country": "DE", **rows[0]}]}
    found["byOrganizer"] = [{"organizerId": "adele", **rows[0]}]
    found |= {"usersWithoutCalls": ["joni"], "unknownUsers": []}
    found["pool"] = {"recorded": {"minutes": 60, "used": 60}, "whatIf": {"minutes": 90, "used": 75}}
    queries: list[str] = []

    def answer(route: Route) -> None:
        queries.append(route.request.url.partition("?")[2])
        route.fulfill(json=found)

    def prepare(page: Page) -> None:
        changed("**/console.json", lambda shown: shown["reports"].append("what-if"))(page)
        page.route("**/what-if?*", answer)

    page = ready(open_page(prepare))
    section = page.locator("#what-if")
    section.get_by_label("Pool of minutes").fill("90")
    section.get_by_label("Licenses of users").fill("subscription:adele , none:grady")
    section.get_by_role("button", name="Compute").click()
    expect(section).to_contain_text("would cost 1.50\u00a0USD less: 4.50\u00a0USD instead of 6.00")
    expect(section).to_contain_text("No call that counts in this month")
    expect(section).not_to_contain_text("Nothing is recorded")
    assert queries == ["month=2026-11&pool=90&licenses=subscription%3Aadele%2Cnone%3Agrady"]
    cells = section.locator("tbody").first.locator("td").all_text_contents()
    assert cells == ["adele", "3", "6.00", "4.50", "\u22121.50"]
    section.screenshot(path=PICTURES / "what-if.png")
    page.unroute("**/what-if?*")
    answer_with(400, "invalid", "**/what-if?*")(page)
    section.get_by_role("button", name="Compute").click()
    expect(section.locator(".bad")).to_have_text("a reason")
