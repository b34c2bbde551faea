"""LLVM IR of small functions that TVM imports and inlines: pointers and int32 in, memory out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256


class Function:
    """Grows line by line; values are named by their number.

    ``arguments`` are pointers, which do not overlap; ``indices`` are int32 arguments after them.
    """

    def __init__(self, arguments: tuple[str, ...], indices: tuple[str, ...] = ()) -> None:
        self.arguments, self.indices = arguments, indices
        self._lines: list[str] = []
        self._declared: dict[str, None] = {}
        self._values = self._labels = 0
        self._block = "entry"
        self._memory = 0  # bytes

    def line(self, text: str) -> None:
        """A line without a value: a label, a branch, a store."""
        self._lines.append(text)

    def value(self, text: str) -> str:
        """The name of a new value, computed by ``text``."""
        self._values += 1
        self.line(f"  %v{self._values} = {text}")
        return f"%v{self._values}"

    def call(self, kind: str, name: str, *operands: tuple[str, str]) -> str:
        """An intrinsic's result; each operand is (type, value)."""
        types = ", ".join(t for t, _ in operands)
        self._declared[f"declare {kind} @{name}({types})"] = None
        return self.value(f"call {kind} @{name}({', '.join(f'{t} {v}' for t, v in operands)})")

    def assembly(
        self,
        lines: Iterable[str],
        constraints: str,
        kind: str,
        count: int,
        operands: list[tuple[str, str]],
    ) -> list[str]:
        """``count`` results, each of type ``kind``, of inline assembly, which is never doubled."""
        results = ["void", kind][count] if count < 2 else "{ " + ", ".join([kind] * count) + " }"
        given = ", ".join(f"{t} {v}" for t, v in operands)
        text = "\\0A".join(lines)
        call = f'call {results} asm sideeffect "{text}", "{constraints}"({given}) noduplicate'
        if count == 0:
            self.line(f"  {call}")
            return []
        all_of = self.value(call)
        if count == 1:
            return [all_of]
        return [self.value(f"extractvalue {results} {all_of}, {i}") for i in range(count)]

    def pointer(self, base: str, offset: int | str) -> str:
        """``base`` plus so many bytes, a number or an int32 value."""
        return self.value(f"getelementptr i8, ptr {base}, i32 {offset}") if offset else base

    def memory(self, size: int) -> str:
        """So many bytes that are the function's own, always the same."""
        self._memory = max(self._memory, size)
        return "%memory"

    def load(self, kind: str, base: str, offset: int | str = 0) -> str:
        """From any address: alignment is that of bytes."""
        return self.value(f"load {kind}, ptr {self.pointer(base, offset)}, align 1")

    def load_first(self, lanes: int, element: str, size: int, base: str, count: int) -> str:
        """The first ``count`` of a vector's lanes; the others, which are not read, are zero.

        ``element`` is the type of a lane, ``size`` its bytes.
        """
        vector = f"<{lanes} x {element}>"
        if count >= lanes:
            return self.load(vector, base)
        value = "zeroinitializer"
        for lane in range(count):
            one = self.load(element, base, lane * size)
            value = self.value(f"insertelement {vector} {value}, {element} {one}, i32 {lane}")
        return value

    def store(self, kind: str, value: str, base: str, offset: int | str = 0) -> None:
        self.line(f"  store {kind} {value}, ptr {self.pointer(base, offset)}, align 1")

    def store_first(
        self, value: str, element: str, size: int, lanes: int, count: int, base: str, offset: int
    ) -> None:
        """The first ``count`` lanes of a vector of ``lanes``, in pieces of powers of two.

        ``element`` is the type of a lane, ``size`` its bytes.
        """
        first = 0
        while first < count:
            piece = 1 << ((count - first).bit_length() - 1)
            part = self.lanes(value, element, lanes, first, piece)
            self.store(f"<{piece} x {element}>", part, base, offset + first * size)
            first += piece

    def store_bytes(self, value: str, length: int, count: int, base: str, offset: int = 0) -> None:
        """The first ``count`` bytes of a vector of ``length``, in pieces of powers of two."""
        self.store_first(value, "i8", 1, length, count, base, offset)

    def lanes(self, value: str, element: str, length: int, first: int, count: int) -> str:
        """``count`` lanes, from ``first`` on, of a vector of ``length``."""
        if (first, count) == (0, length):
            return value
        return self.shuffle(value, element, length, range(first, first + count))

    def shuffle(self, value: str, element: str, length: int, lanes: range | list[int]) -> str:
        """The vector of these lanes."""
        return self._shuffle(value, "poison", element, length, list(lanes))

    def join(self, values: list[str], element: str, length: int) -> str:
        """Vectors of ``length`` lanes each, whose number is a power of two, one after another."""
        while len(values) > 1:
            both = list(range(2 * length))
            pairs = zip(values[::2], values[1::2], strict=True)
            values = [self._shuffle(a, b, element, length, both) for a, b in pairs]
            length *= 2
        return values[0]

    def interleave(self, a: str, b: str, element: str, length: int) -> str:
        """Lanes of two vectors by turns."""
        lanes = [i + length * second for i in range(length) for second in (0, 1)]
        return self._shuffle(a, b, element, length, lanes)

    def splat(self, element: str, lanes: int, value: str) -> str:
        """A vector with ``value`` in all lanes."""
        kind = f"<{lanes} x {element}>"
        first = self.value(f"insertelement {kind} poison, {element} {value}, i32 0")
        return self._shuffle(first, "poison", element, lanes, [0] * lanes)

    def loop(
        self,
        count: int,
        steps: dict[str, int],
        values: list[str],
        kind: str,
        body: Callable[..., list[str]],
    ) -> list[str]:
        """``values``, each of type ``kind``, after ``count`` times ``body(*pointers, values)``.

        ``steps`` maps the pointers to the bytes by which each moves from one time to the next.
        One time needs no loop.
        """
        if count == 0:
            return values
        if count == 1:
            return body(*steps, values)
        self._labels += 1
        name, before = f"loop{self._labels}", self._block
        self.line(f"  br label %{name}")
        self.line(f"{name}:")
        self._block = name
        at = len(self._lines)
        index, *moving = (f"%{name}.{i}" for i in range(1 + len(steps) + len(values)))
        after = body(*moving[: len(steps)], moving[len(steps) :])
        following = [
            self.value(f"getelementptr i8, ptr {pointer}, i32 {step}")
            for pointer, step in zip(moving, steps.values(), strict=False)
        ]
        next_index = self.value(f"add nuw nsw i32 {index}, 1")
        end = self._block
        types = ["i32"] + ["ptr"] * len(steps) + [kind] * len(values)
        first = ["0", *steps, *values]
        last = [next_index, *following, *after]
        self._lines[at:at] = [
            f"  {new} = phi {t} [ {a}, %{before} ], [ {b}, %{end} ]"
            for new, t, a, b in zip([index, *moving], types, first, last, strict=True)
        ]
        more = self.value(f"icmp ult i32 {next_index}, {count}")
        self.line(f"  br i1 {more}, label %{name}, label %after.{name}")
        self.line(f"after.{name}:")
        self._block = f"after.{name}"
        return after

    def _shuffle(self, a: str, b: str, element: str, length: int, lanes: list[int]) -> str:
        kind, mask = f"<{length} x {element}>", ", ".join(f"i32 {i}" for i in lanes)
        return self.value(f"shufflevector {kind} {a}, {kind} {b}, <{len(lanes)} x i32> <{mask}>")

    @property
    def name(self) -> str:
        text = "\n".join([*self.arguments, *self.indices, *self._lines])
        return "tvm_ops_" + sha256(text.encode()).hexdigest()[:12]

    def llvm(self) -> str:
        """The module: declarations, and the function ``name``, which returns 0."""
        pointers = [f"ptr noalias %{name}" for name in self.arguments]
        arguments = ", ".join([*pointers, *(f"i32 %{name}" for name in self.indices)])
        memory = [f"  %memory = alloca [{self._memory} x i8], align 16"] if self._memory else []
        return "\n".join(
            [
                *self._declared,
                f"define internal i32 @{self.name}({arguments}) alwaysinline nounwind {{",
                "entry:",
                *memory,
                *self._lines,
                "  ret i32 0",
                "}\n",
            ]
        )
