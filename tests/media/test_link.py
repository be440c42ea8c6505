"""What one report after the other says of the way to a peer."""

from __future__ import annotations

import pytest

from appliance.media.link import CUT, LEAST_KBPS, SURE_KBPS, Link, Report

CEILING = 1500.0


def reports(
    link: Link, count: int, *, start_s: float = 1, sent: float | None = None, **what: float
) -> float:
    """So many alike, one a second; the estimate after them."""
    for number in range(count):
        told = {"fraction_lost": 0.0, "rtt_s": 0.02, "jitter_s": 0.003} | what
        link.take(Report(start_s + number, **told), link.kbps if sent is None else sent)
    return link.kbps


def test_it_begins_with_what_was_configured_and_stays_there_while_all_is_well() -> None:
    assert reports(Link(CEILING, 0), 10) == CEILING


@pytest.mark.parametrize("loss", [0.11, 0.3, 0.6, 0.99])
def test_heavy_loss_alone_cuts_by_as_much_as_is_lost_but_never_to_nothing(loss: float) -> None:
    kbps = reports(Link(CEILING, 0), 1, fraction_lost=loss)
    assert CEILING / 2 <= kbps <= CEILING * CUT


def test_what_a_bad_radio_loses_at_any_rate_leaves_pictures() -> None:
    """A fifth, and now and then half of the few packets of a report, without a queue."""
    link = Link(CEILING, 0)
    for second in range(1, 120):
        odd = {3: 0.5, 5: 0.0}.get(second % 7, 0.2)
        link.take(Report(second, odd, 0.02, 0.003), link.kbps)
    assert SURE_KBPS <= link.kbps < 2 * SURE_KBPS
    assert reports(link, 20, start_s=120, fraction_lost=0.2, rtt_s=0.5) < SURE_KBPS, "a queue"
    assert reports(link, 20, start_s=140, fraction_lost=0.6) < SURE_KBPS, "that is no radio"
    assert reports(link, 40, start_s=160, fraction_lost=0.2) >= SURE_KBPS


def test_a_radio_s_steady_loss_of_a_few_percent_changes_nothing() -> None:
    assert reports(Link(CEILING, 0), 60, fraction_lost=0.05) == CEILING


@pytest.mark.parametrize("remb", [50.0, 16_000.0])
def test_the_receiver_s_estimate_alone_changes_nothing(remb: float) -> None:
    assert reports(Link(CEILING, 0), 60, remb_kbps=remb) == CEILING


def test_a_queue_alone_does_not_cut_and_an_estimate_beside_it_does() -> None:
    link = Link(CEILING, 0)
    reports(link, 3)
    assert reports(link, 3, start_s=4, rtt_s=0.3) == CEILING
    assert reports(link, 1, start_s=7, rtt_s=0.3, remb_kbps=900) == pytest.approx(CEILING * CUT)


@pytest.mark.parametrize(
    "signs",
    [
        {"fraction_lost": 0.03, "jitter_s": 0.15},
        {"fraction_lost": 0.03, "rtt_s": 0.3},
        {"fraction_lost": 0.03, "remb_kbps": 400.0},
        {"rtt_s": 0.3, "jitter_s": 0.15},
    ],
)
def test_two_signs_cut(signs: dict[str, float]) -> None:
    link = Link(CEILING, 0)
    reports(link, 3)
    assert reports(link, 1, start_s=4, **signs) < CEILING


def test_a_cut_is_given_time_to_show() -> None:
    link = Link(CEILING, 0)
    for at_s in (1.0, 1.1, 1.2):
        link.take(Report(at_s, 0.2, 0.3), link.kbps)
    assert link.kbps == pytest.approx(CEILING * CUT)


def test_a_cut_is_one_of_what_was_sent_not_of_what_nobody_has_tried() -> None:
    assert reports(Link(CEILING, 0), 1, sent=400, fraction_lost=0.2) == pytest.approx(400 * CUT)


def test_it_grows_slowly_and_not_on_any_doubt() -> None:
    link = Link(CEILING, 0)
    low = reports(link, 30, fraction_lost=0.5)
    assert low == LEAST_KBPS
    assert reports(link, 10, start_s=31) == pytest.approx(low * 1.08**10, rel=0.01)
    before = link.kbps
    assert reports(link, 10, start_s=41, fraction_lost=0.03) == before
    assert reports(link, 10, start_s=51, remb_kbps=10) == before
    assert reports(link, 100, start_s=61) == CEILING, "never more than was configured"


def test_a_report_after_a_silence_tells_of_the_silence() -> None:
    link = Link(CEILING, 0)
    reports(link, 3)
    assert reports(link, 1, start_s=6, fraction_lost=0.9) == CEILING
    assert reports(link, 1, start_s=7, fraction_lost=0.9) < CEILING, "a second later it does not"


def test_whoever_reports_often_is_silent_sooner() -> None:
    """As Chromium: every 0.2 s, and after an outage one that has not seen the loss yet."""
    link = Link(CEILING, 0)
    for number in range(50):
        link.take(Report(number / 5, 0.0, 0.01), CEILING)
    for at_s, loss in ((10.9, 0.0), (11.1, 0.8), (11.3, 0.5), (11.7, 0.5)):
        link.take(Report(at_s, loss, 0.01), CEILING)
    assert link.kbps == CEILING
    link.take(Report(12.0, 0.5, 0.01), CEILING)
    assert link.kbps < CEILING


def test_a_way_that_has_become_longer_is_no_queue_for_ever() -> None:
    link = Link(CEILING, 0)
    reports(link, 3)
    reports(link, 40, start_s=4, rtt_s=0.3)
    assert reports(link, 5, start_s=44, rtt_s=0.3, fraction_lost=0.03) == CEILING
