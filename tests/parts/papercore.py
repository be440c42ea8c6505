"""A device on paper: the real core, on a network and with connections of a model."""

from __future__ import annotations

from appliance.calls import effects
from appliance.calls.call import LiveCall
from appliance.calls.inputs import (
    Input,
    MessageExpired,
    MessageReceived,
    PeerAnswered,
    PeerOffered,
)
from appliance.calls.policy import Policy
from appliance.calls.roster import everyone
from appliance.calls.turn import Turn
from appliance.commands import Command
from appliance.messages import Address, Message
from appliance.model import Participant
from appliance.signaling.outbox import Parcel
from tests.parts.meshnet import MeshNet
from tests.parts.play import Play


class PaperCore:
    """A device whose effects are performed by the model, in the order of the list."""

    def __init__(self, policy: Policy, net: MeshNet, online: dict[str, list[str]]) -> None:
        self.address = policy.address
        self.net = net
        self.play = Play(policy, online=online)
        self._performed = len(self.play.all)

    @property
    def call(self) -> LiveCall | None:
        return self.play.state.active

    @property
    def listed(self) -> tuple[Participant, ...]:
        """The list as this device has it: its own, or its host's."""
        if self.call is None:
            return ()
        turn = Turn(self.play.policy, self.play.state, self.play.moment())
        return everyone(turn, self.call) if turn.hosts(self.call) else self.call.listed

    def orders(self, command: Command) -> effects.Reply | None:
        """Give a command; its answer, if that is there at once."""
        self.play.orders(command, request=len(self.play.all) + 1)
        [*replies] = self.play.done(effects.Reply)
        self._perform()
        return replies[-1] if replies else None

    def hear(self, sender: Address, call_id: str, message: Message) -> None:
        self._let(MessageReceived(sender, call_id, message))

    def learn(self, report: Input) -> None:
        self._let(report)

    def unheard(self, parcel: Parcel) -> None:
        self._let(MessageExpired(parcel.to, parcel.call_id, parcel.message, True))

    def pass_time(self, seconds: float) -> None:
        self.play.wait(seconds)
        self._perform()

    def _let(self, arrived: Input) -> None:
        self.play.happens(arrived)
        self._perform()

    def _perform(self) -> None:
        while self._performed < len(self.play.all):
            output = self.play.all[self._performed]
            self._performed += 1
            uid = self.address.uid
            match output:
                case effects.Send(to, call_id, message, ttl_s):
                    self.net.send(self.address, to, call_id, message, ttl_s)
                case effects.SettleMessage(to, call_id, kind):
                    self.net.settle(uid, to, call_id, kind)
                case effects.ForgetCall(call_id):
                    self.net.forget(uid, call_id)
                case effects.OpenPeer(peer, _, offer):
                    self.net.open(self.address, peer, offer)
                case effects.AcceptAnswer(peer, answer):
                    self.net.accept(self.address, peer, answer)
                case effects.ClosePeer(peer):
                    self.net.close(self.address, peer)
                case effects.Renegotiate(peer, _, offer):
                    ready = self.net.renegotiate(self.address, peer, offer)
                    assert ready is not None
                    self._let(
                        PeerOffered(peer, ready) if offer is None else PeerAnswered(peer, ready)
                    )
