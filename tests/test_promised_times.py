"""What is set, against what is promised of it: how soon losses are noticed, and what is waited for.

How long it really takes is measured by `make bench BENCH=outages`: too slow and too exact for every run.
"""

from __future__ import annotations

import dataclasses

from appliance.calls.outage import RECONNECT_S
from appliance.calls.peers import SETUP_S
from appliance.media import gathering, leg, peer, studio
from appliance.signaling.backoff import IMPATIENT_CAP_S, PATIENT_AFTER_S, reconnect_delay_s
from appliance.signaling.connection import USER_TIMEOUT_MS
from appliance.signaling.plan import Plan


def test_a_lost_broker_is_noticed_within_six_seconds_while_sending_and_twelve_when_idle() -> None:
    keepalive_s = next(
        field.default for field in dataclasses.fields(Plan) if field.name == "keepalive_s"
    )
    assert isinstance(keepalive_s, int)
    # paho asks after one such time of silence, and gives up after another without an answer
    assert 2 * keepalive_s <= 12 - 1
    assert USER_TIMEOUT_MS / 1000 <= 6 - 1
    assert keepalive_s <= 6 - 1


def test_it_is_back_within_five_seconds_of_the_brokers_return() -> None:
    attempt_s = 2
    assert IMPATIENT_CAP_S + attempt_s <= 5
    longest_s = max(reconnect_delay_s(attempt, 299.0, random=lambda: 1.0) for attempt in range(40))
    assert longest_s <= IMPATIENT_CAP_S
    assert PATIENT_AFTER_S >= 300


def test_a_connection_is_lost_within_two_and_a_half_seconds_and_given_up_after_thirty() -> None:
    assert leg.LIVENESS_LIMIT_S <= 2.5 - 0.5
    assert RECONNECT_S == 30


def test_a_dead_server_of_stun_or_turn_costs_a_call_fifty_milliseconds_at_most() -> None:
    assert gathering.PATIENCE_S <= 0.05 - 0.02


def test_a_connection_has_ten_seconds_to_come_about() -> None:
    assert SETUP_S == peer.SETUP_LIMIT_S == studio.SETUP_LIMIT_S == 10
