"""A chunk of a few-bit tile as LLVM IR, for any instruction set that has popcounts of bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tvm_ops.operators._bitserial_chunk import STEP, VECTORS, Chunk

_WIDEN = {
    "aarch64": "llvm.aarch64.neon.uaddlp.v8i16.v16i8",
    "armv7": "llvm.arm.neon.vpaddlu.v8i16.v16i8",
}


class Intrinsics:
    """Text of a chunk; see ``Assembly``."""

    fits = True

    def __init__(self, chunk: Chunk, isa: str) -> None:
        self.chunk, self.isa = chunk, isa

    @property
    def result_kinds(self) -> list[str]:
        return ["<8 x i16>"] * self.chunk.pixels

    @property
    def declarations(self) -> list[str]:
        found = ["declare <16 x i8> @llvm.ctpop.v16i8(<16 x i8>)"]
        if self.isa in _WIDEN:
            found.append(f"declare <8 x i16> @{_WIDEN[self.isa]}(<16 x i8>)")
        return found

    def call(self, result: str, pointers: list[str], weights: str) -> Iterator[str]:
        """IR that computes %``result``, a struct of ``pixels`` x <8 x i16>."""
        c = self.chunk
        sums: dict[tuple[int, int], str] = {}
        for step in range(c.steps):
            yield from self._step(result, step, pointers, weights, sums)
        value = "poison"
        kinds = "{" + ", ".join(self.result_kinds) + "}"
        for p in range(c.pixels):
            name = f"%{result}.r{p}"
            yield from self._reduce(name, [sums[p, v] for v in range(VECTORS)])
            to = f"%{result}" if p + 1 == c.pixels else f"%{result}.i{p}"
            yield f"{to} = insertvalue {kinds} {value}, <8 x i16> {name}, {p}"
            value = to

    def _step(
        self,
        result: str,
        step: int,
        pointers: Sequence[str],
        weights: str,
        sums: dict[tuple[int, int], str],
    ) -> Iterator[str]:
        c, name = self.chunk, f"%{result}.{step}"
        for v in range(VECTORS):
            at = step * STEP + v * 16
            yield f"{name}.wa{v} = getelementptr i8, ptr {weights}, i32 {at}"
            yield f"{name}.w{v} = load <2 x i64>, ptr {name}.wa{v}, align 16"
        for p in range(c.pixels):
            pointer, offset = c.word(step, p)
            yield f"{name}.xa{p} = getelementptr i8, ptr {pointers[pointer]}, i32 {offset}"
            if c.duplicated:
                yield f"{name}.x{p} = load <2 x i64>, ptr {name}.xa{p}, align 16"
            else:
                yield f"{name}.xw{p} = load i64, ptr {name}.xa{p}, align 8"
                one = f"insertelement <2 x i64> poison, i64 {name}.xw{p}, i32 0"
                yield f"{name}.xo{p} = {one}"
                both = f"<2 x i64> {name}.xo{p}, <2 x i64> poison, <2 x i32> zeroinitializer"
                yield f"{name}.x{p} = shufflevector {both}"
            for v in range(VECTORS):
                this = f"{name}.{p}.{v}"
                yield f"{this}e = xor <2 x i64> {name}.x{p}, {name}.w{v}"
                yield f"{this}b = bitcast <2 x i64> {this}e to <16 x i8>"
                yield f"{this}c = call <16 x i8> @llvm.ctpop.v16i8(<16 x i8> {this}b)"
                before = sums.get((p, v))
                if before:
                    yield f"{this}s = add <16 x i8> {before}, {this}c"
                sums[p, v] = f"{this}s" if before else f"{this}c"

    def _reduce(self, name: str, sums: Sequence[str]) -> Iterator[str]:
        """8 x 16 bits of 4 vectors of 16 bytes: neighbours are added three times."""
        for v, value in enumerate(sums):
            yield from self._widen(f"{name}w{v}", value)
        yield from _add_pairs(f"{name}a", f"{name}w0", f"{name}w1")
        yield from _add_pairs(f"{name}b", f"{name}w2", f"{name}w3")
        yield from _add_pairs(name, f"{name}a", f"{name}b")

    def _widen(self, to: str, value: str) -> Iterator[str]:
        if self.isa in _WIDEN:
            yield f"{to} = call <8 x i16> @{_WIDEN[self.isa]}(<16 x i8> {value})"
            return
        for half, start in (("e", 0), ("o", 1)):
            order = ", ".join(f"i32 {i}" for i in range(start, 16, 2))
            both = f"<16 x i8> {value}, <16 x i8> poison"
            yield f"{to}{half} = shufflevector {both}, <8 x i32> <{order}>"
            yield f"{to}{half}w = zext <8 x i8> {to}{half} to <8 x i16>"
        yield f"{to} = add <8 x i16> {to}ew, {to}ow"


def _add_pairs(to: str, a: str, b: str) -> Iterator[str]:
    """Neighbours of a, then of b; a pattern that LLVM knows as addp and vpadd."""
    for half, start in (("e", 0), ("o", 1)):
        order = ", ".join(f"i32 {i}" for i in range(start, 16, 2))
        yield f"{to}{half} = shufflevector <8 x i16> {a}, <8 x i16> {b}, <8 x i32> <{order}>"
    yield f"{to} = add <8 x i16> {to}e, {to}o"
