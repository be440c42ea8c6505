"""An adaptive filter that learns the way from the loudspeaker to the microphone, and takes it out.

A partitioned-block Kalman filter in the frequency domain (Enzner and Vary, Signal Processing 86, 2006; in
partitions: Kuech, Mabande and Enzner, ICASSP 2014). It has no double-talk detector: each bin knows how sure
it is of itself, and what the far side cannot explain makes its steps small. It is linear, so the near voice
passes untouched; what it leaves of the echo is for who comes after it.

Two sound cards have two clocks, and the way then seems to grow or shrink all the time, by a few millionths,
which is more than steps from one block to the next could follow at high frequencies. But the steps at low
ones all turn the same way; from that the drift is found, and what is known is turned along with it.
"""

from __future__ import annotations

import numpy as np

from appliance.media.transforms import Bins, transforms
from appliance.media.wideband import WIDE_SAMPLES, Matrix, Samples

BLOCK = WIDE_SAMPLES
PARTITIONS = 20
"""Of 20 ms: an echo may come 400 ms late, reverberation included."""
SETTLING = 4
"""Every fourth partition is made a filter of one block again, in turn: often enough, and cheaper. Half as
often is not: without a delay, in a dry room, it then adds what it should take."""
KEEPS = np.float32(0.999 ** (2 * SETTLING))
"""How much of what is known is still true when its turn comes again: how fast a room may change."""
SMOOTHING = np.float32(0.8)
UNKNOWN = 0.3
"""The variance of what nothing is known of: the square of a gain, in the first 20 ms."""
UNKNOWN_FALLS = 6.0
"""It falls by e to this power over the partitions, as sound in a room does."""
SURE = np.float32(1e-9)
STILL = np.float32(100)
"""A power (of a bin, in the scale of 16 bit) that is nothing: keeps from dividing by zero."""
LOST_BLOCKS = 15
"""In so many it has added more than it took, and it begins anew: a voice beside it does no such thing."""
ADDS = 1.2
HEARD = 500.0 * BLOCK
"""An energy of -60 dBFS in a block: below that, noise is all that is compared."""
SPEAKS = 10 * HEARD
"""And of a far side that says something."""
USEFUL = 10.0
"""The filter's work is used from when it has taken 10 dB out, in the mean of some 100 ms."""
USELESS_BLOCKS = 150
"""And no more once it has not for three seconds of far voice. While somebody here speaks it seems to take
nothing, but nobody speaks for three seconds without a pause. After as long again it begins anew: it may be
all too sure that there is no echo, since the microphone had been covered."""


FOLLOWING = 4
"""The drift is looked for in every fourth block: it changes slowly."""
DRIFTS = 0.2
"""How much of the drift that is seen in one step is believed: it is found within two seconds or three."""
MOST_DRIFT = 500e-6 * BLOCK
"""In samples per block; no clock is so wrong."""
FOLLOWED_PPM = 5.0
"""Less than that is followed by the steps themselves."""
DRIFTING_PPM = 10.0
"""More than what noise makes of no drift at all."""
TURNS: Samples = (np.pi * np.arange(BLOCK + 1) / BLOCK).astype(np.float32)
"""By what angle each bin turns for a sample."""
TELLING = slice(6, 200)
"""The bins that tell of a drift: 150 Hz to 5 kHz, where there is a voice."""
RAMP: Samples = np.linspace(0, 1, BLOCK, dtype=np.float32)

_there, _back = transforms(2 * BLOCK)

SIGNS: Samples = np.tile(np.array([1, -1], np.float32), BLOCK + 1)
"""A complex number is two real ones beside one another, of which `conjugate` turns the second. A factor
that has the same sign does that in passing; and real numbers times real ones is what numpy does best: what
mixes both kinds it converts first, piece by piece."""


