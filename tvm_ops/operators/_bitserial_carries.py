"""A chain of a few-bit tile: bits are added before they are counted, and only carries are counted.

The bits e_i = x_i ^ w_i of a pixel and a channel go through full adders. With s the sum so far
modulo 2 and b, c the next two bits, s + b + c = s' + 2 carry, where s' = s ^ b ^ c, and the carry
is their majority: s where s and b are the same, else c, which is s' negated. Sums modulo 2 are the
xor of all x so far and all w so far. So with running xors in place of x (``_bitserial_panels``) and
of w (``chain_weights``) q = s ^ b and s' take one `eor` each, and b and c are never needed:

    eor q, x', w'     eor s', x", w"     bsl q, s', s     cnt q, q     add sum, sum, q

Five instructions for two words instead of six. `bsl` wants s' negated, which costs nothing, as w"
is stored negated. The next pair then has s negated and wants s' as it is; its carry comes negated,
and is subtracted. So m pairs of words give 2 sum + s = T - 8 m in each byte, a signed number. What
becomes of these sums and of s, once it is counted, is in ``_bitserial_chain_end``.

On the Cortex-A72 `bsl` of 128 bits is two micro-operations (LLVM's model of the A57 has the same
from Arm's guide), so that nothing is gained there; on the A76 it is one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from tvm_ops.operators._bitserial_chunk import STEP, VECTORS, WORD
from tvm_ops.operators._layout import Array

SIZE = 2 * WORD  # of a word of x, there twice


@dataclass(frozen=True)
class Chain:
    """``words`` of K of ``pixels`` x 8 channels; x lies [word, pixel], each word twice."""

    pixels: int
    words: int

    @property
    def pairs(self) -> int:
        return self.words // 2

    @property
    def size(self) -> int:
        """Bytes of x."""
        return self.words * self.pixels * SIZE

    @property
    def is_merged(self) -> bool:
        """Whether two neighbouring bytes of carries can be added and stay a byte."""
        most = 8 * -(-self.pairs // 2)  # those that are not negated
        return 2 * most < 128

    @property
    def vectors(self) -> int:
        """Of a pixel's sums of 32 bits at the end: of a channel one, or two that are neighbours."""
        return VECTORS // 2 if self.is_merged else VECTORS

    @property
    def is_rest_negated(self) -> bool:
        """Whether the last sums modulo 2 are negated."""
        return self.pairs % 2 == 1

    @property
    def bias(self) -> int:
        """T less this is what comes of a channel, which has 8 bytes."""
        return 64 * self.pairs


def chain_weights(weights: Array) -> Array:
    """Running xors along axis -2 of [.., word, channel], negated where the chain wants them so."""
    words = weights.shape[-2]
    found = np.bitwise_xor.accumulate(weights, axis=-2)
    negated = np.arange(words) % 4 == 1 + words % 2
    return np.where(negated[:, None], ~found, found)


@dataclass
class _Product:
    """One pixel, one vector of weights, one pair; ``q`` becomes the carry, then its count."""

    pair: int
    place: int
    q: int
    state: int


class Carries:
    """Writes a chain. Out of order, what counts is that instructions need not wait for long.

    So each stands a turn of five behind the one it needs, and a register is loaded again right
    after its last use.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        places = range(chain.pixels * VECTORS)
        free = deque(range(32))
        self.sums = [free.popleft() for _ in places]
        self._x = [[free.popleft(), free.popleft()] for _ in range(chain.pixels)]
        self._w = [[free.popleft(), free.popleft()] for _ in range(VECTORS)]
        self._free = free
        self.states: dict[int, int] = {}
        self.lines: list[str] = []
        self._write()

    @property
    def outputs(self) -> tuple[list[int], list[int]]:
        """Registers of carries and of last sums modulo 2 at the end, by pixel and channels."""
        return self.sums, [self.states[place] for place in range(len(self.sums))]

    def _write(self) -> None:
        c, begins = self.chain, self.chain.words % 2
        for i in range(begins, 2):
            self._load(i, i - begins)
        if begins:
            self._begin()
        turns = [(j, p, v) for j in range(c.pairs) for p in range(c.pixels) for v in range(VECTORS)]
        products: list[_Product] = []
        for t in range(len(turns) + 3):
            for stage, behind in ((self._add, 3), (self._count, 2), (self._select, 1)):
                if 0 <= t - behind < len(turns):
                    stage(products[t - behind])
            if t < len(turns):
                products.append(self._xor(*turns[t]))

    def _begin(self) -> None:
        """The first of an odd number of words is the first sum modulo 2."""
        c = self.chain
        for p in range(c.pixels):
            for v in range(VECTORS):
                self.states[p * VECTORS + v] = self._free.popleft()
                self._eor(self.states[p * VECTORS + v], self._x[p][1], self._w[v][1])
        self._load(0, 1)
        self._load(1, 2)

    def _xor(self, j: int, p: int, v: int) -> _Product:
        c = self.chain
        product = _Product(j, p * VECTORS + v, self._free.popleft(), self._free.popleft())
        for i, register in enumerate((product.q, product.state)):
            self._eor(register, self._x[p][i], self._w[v][i])
            word = 2 * (j + 1) + c.words % 2 + i
            if j + 1 < c.pairs and v == VECTORS - 1:
                self._load_x(p, i, word)
            if j + 1 < c.pairs and p == c.pixels - 1:
                self._load_w(v, i, word)
        return product

    def _select(self, product: _Product) -> None:
        """The carry in place of q, of the state before and the new one."""
        q, new, old = product.q, product.state, self.states.get(product.place)
        if old is None:  # the sum so far is 0
            self._line(f"and v{q}.16b, v{q}.16b, v{new}.16b")
        else:
            self._line(f"bsl v{q}.16b, v{new}.16b, v{old}.16b")
            self._free.append(old)
        self.states[product.place] = new

    def _count(self, product: _Product) -> None:
        to = product.q if product.pair else self.sums[product.place]
        self._line(f"cnt v{to}.16b, v{product.q}.16b")
        if not product.pair:
            self._free.append(product.q)

    def _add(self, product: _Product) -> None:
        if product.pair:
            name, a = ("sub" if product.pair % 2 else "add"), self.sums[product.place]
            self._line(f"{name} v{a}.16b, v{a}.16b, v{product.q}.16b")
            self._free.append(product.q)

    def _load(self, i: int, word: int) -> None:
        for p in range(self.chain.pixels):
            self._load_x(p, i, word)
        for v in range(VECTORS):
            self._load_w(v, i, word)

    def _load_x(self, p: int, i: int, word: int) -> None:
        offset = (word * self.chain.pixels + p) * SIZE
        self._line(f"ldr q{self._x[p][i]}, [$x, #{offset}]")

    def _load_w(self, v: int, i: int, word: int) -> None:
        self._line(f"ldr q{self._w[v][i]}, [$weights, #{word * STEP + v * SIZE}]")

    def _eor(self, to: int, a: int, b: int) -> None:
        self._line(f"eor v{to}.16b, v{a}.16b, v{b}.16b")

    def _line(self, text: str) -> None:
        self.lines.append(text)
