"""AutoTVM's templates for ARM and our sketches of the same loops, in both directions.

A split of two parts is a knob with the inner one, an order or an annotation one with its words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.targets import Target
from tvm_ops.task import Knobs, Task, parse_task
from tvm_ops.template import get_schedule
from tvm_ops.tuning.space import Space, check_knobs

Entity = dict[str, tuple[str, Any]]

_AXES = ("n", "co", "oh", "ow", "ci", "kh", "kw", "vh", "vw", "vc")  # of reorder_0
_OUTER = 7  # of them come first in every order
_OWN = "tvm_ops."  # begins the name of a template that AutoTVM does not have


@dataclass(frozen=True)
class Template:
    """``kinds``: AutoTVM's knobs in the order of its definitions, which its index follows."""

    name: str
    operator: str
    sketch: str
    kinds: dict[str, str]
    old: tuple[str, str]  # name and key in version 0.1


TEMPLATES = [
    Template(
        "conv2d_nchw_spatial_pack.arm_cpu", "conv2d", "spatial_pack",
        {"tile_co": "sp", "tile_oh": "sp", "tile_ow": "sp", "reorder_0": "re",
         "ann_reduce": "an", "ann_spatial": "an"},
        ("topi_nn_conv2d", "direct"),
    ),
    Template(
        "conv2d_nchw_winograd.arm_cpu", "winograd_conv2d", "batch_gemm",
        {"tile_p": "sp", "tile_k": "sp", "tile_c": "sp", "ann_reduce": "an", "ann_spatial": "an"},
        ("topi_nn_conv2d", "winograd"),
    ),
    Template(
        "depthwise_conv2d_nchw.arm_cpu", "depthwise_conv2d", "channel_pack",
        {"tile_c": "sp", "tile_h": "sp", "tile_w": "sp", "ann": "an"},
        ("topi_nn_depthwise_conv2d_nchw", "direct"),
    ),
]  # fmt: skip


def from_autotvm(
    template: str, key: str, args: list[Any], entity: Entity, target: Target
) -> tuple[Task, Knobs]:
    """The task and knobs of a record; raises ``InputError`` that says why it has none.

    The task's activation is ``none``: AutoTVM measures a convolution alone. ``key`` is version
    0.1's, else empty.
    """
    if template.startswith(_OWN):
        task = _own_task(template, args, target)
        knobs = {name: value for name, (_kind, value) in entity.items()}
    else:
        found = _find(template, key)
        task = Task(found.operator, _workload(found, args), target)
        if found.sketch not in _space(task):
            raise InputError(f"{task.key} has no sketch '{found.sketch}', which is for one image")
        knobs = {"sketch": found.sketch, **_knobs(found, task, entity)}
    check_knobs(_space(task), knobs, task.key)
    if not get_schedule(task.operator).legal(task.workload, target, knobs):
        raise InputError(f"{task.key}: too much unrolled code, or too long vectors, for the sketch")
    return task, knobs


def to_autotvm(task: Task, knobs: Knobs) -> tuple[str, list[Any], Entity, int]:
    """Template, arguments, entity and index in AutoTVM's space of a task and its knobs.

    What none of AutoTVM's templates can express becomes template ``tvm_ops.OPERATOR`` with the
    task's key as its argument and each knob as an option of kind ``ot``; its index is -1.
    """
    for template in TEMPLATES:
        if (template.operator, template.sketch) == (task.operator, knobs["sketch"]):
            extents = _extents(template, task)
            entity = {
                name: (kind, _value(kind, knobs[name], extents.get(name)))
                for name, kind in template.kinds.items()
            }
            return template.name, _args(task.workload), entity, _index(template, task, knobs)
    entity = {name: ("ot", value) for name, value in knobs.items()}
    return _OWN + task.operator, [task.key], entity, -1


@lru_cache(maxsize=512)  # a log has many records of a workload; a space takes half a millisecond
def _space(task: Task) -> Space:
    space: Space = get_schedule(task.operator).space(task.workload, task.target)
    return space


def _own_task(template: str, args: list[Any], target: Target) -> Task:
    from tvm_ops.operators import operator_names

    operator = template.removeprefix(_OWN)
    if operator not in operator_names() or len(args) != 1 or not isinstance(args[0], str):
        raise InputError(f"template '{template}' is of no operator, or has no workload's key")
    return parse_task(operator, args[0], target)


def _find(name: str, key: str) -> Template:
    for template in TEMPLATES:
        if name == template.name or (name, key) == template.old:
            return template
    known = ", ".join(template.name for template in TEMPLATES)
    kind = f"{name} ({key})" if key else name
    raise InputError(f"template '{kind}' has no sketch; known: {known}")


