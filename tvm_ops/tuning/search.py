"""The search over named knobs: MetaSchedule's evolutionary search with its XGBoost cost model.

MetaSchedule searches schedules of one module. Ours change the module too (tile-dependent layouts,
F(2,3) or F(4,3)), so it searches a *carrier*: a block that does nothing, with one
``sample_categorical`` per knob, whose decisions are the knobs. A trace then applies in
microseconds, a mutation is a change of one decision, and no template ever runs in this process.
The cost model sees the knobs themselves.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tvm_ops.errors import InputError
from tvm_ops.task import Knobs
from tvm_ops.tuning.metaschedule import metaschedule

Space = dict[str, dict[str, list[Any]]]

POPULATION = 128
WARMUP_TRIALS = 16  # measured before the cost model is trusted
BOOST_ROUNDS = 300


def knobs_id(knobs: Knobs) -> str:
    """Two candidates are the same where this text is."""
    return json.dumps(knobs, sort_keys=True, separators=(",", ":"))


class KnobSearch:
    """Proposes batches of legal knobs and learns from their costs.

    The same seed and costs give the same proposals. ``space`` is a template's ``space(...)``;
    ``legal`` refuses combinations before they are proposed.
    """

    def __init__(self, space: Space, legal: Callable[[Knobs], bool], seed: int, batch: int) -> None:
        import tvm

        ms, parts = metaschedule(), _parts()
        self._space, self._seen = space, set[str]()
        # The cost model draws from numpy's global generator until it has seen WARMUP_TRIALS.
        np.random.seed(seed % 2**32)
        module = tvm.IRModule({"main": _carrier()})
        self._designs = {sketch: _design(module, space, sketch) for sketch in sorted(space)}
        designs = list(self._designs.values())
        generator = ms.space_generator.ScheduleFn(
            lambda _sch: designs,
            sch_rules=[],
            postprocs=[parts.Legal(lambda sch: legal(self.decode(sch)))],
            mutator_probs={parts.ChangeOneKnob(seed): 1.0},
        )
        strategy = ms.search_strategy.EvolutionarySearch(
            population_size=POPULATION,
            init_min_unmeasured=POPULATION // 2,
            max_fail_count=50,
            genetic_num_iters=3,
            eps_greedy=0.15,
        )
        self._context = ms.TuneContext(
            mod=module,
            target=tvm.target.Target({"kind": "llvm"}),
            space_generator=generator,
            search_strategy=strategy,
            rand_state=seed % (2**31 - 2) + 1,
            num_threads=1,  # with more, which thread's generator draws what is left to chance
        )
        self._database = ms.database.MemoryDatabase()
        self._workload = self._database.commit_workload(module)
        self._model = ms.cost_model.XGBModel(
            extractor=parts.KnobFeatures(self._features),
            config=ms.cost_model.xgb_model.XGBConfig(nthread=1, max_depth=6, seed=43),
            num_warmup_samples=WARMUP_TRIALS,
            adaptive_training=False,
            verbose_eval=0,
        )
        self._strategy = strategy
        self._candidates: list[Any] = []
        self._context.pre_tuning(
            max_trials=10**6,
            num_trials_per_iter=batch,
            design_spaces=designs,
            database=self._database,
            cost_model=self._model,
        )

    def propose(self) -> list[Knobs]:
        """The next batch; empty where the search finds nothing new."""
        self._candidates = list(self._strategy.generate_measure_candidates() or [])
        return [self.decode(candidate.sch) for candidate in self._candidates]

    def report(self, costs: Sequence[float | None]) -> None:
        """Costs of the last proposal, in its order; None for a candidate that failed."""
        results = self._record(self._candidates, costs)
        self._strategy.notify_runner_results(self._candidates, results)
        self._candidates = []

    def _record(self, candidates: list[Any], costs: Sequence[float | None]) -> list[Any]:
        """Into the database, from which populations start, and the cost model."""
        ms = metaschedule()
        results = []
        for candidate, cost in zip(candidates, costs, strict=True):
            error = None if cost else "failed"
            results.append(ms.runner.RunnerResult([cost] if cost else None, error))
            if cost:
                record = ms.database.TuningRecord(
                    candidate.sch.trace, self._workload, [cost], self._context.target, None
                )
                self._database.commit_tuning_record(record)
        self._model.update(self._context, candidates, results)
        return results

    def learn(self, knobs: Knobs, cost: float | None) -> None:
        """Tell the cost of knobs that were not proposed: the search starts near good ones."""
        from tvm import s_tir

        ms = metaschedule()
        trace = self._designs[knobs["sketch"]].trace
        samples = [i for i in trace.insts if i.kind.name == "SampleCategorical"]
        for sample, (name, options) in zip(
            samples, self._space[knobs["sketch"]].items(), strict=True
        ):
            choice = options.index(knobs[name])
            trace = trace.with_decision(sample, choice, remove_postproc=False)
        sch = s_tir.Schedule(self._context.mod, debug_mask="none")
        trace.apply_to_schedule(sch, remove_postproc=False)
        args = ms.arg_info.ArgInfo.from_entry_func(self._context.mod, remove_preproc=True)
        self._record([ms.search_strategy.MeasureCandidate(sch, args)], [cost])

    def decode(self, sch: Any) -> Knobs:
        """The knobs that a carrier's decisions stand for."""
        notes = sch.get(sch.get_sblock("carrier")).annotations
        sketch = str(notes["sketch"])
        knobs: Knobs = {"sketch": sketch}
        for name, options in self._space[sketch].items():
            knobs[name] = options[int(notes[f"knob.{name}"])]
        return knobs

    def _features(self, sch: Any) -> NDArray[np.float32]:
        """One row: for each sketch whether it is this one, and its knobs as numbers."""
        knobs = self.decode(sch)
        row: list[float] = []
        for sketch in sorted(self._space):
            mine = sketch == knobs["sketch"]
            row.append(float(mine))
            for name, options in self._space[sketch].items():
                row += _as_numbers(knobs[name], options) if mine else _blank(options)
        return np.array([row], dtype=np.float32)


