// The part of QEMU's plugin interface that is used here, so that no header of QEMU is needed.
// Source: the interface documentation, docs/devel/tcg-plugins.rst, of QEMU 7.2 to 9.x.
// TVM_OPS_QEMU_VERSION is the QEMU to compile for, 100 * major + minor.
#pragma once

#include <cstddef>
#include <cstdint>

#ifndef TVM_OPS_QEMU_VERSION
#define TVM_OPS_QEMU_VERSION 702
#endif

// QEMU refuses plugins that claim an interface newer than its own, or older than it still supports.
#if TVM_OPS_QEMU_VERSION >= 901
constexpr int kQemuInterface = 3;
#elif TVM_OPS_QEMU_VERSION >= 900
constexpr int kQemuInterface = 2;
#else
constexpr int kQemuInterface = 1;
#endif

// Whether a 16-byte access may be reported at once. Before 8.0 it always comes as two halves.
constexpr bool kReports16Bytes = TVM_OPS_QEMU_VERSION >= 800;

extern "C" {

using qemu_plugin_id_t = uint64_t;
using qemu_plugin_meminfo_t = uint32_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

struct qemu_info_t {
  const char* target_name;  // more fields follow; none of them is read
};

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };

using qemu_plugin_tb_trans_cb = void (*)(qemu_plugin_id_t, qemu_plugin_tb*);
using qemu_plugin_udata_cb = void (*)(qemu_plugin_id_t, void*);
using qemu_plugin_vcpu_cb = void (*)(qemu_plugin_id_t, unsigned vcpu);
using qemu_plugin_exec_cb = void (*)(unsigned vcpu, void*);
using qemu_plugin_mem_cb = void (*)(unsigned vcpu, qemu_plugin_meminfo_t, uint64_t address, void*);
using qemu_plugin_syscall_cb = void (*)(qemu_plugin_id_t, unsigned vcpu, int64_t number, uint64_t,
                                        uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                        uint64_t);
using qemu_plugin_syscall_ret_cb = void (*)(qemu_plugin_id_t, unsigned vcpu, int64_t number,
                                            int64_t result);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, qemu_plugin_tb_trans_cb);
void qemu_plugin_register_vcpu_tb_exec_cb(qemu_plugin_tb*, qemu_plugin_exec_cb,
                                          qemu_plugin_cb_flags, void*);
void qemu_plugin_register_vcpu_mem_cb(qemu_plugin_insn*, qemu_plugin_mem_cb, qemu_plugin_cb_flags,
                                      qemu_plugin_mem_rw, void*);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, qemu_plugin_syscall_cb);
void qemu_plugin_register_vcpu_syscall_ret_cb(qemu_plugin_id_t, qemu_plugin_syscall_ret_cb);
void qemu_plugin_register_vcpu_exit_cb(qemu_plugin_id_t, qemu_plugin_vcpu_cb);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, qemu_plugin_udata_cb, void*);

size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*);
uint64_t qemu_plugin_tb_vaddr(const qemu_plugin_tb*);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb*, size_t index);
const char* qemu_plugin_insn_symbol(const qemu_plugin_insn*);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);

#if TVM_OPS_QEMU_VERSION >= 901
size_t qemu_plugin_insn_data(const qemu_plugin_insn*, void* to, size_t size);
#else
const void* qemu_plugin_insn_data(const qemu_plugin_insn*);
#endif

}  // extern "C"