class AdaptiveFilter:
    """At 16 kHz, a block of 320 samples at a time; without delay."""

    def __init__(self) -> None:
        """Knows nothing of the room."""
        self._past: Bins = np.zeros((2 * PARTITIONS, BLOCK + 1), np.complex64)
        """What the far side said, a row for each block: the newest is at `_row`, older ones behind it."""
        self._past_powers = np.zeros((2 * PARTITIONS, 2 * (BLOCK + 1)), np.float32)
        """Twice each, as all that is real here."""
        self._row = PARTITIONS
        self._product: Bins = np.zeros((PARTITIONS, BLOCK + 1), np.complex64)
        self._product_pairs = self._product.view(np.float32)
        self._doubts = np.zeros((PARTITIONS, 2 * (BLOCK + 1)), np.float32)
        self._told: Bins = np.zeros(BLOCK + 1, np.complex64)
        self._squares: Samples = np.zeros(2 * (BLOCK + 1), np.float32)
        self._echo: Samples = np.zeros(2 * BLOCK, np.float32)
        rows = -(-PARTITIONS // SETTLING)
        self._responses: Matrix = np.zeros((rows, 2 * BLOCK), np.float32)
        self._block: Samples = np.zeros(2 * BLOCK, np.float32)
        self._error: Samples = np.zeros(2 * BLOCK, np.float32)
        self._drift = 0.0
        self._rotation: Bins = np.ones(BLOCK + 1, np.complex64)
        self._silent = PARTITIONS
        self._turn = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew with the room; the clocks are what they were."""
        shape = PARTITIONS, BLOCK + 1
        falling = UNKNOWN * np.exp(-UNKNOWN_FALLS * np.arange(PARTITIONS) / PARTITIONS)
        self._weights: Bins = np.zeros(shape, np.complex64)
        self._weight_pairs = self._weights.view(np.float32)
        self._variance = (falling[:, None] * SIGNS).astype(np.float32)
        """With the signs of `SIGNS`."""
        self._noise = np.full(BLOCK + 1, 1e4, np.float32)
        self._lost = 0
        self._came = self._rest = 0.0
        self._trusted = 0

    def moved(self, blocks: int) -> None:
        """The far side's time has leapt ahead by `blocks`: its echo comes that much later than before."""
        blocks = min(blocks, PARTITIONS)
        past, powers = self._past[self._latest], self._past_powers[self._latest]
        for line in (self._weights, self._variance, past, powers):
            line[blocks:] = line[: PARTITIONS - blocks].copy()
        for line in (self._weights, past, powers):
            line[:blocks] = 0

    def __call__(self, far: Samples, near: Samples) -> Samples:
        """What `near` has beside the echo of `far` and of what came before it."""
        self._silent = 0 if far.any() else self._silent + 1
        if self._silent > PARTITIONS:
            return near
        self._remember(far)
        spectra = self._past[self._latest]
        np.multiply(spectra, self._weights, out=self._product)
        _back(np.add.reduce(self._product_pairs, axis=0).view(np.complex64), self._echo)
        error = near - self._echo[BLOCK:]
        self._learn(spectra, error)
        before = self.useful
        self._watch(far, near, error)
        if before == self.useful:
            return error if before else near
        ramp = RAMP if self.useful else RAMP[::-1]
        return near + ramp * (error - near)

    @property
    def drift_ppm(self) -> float:
        """By how much the microphone's clock seems to be faster than the loudspeaker's."""
        return self._drift / BLOCK * 1e6

    @property
    def useful(self) -> bool:
        """It takes the echo out, and what is given back is its work; else `near` as it came."""
        return self._trusted > 0

    @property
    def _latest(self) -> slice:
        """The rows that tell of the latest blocks, the newest first."""
        return slice(self._row, self._row + PARTITIONS)

    def _remember(self, far: Samples) -> None:
        self._block[:BLOCK] = self._block[BLOCK:]
        self._block[BLOCK:] = far
        if self._row == 0:  # they are moved only once in so many blocks
            for line in (self._past, self._past_powers):
                line[PARTITIONS + 1 :] = line[: PARTITIONS - 1]
            self._row = PARTITIONS + 1
        self._row -= 1
        newest = _there(self._block, self._past[self._row])
        powers = self._past_powers[self._row]
        np.add(*self._squared(newest), out=powers[::2])
        powers[1::2] = powers[::2]

    def _squared(self, bins: Bins) -> tuple[Samples, Samples]:
        """Of the one part of each, and of the other, until this is called again."""
        pairs = bins.view(np.float32)
        squares = np.multiply(pairs, pairs, out=self._squares)
        return squares[::2], squares[1::2]

    def _learn(self, spectra: Bins, error: Samples) -> None:
        self._error[BLOCK:] = error
        told = _there(self._error, self._told)
        doubts = np.multiply(self._past_powers[self._latest], self._variance, out=self._doubts)
        power = np.add(*self._squared(told))
        power *= 1 - SMOOTHING
        self._noise *= SMOOTHING
        self._noise += power
        sure = np.float32(0.5) * np.add.reduce(doubts, axis=0)[::2]
        sure += self._noise
        sure += STILL
        np.divide(np.float32(1), sure, out=sure)
        surely = np.repeat(sure, 2)
        surely *= SIGNS
        told.view(np.float32)[:] *= surely
        gain = np.multiply(spectra, told, out=self._product)  # conjugated with what follows
        self._product_pairs *= self._variance
        self._follow(gain)
        self._weight_pairs += self._product_pairs
        surely *= np.float32(-0.5)
        doubts *= surely
        doubts += np.float32(1)
        self._variance *= doubts
        self._settle(slice(self._turn, None, SETTLING))
        self._turn = (self._turn + 1) % SETTLING

    def _follow(self, gain: Bins) -> None:
        """Find the drift, by how `gain` is about to turn the weights, and turn them by all of it."""
        weights = self._weights
        if self._turn % FOLLOWING == 0:
            known, about = weights[:, TELLING], gain[:, TELLING]
            turned = np.add.reduce(known.real * about.imag - known.imag * about.real, axis=0)
            power = np.add.reduce(known.real**2 + known.imag**2, axis=0)
            seen = float(TURNS[TELLING] @ turned)
            seen /= float(TURNS[TELLING] ** 2 @ power) + float(SURE)
            self._drift = min(max(self._drift - DRIFTS * seen, -MOST_DRIFT), MOST_DRIFT)
            self._rotation = np.exp(-1j * self._drift * TURNS).astype(np.complex64)
        if abs(self.drift_ppm) > FOLLOWED_PPM:
            weights *= self._rotation

    def _settle(self, some: slice) -> None:
        """Make these partitions filters of one block, and less sure, since the room may have changed."""
        responses = _back(self._weights[some], self._responses)
        responses[:, BLOCK:] = 0
        _there(responses, self._weights[some])
        changing = _powers(self._weight_pairs[some])
        if abs(self.drift_ppm) > DRIFTING_PPM:  # then it comes in from the partitions beside it
            powers = _powers(self._weight_pairs)
            beside = powers.copy()
            beside[1:] += powers[:-1]
            beside[:-1] += powers[1:]
            changing = beside[some]
        changing *= 1 - KEEPS
        known = self._variance[some]
        known *= SIGNS
        known *= KEEPS
        known += changing
        np.maximum(known, SURE, out=known)
        known *= SIGNS

    def _watch(self, far: Samples, near: Samples, error: Samples) -> None:
        """Whether it helps; and one that makes it worse for long has lost its way: something was moved."""
        came, rest = float(near @ near), float(error @ error)
        self._lost = self._lost + 1 if rest > ADDS * came + HEARD else max(0, self._lost - 1)
        if self._lost >= LOST_BLOCKS:
            self.forget()
            return
        smoothing = float(SMOOTHING)
        self._came = smoothing * self._came + (1 - smoothing) * came
        self._rest = smoothing * self._rest + (1 - smoothing) * rest
        if self._came > USEFUL * (self._rest + BLOCK):
            self._trusted = USELESS_BLOCKS
        elif float(far @ far) > SPEAKS:
            self._trusted -= 1
            if self._trusted <= -USELESS_BLOCKS:
                self.forget()


def _powers(pairs: Matrix) -> Matrix:
    """Of complex numbers in rows, seen as pairs: twice each."""
    squares = pairs * pairs
    squares[:, ::2] += squares[:, 1::2]
    squares[:, 1::2] = squares[:, ::2]
    return squares
