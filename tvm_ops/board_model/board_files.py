"""What Linux on a board tells programs about its processor, written into a sysroot.

qemu's ``-L`` looks for ``/proc/cpuinfo`` and ``/sys`` in the sysroot first. Without these files
the libraries see the development machine's processor and cache sizes and choose other kernels:
ncnn's mobilenet on the modelled A53 takes 229 ms with the host's view, 204 ms with the board's,
and 206 ms were published for the real board. A file that is missing here would be read from the
development machine, so what the board does not have (a third cache level) is an empty file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tvm_ops.errors import InputError
from tvm_ops.targets import Target

LINE_BYTES = 64  # cache line of all three cores (their technical reference manuals)


@dataclass(frozen=True)
class Identity:
    """The main ID register (MIDR_EL1) of a core, and /proc/cpuinfo's lines of its board.

    Part numbers: Arm's technical reference manuals, section "Main ID Register". Variants,
    revisions, features and BogoMIPS: /proc/cpuinfo of the Raspberry Pi 3B+, 4B and 5 under
    64-bit Raspberry Pi OS. ``ways`` are those of L1 data, L1 instruction, L2 and L3.
    """

    part: int
    variant: int
    revision: int
    bogomips: str
    hardware: str
    features: str
    ways: tuple[int, int, int, int]

    @property
    def midr(self) -> int:
        arm, by_id_registers = 0x41, 0xF
        return (
            arm << 24 | self.variant << 20 | by_id_registers << 16 | self.part << 4 | self.revision
        )


_ARMV8_0 = "fp asimd evtstrm crc32 cpuid"
IDENTITIES = {
    "cortex-a53": Identity(0xD03, 0, 4, "38.40", "BCM2835", _ARMV8_0, (4, 2, 16, 0)),
    "cortex-a72": Identity(0xD08, 0, 3, "108.00", "BCM2835", _ARMV8_0, (2, 3, 16, 0)),
    "cortex-a76": Identity(
        0xD0B,
        4,
        1,
        "108.00",
        "BCM2712",
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc "
        "dcpop asimddp",
        (4, 4, 8, 16),
    ),
}


def write_board_files(target: Target, root: Path) -> None:
    """Write ``proc/cpuinfo`` and ``sys/devices/system/cpu`` of the target's board below ``root``.

    Raises ``InputError`` for a core that is not described here.
    """
    for path, text in board_files(target).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


def board_files(target: Target) -> dict[str, str]:
    """Those files as path below the sysroot -> content without the last line's end."""
    identity = IDENTITIES.get(target.core)
    if identity is None:
        raise InputError(
            f"no board files for core '{target.core}'; known: {', '.join(sorted(IDENTITIES))}"
        )
    everyone = f"0-{target.cores - 1}"
    files = {
        "proc/cpuinfo": _cpuinfo(target, identity),
        "sys/devices/system/cpu/possible": everyone,
        "sys/devices/system/cpu/present": everyone,
        "sys/devices/system/cpu/online": everyone,
        "sys/devices/system/cpu/kernel_max": "255",
    }
    khz = str(round(target.clock_ghz * 1e6))
    clock = {"cpuinfo_max_freq": khz, "cpuinfo_min_freq": khz, "scaling_cur_freq": khz}
    clock["related_cpus"] = " ".join(map(str, range(target.cores)))
    files |= {f"sys/devices/system/cpu/cpufreq/policy0/{key}": clock[key] for key in clock}
    for cpu in range(target.cores):
        base = f"sys/devices/system/cpu/cpu{cpu}"
        files |= {f"{base}/cpufreq/{key}": clock[key] for key in clock}
        files |= {
            f"{base}/cpufreq/stats/time_in_state": f"{khz} 1",
            f"{base}/regs/identification/midr_el1": f"0x{identity.midr:016x}",
            f"{base}/topology/core_id": str(cpu),
            f"{base}/topology/physical_package_id": "0",
            f"{base}/topology/cluster_cpus_list": everyone,
            f"{base}/topology/core_siblings_list": everyone,
            f"{base}/topology/thread_siblings_list": str(cpu),
        }
        for index, cache in enumerate(_caches(target, identity, cpu)):
            files |= {f"{base}/cache/index{index}/{key}": text for key, text in cache.items()}
    return files


def _cpuinfo(target: Target, identity: Identity) -> str:
    processors = [
        f"processor\t: {cpu}\n"
        f"BogoMIPS\t: {identity.bogomips}\n"
        f"Features\t: {identity.features}\n"
        "CPU implementer\t: 0x41\n"
        "CPU architecture: 8\n"
        f"CPU variant\t: 0x{identity.variant:x}\n"
        f"CPU part\t: 0x{identity.part:03x}\n"
        f"CPU revision\t: {identity.revision}\n"
        for cpu in range(target.cores)
    ]
    return "\n".join([*processors, f"Hardware\t: {identity.hardware}\nModel\t\t: {target.board}"])


def _caches(target: Target, identity: Identity, cpu: int) -> list[dict[str, str]]:
    """L2 is shared by the four cores of an A53 or A72 cluster and private on the A76."""
    everyone, alone = range(target.cores), range(cpu, cpu + 1)
    l2_users = alone if target.l3_kib else everyone
    caches = [
        (1, "Data", target.l1d_kib, alone),
        (1, "Instruction", target.l1i_kib, alone),
        (2, "Unified", target.l2_kib, l2_users),
        (3, "Unified", target.l3_kib, everyone),
    ]
    return [
        {
            "level": str(level),
            "type": kind,
            "size": f"{kib}K",
            "coherency_line_size": str(LINE_BYTES),
            "ways_of_associativity": str(ways),
            "number_of_sets": str(kib * 1024 // LINE_BYTES // ways),
            "shared_cpu_list": f"{users[0]}-{users[-1]}" if len(users) > 1 else str(users[0]),
            "shared_cpu_map": f"{sum(1 << user for user in users):x}",
        }
        if kib
        else dict.fromkeys(("level", "type", "size", "shared_cpu_list", "shared_cpu_map"), "")
        for (level, kind, kib, users), ways in zip(caches, identity.ways, strict=True)
    ]
