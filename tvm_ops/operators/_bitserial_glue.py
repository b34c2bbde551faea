"""The end of a few-bit tile in LLVM IR: from sums T of 8 channels to packed bits or sums y."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BITS = ", ".join(f"i8 {1 << i}" for i in range(8))


@dataclass(frozen=True)
class Glue:
    """``out_bits`` planes of bits, or (0) sums y of ``y_bits``; what they are made of.

    Bits: the code is how many of 2^out_bits - 1 falling ``bounds`` [level, 8] have T < bound, its
    planes xor'ed with ``flips``. Sums: y = ``offsets`` [8] - ``factor`` T. ``corrected``:
    T is less by what ``corrections`` has at the pixel's class. ``y_step``: bytes of y from a pixel
    to the next; ``plane_step``: from a plane to the next. ``lanes``: of 8 channels, how many y has;
    ``zeros``: bytes after them that are set to zero in each plane.
    """

    isa: str
    out_bits: int
    sum_bits: int
    y_step: int
    plane_step: int = 0
    y_bits: int = 0
    factor: int = 1
    corrected: bool = False
    lanes: int = 8
    zeros: int = 0

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the pointers."""
        own = ("bounds", "flips") if self.out_bits else ("offsets",)
        return (*own, *(("corrections",) if self.corrected else ()))

    @property
    def declarations(self) -> list[str]:
        if not self.out_bits or self.isa == "x86_64":
            return []
        kind = self._bytes
        return [f"declare {kind} @{self._pairwise}({kind}, {kind})"]

    @property
    def _pairwise(self) -> str:
        own = {"aarch64": "llvm.aarch64.neon.addp.v16i8", "armv7": "llvm.arm.neon.vpadd.v8i8"}
        return own[self.isa]

    @property
    def _bytes(self) -> str:
        return "<16 x i8>" if self.isa == "aarch64" else "<8 x i8>"

    @property
    def _sums(self) -> str:
        return f"<8 x i{self.sum_bits}>"

    def finish(self, sums: Sequence[str]) -> Iterator[str]:
        """From the pixels' sums."""
        yield "%first = getelementptr i8, ptr %y, i32 %byte"
        if self.corrected:
            sums = list(sums)
            for p, value in enumerate(sums):
                yield f"%cat{p} = getelementptr i8, ptr %corrections, i32 %class{p}"
                yield f"%cvalue{p} = load {self._sums}, ptr %cat{p}, align {self.sum_bits // 8}"
                yield f"%corrected{p} = sub {self._sums} {value}, %cvalue{p}"
                sums[p] = f"%corrected{p}"
        yield from self._store_bits(sums) if self.out_bits else self._store_sums(sums)

    def _store_sums(self, sums: Sequence[str]) -> Iterator[str]:
        kind, size = f"<8 x i{self.y_bits}>", self.y_bits // 8
        yield f"%offset = load {kind}, ptr %offsets, align {size}"
        for p, value in enumerate(sums):
            if self.y_bits != self.sum_bits:
                cast = "zext" if self.y_bits > self.sum_bits else "trunc"
                yield f"%cast{p} = {cast} {self._sums} {value} to {kind}"
                value = f"%cast{p}"
            if self.factor == 2:
                yield f"%twice{p} = add {kind} {value}, {value}"
                value = f"%twice{p}"
            yield f"%y{p} = sub {kind} %offset, {value}"
            yield f"%to{p} = getelementptr i8, ptr %first, i32 {p * self.y_step}"
            if self.lanes == 8:
                yield f"store {kind} %y{p}, ptr %to{p}, align {size}"
                continue
            for lane in range(self.lanes):
                yield f"%lane{p}.{lane} = extractelement {kind} %y{p}, i32 {lane}"
                yield f"%to{p}.{lane} = getelementptr i8, ptr %to{p}, i32 {lane * size}"
                yield f"store i{self.y_bits} %lane{p}.{lane}, ptr %to{p}.{lane}"

    def _store_bits(self, sums: Sequence[str]) -> Iterator[str]:
        levels = 2**self.out_bits - 1
        for level in range(levels):
            yield from self._level_bytes(level, sums)
        bytes_of = self._one_by_one if self.isa == "x86_64" else self._in_vectors
        yield from bytes_of(len(sums))
        for p in range(len(sums)):
            for plane in range(self.out_bits):
                at = p * self.y_step + plane * self.plane_step
                for i in range(self.zeros + 1):
                    to = f"%to{p}.{plane}.{i}"
                    yield f"{to} = getelementptr i8, ptr %first, i32 {at + i}"
                    value = f"%bits{p}.{plane}" if i == 0 else "0"
                    yield f"store i8 {value}, ptr {to}"

    def _level_bytes(self, level: int, sums: Sequence[str]) -> Iterator[str]:
        """%level.k: vectors of the pixels' bytes in turn; on x86 %level.p: each one's."""
        kind = self._sums
        yield f"%bat{level} = getelementptr {kind}, ptr %bounds, i32 {level}"
        yield f"%bound{level} = load {kind}, ptr %bat{level}, align {self.sum_bits // 8}"
        for p, value in enumerate(sums):
            yield f"%m{level}.{p} = icmp ult {kind} {value}, %bound{level}"
        if self.isa == "x86_64":
            for p in range(len(sums)):
                yield f"%l{level}.{p} = bitcast <8 x i1> %m{level}.{p} to i8"
            return
        masks = [f"%m{level}.{p}" for p in range(len(sums))]
        vectors = []
        if self.isa == "aarch64":  # two pixels a vector
            order = ", ".join(f"i32 {i}" for i in range(16))
            for k in range(0, len(masks), 2):
                other = masks[k + 1] if k + 1 < len(masks) else masks[k]
                name = f"%pair{level}.{k}"
                both = f"<8 x i1> {masks[k]}, <8 x i1> {other}"
                yield f"{name} = shufflevector {both}, <16 x i32> <{order}>"
                vectors.append((name, "<16 x i1>", f"<{BITS}, {BITS}>"))
        else:
            vectors = [(mask, "<8 x i1>", f"<{BITS}>") for mask in masks]
        names = []
        for k, (mask, mask_kind, bits) in enumerate(vectors):
            yield f"%wide{level}.{k} = sext {mask_kind} {mask} to {self._bytes}"
            yield f"%sum{level}.0.{k} = and {self._bytes} %wide{level}.{k}, {bits}"
            names.append(f"%sum{level}.0.{k}")
        for stage in range(1, 4):
            added = []
            for k in range(0, len(names), 2):
                to = f"%sum{level}.{stage}.{k // 2}" if stage < 3 else f"%l{level}.{k // 2}"
                other = names[k + 1] if k + 1 < len(names) else names[k]
                kind = self._bytes
                yield f"{to} = call {kind} @{self._pairwise}({kind} {names[k]}, {kind} {other})"
                added.append(to)
            names = added

    def _in_vectors(self, pixels: int) -> Iterator[str]:
        """%bits: a vector with a byte of each pixel (at most 8), for each plane."""
        kind, count = self._bytes, 16 if self.isa == "aarch64" else 8
        yield "%flip = load i8, ptr %flips"
        yield f"%flip0 = insertelement {kind} poison, i8 %flip, i32 0"
        zeros = f"<{count} x i32> zeroinitializer"
        yield f"%flipv = shufflevector {kind} %flip0, {kind} poison, {zeros}"
        for plane in range(self.out_bits):
            terms = [f"%l{level}.0" for level in self._levels(plane)]
            yield from _xor(kind, f"%plane{plane}", [*terms, "%flipv"])
            for p in range(pixels):
                yield f"%bits{p}.{plane} = extractelement {kind} %plane{plane}, i32 {p}"

    def _one_by_one(self, pixels: int) -> Iterator[str]:
        yield "%flip = load i8, ptr %flips"
        for plane in range(self.out_bits):
            for p in range(pixels):
                terms = [f"%l{level}.{p}" for level in self._levels(plane)]
                yield from _xor("i8", f"%bits{p}.{plane}", [*terms, "%flip"])

    def _levels(self, plane: int) -> list[int]:
        """The levels whose bits make a plane: as they fall, xor of every 2^plane-th one."""
        step = 2**plane
        return list(range(step - 1, 2**self.out_bits - 1, step))


def _xor(kind: str, to: str, terms: Sequence[str]) -> Iterator[str]:
    value = terms[0]
    for i, term in enumerate(terms[1:], 1):
        name = to if i == len(terms) - 1 else f"{to}.x{i}"
        yield f"{name} = xor {kind} {value}, {term}"
        value = name