def _workload(template: Template, args: list[Any]) -> Any:
    """Of the arguments data, kernel, strides, padding, [dilation,] [layout,] type."""
    from tvm_ops.operators import get_operator

    try:
        (_t, data, kind), (_u, kernel, other), strides, padding, *rest = args
        dilation = next((item for item in rest if isinstance(item, list)), [1, 1])
        words = [item for item in rest if isinstance(item, str)]
        n, ci, h, w = map(int, data)
        co, per_group, kh, kw, *more = map(int, kernel)
        sides = [int(side) for side in padding]
        shape = (kh, kw), _pair(strides), _pair(sides[:2]), _pair(dilation)
    except (ValueError, TypeError):
        raise InputError(f"arguments of {template.name} are of another form") from None
    if more:
        raise InputError(f"the kernel {kernel} is already packed; OIHW is needed")
    if sides[2:] not in ([], sides[:2]):
        raise InputError(f"padding {sides} (top, left, bottom, right) differs between sides")
    if {kind, other, *words} - {"NCHW"} != {"float32"}:
        raise InputError(f"types {kind}, {other}, {', '.join(words)}: only float32 in NCHW is done")
    depthwise = template.operator == "depthwise_conv2d"
    if per_group != (1 if depthwise else ci) or (depthwise and co != ci):
        raise InputError(f"kernel {kernel} for {ci} channels: groups or multipliers are not done")
    groups = ci if depthwise else 1
    return get_operator(template.operator).Workload(n, ci, h, w, co, *shape, groups, "none")


def _pair(values: Any) -> tuple[int, int]:
    first, second = values
    return int(first), int(second)


def _args(w: Any) -> list[Any]:
    shapes = [["TENSOR", list(shape), "float32"] for shape in (w.input_shape, w.weights_shape)]
    return [*shapes, list(w.stride), [*w.pad, *w.pad], list(w.dilation), "float32"]


def _extents(template: Template, task: Task) -> dict[str, int]:
    """Of the axes that are split."""
    w = task.workload
    tiles = -(-w.out_h // 4) * -(-w.out_w // 4)  # of F(4, 3)
    by_knob = {
        "conv2d": {"tile_co": w.co, "tile_oh": w.out_h, "tile_ow": w.out_w},
        "winograd_conv2d": {"tile_p": w.n * tiles, "tile_k": w.co, "tile_c": w.ci},
        "depthwise_conv2d": {"tile_c": w.co, "tile_h": w.out_h, "tile_w": w.out_w},
    }
    return by_knob[template.operator]


def _knobs(template: Template, task: Task, entity: Entity) -> Knobs:
    given = {name: kind for name, (kind, _value) in entity.items()}
    if given != template.kinds:
        raise InputError(f"knobs {given}: {template.name} has {template.kinds}")
    extents = _extents(template, task)
    knobs: Knobs = {"m": [4, 4]} if template.operator == "winograd_conv2d" else {}
    for name, (kind, value) in entity.items():
        knobs[name] = _knob(name, kind, value, extents.get(name, 0))
    return knobs


def _knob(name: str, kind: str, value: Any, extent: int) -> Any:
    if not isinstance(value, list):
        raise InputError(f"knob '{name}' is {value!r}, a list is needed")
    if kind == "an":
        return " ".join(map(str, value))
    if kind == "re":
        if sorted(value, key=str) != list(range(len(_AXES))) or value[:_OUTER] != list(
            range(_OUTER)
        ):
            raise InputError(f"knob '{name}' is {value}, no order of a template's candidates")
        return " ".join(_AXES[i] for i in value[_OUTER:])
    if len(value) != 2 or not all(type(part) is int for part in value):
        raise InputError(f"knob '{name}' is {value}, two parts are needed")
    outer, inner = value
    if inner < 1 or (outer != -1 and outer * inner != extent):
        raise InputError(f"knob '{name}' is {value}, the axis has {extent}")
    return inner


def _value(kind: str, knob: Any, extent: int | None) -> list[Any]:
    if kind == "sp":
        assert extent is not None
        return [-1, knob]
    words = knob.split()
    return words if kind == "an" else [*range(_OUTER), *(_AXES.index(word) for word in words)]


def _index(template: Template, task: Task, knobs: Knobs) -> int:
    """AutoTVM's number of a configuration: the first knob's option counts most often."""
    space = _space(task)[template.sketch]
    index, step = 0, 1
    for name in template.kinds:
        index += step * space[name].index(knobs[name])
        step *= len(space[name])
    return index
