"""A chunk of a few-bit tile as LLVM IR, for any instruction set that has popcounts of bytes.

A loop, as straight-line code of a chunk takes LLVM a second and more (31 steps for AVX-512).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tvm_ops.operators._bitserial_chunk import STEP, VECTORS, Chunk

_WIDEN = {
    "aarch64": "llvm.aarch64.neon.uaddlp.v8i16.v16i8",
    "armv7": "llvm.arm.neon.vpaddlu.v8i16.v16i8",
}
_MAX_BODY = 6  # steps


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

    @property
    def body(self) -> int:
        """Steps of the loop's body: of x, bodies lie equally far apart."""
        offsets, steps = self.chunk.offsets, self.chunk.steps

        def repeats(body: int) -> bool:
            return len({b - a for a, b in zip(offsets, offsets[body:], strict=False)}) <= 1

        fitting = [n for n in range(1, _MAX_BODY + 1) if steps % n == 0 and repeats(n)]
        return max(fitting, default=steps)

    def last_block(self, result: str, block: str) -> str:
        """In which basic block ``call``, begun in ``block``, ends."""
        return block if self.body == self.chunk.steps else f"{result}.end"

    def call(self, result: str, block: str, pointers: list[str], weights: str) -> Iterator[str]:
        """IR that computes %``result``, a struct of ``pixels`` x <8 x i16>."""
        c, body = self.chunk, self.body
        names = [f"%{result}.x{i}" for i in range(len(pointers))]
        sums: dict[tuple[int, int], str] = {}
        if body == c.steps:
            names, w = pointers, weights
        else:
            w = f"%{result}.w"
            sums = {(p, v): f"%{result}.b{p}.{v}" for p in range(c.pixels) for v in range(VECTORS)}
            yield f"br label %{result}.steps"
            yield f"{result}.steps:"
            yield f"%{result}.n = phi i32 [0, %{block}], [%{result}.m, %{result}.steps]"
            for name, first in zip([*names, w], [*pointers, weights], strict=True):
                yield f"{name} = phi ptr [{first}, %{block}], [{name}.next, %{result}.steps]"
            for (p, v), name in sums.items():
                after = f"%{result}.{body - 1}.f{p}.{v}"
                before = f"zeroinitializer, %{block}"
                yield f"{name} = phi <16 x i8> [{before}], [{after}, %{result}.steps]"
        for step in range(body):
            yield from self._step(result, step, names, w, sums)
            yield from self._fence(f"%{result}.{step}", sums)
        if body < c.steps:
            move = c.offsets[body] - c.offsets[0]
            for name in names:
                yield f"{name}.next = getelementptr i8, ptr {name}, i32 {move}"
            yield f"{w}.next = getelementptr i8, ptr {w}, i32 {body * STEP}"
            yield f"%{result}.m = add i32 %{result}.n, 1"
            yield f"%{result}.more = icmp ult i32 %{result}.m, {c.steps // body}"
            yield f"br i1 %{result}.more, label %{result}.steps, label %{result}.end"
            yield f"{result}.end:"
        yield from self._sums(result, sums)

    def _sums(self, result: str, sums: dict[tuple[int, int], str]) -> Iterator[str]:
        """%``result`` of the bytes."""
        value, pixels = "poison", self.chunk.pixels
        kinds = "{" + ", ".join(self.result_kinds) + "}"
        for p in range(pixels):
            name = f"%{result}.r{p}"
            yield from self._reduce(name, [sums[p, v] for v in range(VECTORS)])
            to = f"%{result}" if p + 1 == pixels else f"%{result}.i{p}"
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
            yield from self._x(f"{name}.x{p}", f"{name}.xa{p}")
            for v in range(VECTORS):
                this = f"{name}.{p}.{v}"
                yield f"{this}e = xor <2 x i64> {name}.x{p}, {name}.w{v}"
                yield f"{this}b = bitcast <2 x i64> {this}e to <16 x i8>"
                yield f"{this}c = call <16 x i8> @llvm.ctpop.v16i8(<16 x i8> {this}b)"
                before = sums.get((p, v))
                if before:
                    yield f"{this}s = add <16 x i8> {before}, {this}c"
                sums[p, v] = f"{this}s" if before else f"{this}c"

    def _fence(self, step: str, sums: dict[tuple[int, int], str]) -> Iterator[str]:
        """No instruction, but all sums are there before anything of the next step.

        Else LLVM loads all of a body first and spills (ARMv7, P = 2: 150 instead of 24 accesses of
        the stack in 6 steps).
        """
        register, names = "x" if self.isa == "x86_64" else "w", list(sums.items())
        kinds = "{" + ", ".join(["<16 x i8>"] * len(names)) + "}"
        constraints = [f"={register}"] * len(names) + [str(i) for i in range(len(names))]
        values = ", ".join(f"<16 x i8> {value}" for _, value in names)
        text = f'"", "{",".join(constraints)},~{{memory}}"'
        yield f"{step}.f = call {kinds} asm sideeffect {text}({values})"
        for i, ((p, v), _) in enumerate(names):
            sums[p, v] = f"{step}.f{p}.{v}"
            yield f"{sums[p, v]} = extractvalue {kinds} {step}.f, {i}"

    def _x(self, to: str, address: str) -> Iterator[str]:
        """A word of x in both halves."""
        if self.chunk.duplicated:
            yield f"{to} = load <2 x i64>, ptr {address}, align 16"
            return
        yield f"{to}w = load i64, ptr {address}, align 8"
        yield f"{to}o = insertelement <2 x i64> poison, i64 {to}w, i32 0"
        both = f"<2 x i64> {to}o, <2 x i64> poison, <2 x i32> zeroinitializer"
        yield f"{to} = shufflevector {both}"

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
