"""Contacts that are revoked while calls ring or run, and guests whom only the host's list names."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.effects import ClosePeer, FollowList, OpenPeer, Send, StopSound
from appliance.calls.inputs import ContactsChanged, MessageReceived
from appliance.calls.policy import ContactPolicy, Policy
from appliance.commands import Invite, StartSession
from appliance.events import CallEnded, Error, ParticipantLeft, SessionLeft
from appliance.messages import Accept, Address, Cancel, Chat, End, Join, Reject
from appliance.model import (
    CalleeState,
    CallEndReason,
    CallState,
    ParticipantLeftReason,
    Right,
)
from tests.parts.household import (
    ALICE,
    BOB,
    CAROL,
    DOOR,
    GATE,
    HOME,
    PATIENT,
    guest_in,
    joins,
    list_of,
    session_of,
)
from tests.parts.play import OFFER, Play, command_of

GATES_TOKEN = f"gate.{'5' * 32}.{'5' * 32}.front-door.99999.{'a' * 64}"
STRANGER = Address("stranger", "phone")
TABLET = Address("alice", "tablet")


def said(play: Play, to: Address) -> list[str]:
    return [send.message.TYPE for send in play.done(Send) if send.to == to]


# -------------------- revoked


def test_who_calls_and_is_revoked_rings_no_longer() -> None:
    play = Play()
    play.is_called(ALICE)
    play.is_revoked("bob")
    assert play.state.active is not None
    play.is_revoked("alice")
    assert play.event(CallEnded).reason is CallEndReason.UNTRUSTED
    assert play.done(StopSound)
    play.is_called(ALICE, "call-2")
    assert play.event(Error).code == "unknown_sender"
    assert not play.state.calls


def test_who_is_rung_and_revoked_is_rung_no_longer_and_the_others_are() -> None:
    play = Play(online={"alice": ["phone"], "bob": ["phone"]})
    play.orders(command_of("initiate_call"))
    play.is_revoked("alice")
    assert said(play, ALICE) == ["cancel"]
    assert said(play, BOB) == []
    invitee = play.call.invitee("alice")
    assert invitee is not None
    assert invitee.state is CalleeState.CANCELLED
    play.hears(ALICE, Accept(offer=OFFER))
    assert play.event(Error).code == "not_invited"
    assert not play.call.members
    joins(play, BOB)
    assert [one.uid for one in play.call.participants] == ["bob"]


def test_where_nobody_is_left_to_take_it_the_call_ends() -> None:
    play = Play(online={"alice": ["phone"]})
    play.orders(command_of("initiate_call", receiver="alice"))
    play.is_revoked("alice")
    assert play.event(CallEnded).reason is CallEndReason.UNTRUSTED


def test_of_two_phones_only_the_lost_one_is_rung_no_longer() -> None:
    play = Play(online={"alice": ["phone", "tablet"]})
    play.orders(command_of("initiate_call", receiver="alice"))
    play.is_revoked(withdrawn=(ALICE,))
    assert said(play, ALICE) == ["cancel"]
    assert said(play, TABLET) == []
    joins(play, TABLET)
    assert play.call.state is CallState.CONNECTED


def test_a_call_of_two_ends_with_the_key_by_which_it_was_believed() -> None:
    play = session_of(ALICE)
    peer = play.peer(ALICE)
    play.is_revoked(withdrawn=(TABLET,))
    assert play.call.state is CallState.CONNECTED
    play.is_revoked(withdrawn=(ALICE,))
    assert said(play, ALICE) == ["end"]
    assert ClosePeer(peer) in play.outputs
    assert play.event(CallEnded).reason is CallEndReason.UNTRUSTED
    assert play.event(SessionLeft).reason is CallEndReason.UNTRUSTED


def test_a_withdrawal_of_all_of_a_uids_endpoints_is_about_each() -> None:
    play = session_of(ALICE)
    play.is_revoked(withdrawn=(Address("alice"),))
    assert play.event(CallEnded).reason is CallEndReason.UNTRUSTED


def test_a_host_puts_out_who_is_revoked_and_the_session_goes_on() -> None:
    play = session_of(ALICE, BOB)
    play.is_revoked("bob")
    end = next(one.message for one in play.done(Send) if one.to == BOB)
    assert end == End("kicked_out", kicked_by="front-door")
    assert play.event(ParticipantLeft).reason is ParticipantLeftReason.KICKED_OUT
    assert [one.uid for one in play.call.participants] == ["alice"]
    play.hears(BOB, Chat("still here"))
    assert play.event(Error).code == "not_in_call"


def test_who_is_rung_into_a_session_and_revoked_does_not_come() -> None:
    play = session_of(ALICE)
    play.orders(Invite(receiver="bob"))
    play.is_revoked("bob")
    assert said(play, BOB) == ["cancel"]
    play.hears(BOB, Accept(offer=OFFER))
    assert [one.uid for one in play.call.participants] == ["alice"]


def test_a_guest_leaves_a_session_with_who_was_revoked() -> None:
    play = guest_in(ALICE, DOOR)
    assert play.done(OpenPeer), "it connects with alice, who stands before it"
    play.is_revoked("alice")
    assert play.event(CallEnded).reason is CallEndReason.UNTRUSTED
    assert said(play, GATE) == ["end"]


def test_a_host_that_is_revoked_has_no_session_with_this_device() -> None:
    play = guest_in()
    play.is_revoked("gate")
    assert play.event(CallEnded).reason is CallEndReason.UNTRUSTED


def test_who_was_paired_meanwhile_may_call_at_once() -> None:
    play = Play()
    play.is_called(STRANGER)
    assert play.event(Error).code == "unknown_sender"
    known = ContactPolicy("Somebody", frozenset({Right.CALL}))
    play.happens(ContactsChanged({**play.policy.contacts, "stranger": known}))
    play.is_called(STRANGER)
    assert play.call.state is CallState.INCOMING


def test_a_right_that_was_taken_away_counts_no_more() -> None:
    play = Play()
    contacts = {**play.policy.contacts, "alice": ContactPolicy("Alice", frozenset())}
    play.happens(ContactsChanged(contacts))
    play.is_called(ALICE)
    assert play.event(Error).code == "not_allowed"


# -------------------- whom only the host knows


def hears_of(play: Play, sender: Address, *vouching: Address) -> None:
    message = MessageReceived(
        sender, play.call.call_id, Join(offer=OFFER), vouched_by=frozenset(vouching)
    )
    play.happens(message)


def test_a_guest_who_is_no_contact_counts_as_the_host_vouches_for_it() -> None:
    play = guest_in()
    play.hears(GATE, list_of(GATE, DOOR, STRANGER))
    assert play.done(FollowList) == [FollowList(play.call.call_id, GATE)]
    hears_of(play, STRANGER, ALICE)
    assert play.event(Error).code == "unknown_sender"
    assert play.call.member(STRANGER) is None
    hears_of(play, STRANGER)
    assert play.call.member(STRANGER) is None
    hears_of(play, STRANGER, ALICE, GATE)
    assert play.call.member(STRANGER) is not None


def may_only(*rights: Right) -> Policy:
    gate = replace(PATIENT.contacts["gate"], may=frozenset(rights))
    return replace(PATIENT, contacts={**PATIENT.contacts, "gate": gate})


def test_a_host_without_rights_is_in_its_own_session() -> None:
    play = Play(may_only(), online=HOME)
    play.orders(StartSession(token=GATES_TOKEN))
    play.hears(GATE, list_of(GATE, ALICE, DOOR))
    assert [one.peer.uid for one in play.call.members] == ["gate", "alice"]
    assert play.find(Error) == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_host_whose_rights_are_taken_away_is_in_it_as_before(version: int) -> None:
    play = guest_in(GATE, DOOR, play=Play(may_only(Right.CALL), online=HOME))
    play.happens(ContactsChanged(may_only(Right.VIEW).contacts))
    play.hears(GATE, list_of(GATE, DOOR, version=version))
    assert play.find(ParticipantLeft) == []
    assert [one.peer.uid for one in play.call.members] == ["gate"]


def test_a_list_of_contacts_alone_needs_nobodys_word() -> None:
    play = guest_in()
    play.hears(GATE, list_of(GATE, DOOR, BOB))
    assert play.done(FollowList) == []


def test_of_who_is_not_the_host_no_list_is_followed() -> None:
    play = session_of(ALICE)
    play.hears(ALICE, list_of(ALICE, DOOR, STRANGER))
    assert play.event(Error).code == "not_the_host"
    assert play.done(FollowList) == []
    guest = guest_in(ALICE, DOOR)
    guest.hears(ALICE, list_of(ALICE, DOOR, STRANGER, version=9))
    assert guest.event(Error).code == "not_the_host"
    assert guest.done(FollowList) == []


# -------------------- what is left as it is


def test_nobody_who_is_trusted_is_told_anything() -> None:
    play = session_of(ALICE, BOB)
    play.is_revoked("carol", withdrawn=(CAROL,))
    assert play.outputs == []
    idle = Play()
    idle.is_revoked("alice")
    assert idle.outputs == []


def test_a_revoked_caller_is_answered_nothing() -> None:
    play = Play()
    play.is_called(ALICE)
    play.is_revoked("alice")
    assert not [one for one in play.done(Send) if isinstance(one.message, Reject | Cancel)]


def test_the_policy_of_before_is_asked_who_was_a_contact() -> None:
    play = Play(replace(Play().policy, contacts={}))
    play.is_revoked()
    assert play.policy.contacts == {}