def _as_numbers(value: Any, options: list[Any]) -> list[float]:
    if isinstance(value, str):
        return [float(options.index(value))]
    if isinstance(value, list):
        return [math.log2(1 + v) for v in value] + [math.log2(1 + math.prod(value))]
    return [math.log2(1 + float(value))]


def _blank(options: list[Any]) -> list[float]:
    return [-1.0] * len(_as_numbers(options[0], options))


def _carrier() -> Any:
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


def _design(module: Any, space: Space, sketch: str) -> Any:
    from tvm import s_tir

    sch = s_tir.Schedule(module, seed=1, debug_mask="none")
    block = sch.get_sblock("carrier")
    sch.annotate(block, "sketch", sketch)
    for name, options in space[sketch].items():
        count = len(options)
        choice = sch.sample_categorical(list(range(count)), [1.0 / count] * count)
        sch.annotate(block, f"knob.{name}", choice)
    return sch


class _Parts(NamedTuple):
    Legal: Any
    ChangeOneKnob: Any
    KnobFeatures: Any


@cache
def _parts() -> _Parts:  # noqa: C901  three small classes, not one long path
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

    return _Parts(Legal, ChangeOneKnob, KnobFeatures)


def check_knobs(space: Space, knobs: Knobs, where: str) -> None:
    """Raises ``InputError`` where knobs are not of the space: unknown or missing names, values."""
    sketch = knobs.get("sketch")
    if sketch not in space:
        raise InputError(f"{where}: unknown sketch '{sketch}'; known: {', '.join(sorted(space))}")
    for name in knobs:
        if name != "sketch" and name not in space[sketch]:
            known = ", ".join(space[sketch])
            raise InputError(f"{where}: unknown knob '{name}' of sketch '{sketch}'; known: {known}")
    for name, options in space[sketch].items():
        if name not in knobs:
            raise InputError(f"{where}: knob '{name}' is missing")
        if knobs[name] not in options:
            raise InputError(f"{where}: knob '{name}' is {knobs[name]!r}, allowed: {options}")
