"""The carrier that MetaSchedule searches in place of a template, and its extension points."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tvm_ops.tuning.metaschedule import metaschedule
from tvm_ops.tuning.space import Space


def carrier() -> Any:
    """A PrimFunc with one block that does nothing."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        out = T.arg("out", T.buffer((1,)))
        with T.serial(0, 1) as i, T.sblock("carrier"):
            vi = T.axis.spatial(1, i)
            T.reads()
            T.writes(out[vi])
            T.buffer_store(out, T.float32(0), [vi])
    return builder.get()


def design(module: Any, space: Space, sketch: str) -> Any:
    """The carrier's schedule, annotated with the sketch and a sampled option of each knob."""
    from tvm import s_tir

    sch = s_tir.Schedule(module, seed=1, debug_mask="none")
    block = sch.get_sblock("carrier")
    sch.annotate(block, "sketch", sketch)
    for name, options in space[sketch].items():
        count = len(options)
        choice = sch.sample_categorical(list(range(count)), [1.0 / count] * count)
        sch.annotate(block, f"knob.{name}", choice)
    return sch


class Extensions(NamedTuple):
    """Classes for MetaSchedule: a postprocessor, a mutator, a feature extractor."""

    Legal: Any
    ChangeOneKnob: Any
    KnobFeatures: Any


@cache
def extensions() -> Extensions:  # noqa: C901  three small classes, not one long path
    """MetaSchedule's extension points; made on first use, for TVM takes a second to import."""
    import tvm
    from tvm.ir.utils import derived_object

    ms = metaschedule()

    @derived_object
    class Legal(ms.postproc.PyPostproc):  # type: ignore[name-defined]
        def __init__(self, is_legal: Callable[[Any], bool]) -> None:
            super().__init__()
            self.is_legal = is_legal

        def _initialize_with_tune_context(self, context: Any) -> None:
            pass

        def apply(self, sch: Any) -> bool:
            return self.is_legal(sch)

        def clone(self) -> Any:
            return Legal(self.is_legal)

    @derived_object
    class ChangeOneKnob(ms.mutator.PyMutator):  # type: ignore[name-defined]
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.seed = seed
            self.random = random.Random(seed)

        def _initialize_with_tune_context(self, context: Any) -> None:
            pass

        def apply(self, trace: Any, _rand_state: int) -> Any:
            choices = [
                i for i in trace.insts if i.kind.name == "SampleCategorical" and len(i.attrs[0]) > 1
            ]
            if not choices:
                return None
            choice = self.random.choice(choices)
            now = int(trace.decisions[choice])
            other = self.random.choice([k for k in range(len(choice.attrs[0])) if k != now])
            return trace.with_decision(choice, other, remove_postproc=True)

        def clone(self) -> Any:
            return ChangeOneKnob(self.seed)

    @derived_object
    class KnobFeatures(ms.feature_extractor.PyFeatureExtractor):  # type: ignore[name-defined]
        def __init__(self, features: Callable[[Any], NDArray[np.float32]]) -> None:
            super().__init__()
            self.features = features

        def extract_from(self, _context: Any, candidates: list[Any]) -> list[Any]:
            return [tvm.runtime.tensor(self.features(c.sch)) for c in candidates]

    return Extensions(Legal, ChangeOneKnob, KnobFeatures)
