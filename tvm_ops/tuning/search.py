"""The search over named knobs: MetaSchedule's evolutionary search with its XGBoost cost model.

MetaSchedule searches schedules of one module. Ours change the module too (tile-dependent layouts,
F(2,3) or F(4,3)), so it searches a *carrier*: a block that does nothing, with one
``sample_categorical`` per knob, whose decisions are the knobs. A trace then applies in
microseconds, a mutation is a change of one decision, and no template ever runs in this process.
The cost model sees the knobs themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.task import Knobs
from tvm_ops.tuning.carrier import carrier, design, extensions
from tvm_ops.tuning.features import knob_row
from tvm_ops.tuning.metaschedule import metaschedule
from tvm_ops.tuning.space import Space
from tvm_ops.tuning.transfer import Group
from tvm_ops.tuning.tuners import Known

POPULATION = 128
WARMUP_TRIALS = 16  # measured before the cost model is trusted


class KnobSearch:
    """Proposes batches of legal knobs and learns from their costs.

    The same seed and costs give the same proposals. ``space`` is a template's ``space(...)``;
    ``legal`` refuses combinations before they are proposed. ``transfer`` is what the cost model
    starts from: costs of other tasks' candidates; ``task_row`` is this one's own end of each row.
    """

    def __init__(
        self,
        space: Space,
        legal: Callable[[Knobs], bool],
        seed: int,
        batch: int,
        *,
        task_row: Sequence[float] = (),
        transfer: Sequence[Group] = (),
    ) -> None:
        import tvm

        ms, parts = metaschedule(), extensions()
        self._space, self._task_row = space, list(task_row)
        self._draws = np.random.RandomState(seed % 2**32).get_state()
        module = tvm.IRModule({"main": carrier()})
        self._designs = {sketch: design(module, space, sketch) for sketch in sorted(space)}
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
        for group in transfer:
            rows = [row[None, :] for row in group.rows]
            self._model.data[group.name] = ms.cost_model.xgb_model.FeatureGroup(
                group.name, rows, group.costs
            )
            self._model.data_size += len(rows)
        self._strategy = strategy
        self._proposed: deque[list[Any]] = deque()  # without costs yet
        self._context.pre_tuning(
            max_trials=10**6,
            num_trials_per_iter=batch,
            design_spaces=designs,
            database=self._database,
            cost_model=self._model,
        )

    def propose(self) -> list[Knobs]:
        """The next batch; empty where the search finds nothing new.

        The costs of the one before may still be on their way: nothing is proposed twice.
        """
        with self._own_draws():
            candidates = list(self._strategy.generate_measure_candidates() or [])
        if candidates:
            self._proposed.append(candidates)
        return [self.decode(candidate.sch) for candidate in candidates]

    def report(self, costs: Sequence[float | None]) -> None:
        """Costs of the oldest proposal that has none, in its order; None for one that failed."""
        candidates = self._proposed.popleft()
        results = self._record(candidates, costs)
        self._strategy.notify_runner_results(candidates, results)

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

    def learn(self, known: Known) -> None:
        """Costs of knobs that were not proposed: the search starts near good ones."""
        if known:
            candidates = [self._candidate(knobs) for knobs, _cost in known]
            self._record(candidates, [cost for _knobs, cost in known])

    def _candidate(self, knobs: Knobs) -> Any:
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
        return ms.search_strategy.MeasureCandidate(sch, args)

    def decode(self, sch: Any) -> Knobs:
        """The knobs that a carrier's decisions stand for."""
        notes = sch.get(sch.get_sblock("carrier")).annotations
        sketch = str(notes["sketch"])
        knobs: Knobs = {"sketch": sketch}
        for name, options in self._space[sketch].items():
            knobs[name] = options[int(notes[f"knob.{name}"])]
        return knobs

    def _features(self, sch: Any) -> NDArray[np.float32]:
        """One row: the knobs, and the task, in which the rows of other tasks differ."""
        row = knob_row(self._space, self.decode(sch))
        assert row is not None
        return np.array([row + self._task_row], dtype=np.float32)

    @contextmanager
    def _own_draws(self) -> Iterator[None]:
        """The cost model draws from numpy's global generator until it has seen WARMUP_TRIALS."""
        before = np.random.get_state()
        np.random.set_state(self._draws)
        try:
            yield
        finally:
            self._draws = np.random.get_state()
            np.random.set_state(before)
