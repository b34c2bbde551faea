// The plugin itself: QEMU's callbacks, and the options given to it.
//
//   qemu-aarch64 -plugin tvm_ops_board.so,core=FILE,report=FILE[,limit=CYCLES][,hot_blocks=N]
//                [,whole_program=off][,profile=on] PROGRAM

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "block_store.h"
#include "core.h"
#include "core_file.h"
#include "qemu_api.h"
#include "region.h"

using namespace board_model;

extern "C" {
__attribute__((visibility("default"))) int qemu_plugin_version = kQemuInterface;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const qemu_info_t* info, int argc,
                                                               char** argv);
}

namespace {

struct Model {
  Model(const std::string& core_path, bool profile, const RegionOptions& options)
      : file(read_core_file(core_path)),
        core(file.parameters.out_of_order ? make_out_of_order_core(file.parameters, profile)
                                          : make_in_order_core(file.parameters, profile)),
        blocks(file),
        regions(options, *core, blocks) {}

  CoreFile file;
  std::unique_ptr<Core> core;
  BlockStore blocks;
  RegionTracker regions;
};

// One process runs one program: QEMU's callbacks have no other way to the model. It is never freed,
// because other threads may still run while the process exits.
Model* model = nullptr;

uint32_t instruction_word(const qemu_plugin_insn* instruction) {
  uint32_t word;
#if TVM_OPS_QEMU_VERSION >= 901
  qemu_plugin_insn_data(instruction, &word, sizeof word);
#else
  memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
#endif
  return word;
}

void on_block(unsigned vcpu, void* block) {
  if (model->regions.models(vcpu)) model->regions.block_starts(*static_cast<Block*>(block));
}

void on_memory(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  if (!model->regions.models(vcpu)) return;
  auto instruction = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(data));
  model->regions.memory_accessed(instruction, address);
  constexpr unsigned k16Bytes = 4;  // the logarithm of the size
  if (kReports16Bytes && qemu_plugin_mem_size_shift(info) == k16Bytes) {
    model->regions.memory_accessed(instruction, address + 8);
  }
}

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* translated) {
  size_t n = qemu_plugin_tb_n_insns(translated);
  std::vector<uint32_t> words;
  for (size_t i = 0; i < n; i++) {
    words.push_back(instruction_word(qemu_plugin_tb_get_insn(translated, i)));
  }
  const char* symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(translated, 0));
  Block& block = model->blocks.get(qemu_plugin_tb_vaddr(translated), words, symbol ? symbol : "");
  qemu_plugin_register_vcpu_tb_exec_cb(translated, on_block, QEMU_PLUGIN_CB_NO_REGS, &block);
  for (size_t i = 0; i < n; i++) {
    if (!block.operations[i].is_memory()) continue;
    qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(translated, i), on_memory,
                                     QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                     reinterpret_cast<void*>(static_cast<uintptr_t>(i)));
  }
}

void on_system_call(qemu_plugin_id_t, unsigned vcpu, int64_t number, uint64_t mark, uint64_t region,
                    uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t) {
  model->regions.system_call(vcpu, number, mark, region);
}

void on_system_call_return(qemu_plugin_id_t, unsigned vcpu, int64_t, int64_t) {
  model->regions.system_call_returns(vcpu);
}

void on_thread_exit(qemu_plugin_id_t, unsigned vcpu) { model->regions.thread_exits(vcpu); }

void on_exit(qemu_plugin_id_t, void*) { model->regions.program_exits(); }

std::unique_ptr<Model> make_model(int argc, char** argv) {
  std::string core_path;
  bool profile = false;
  RegionOptions options;
  for (int i = 0; i < argc; i++) {
    std::string argument = argv[i];
    size_t equals = argument.find('=');
    if (equals == std::string::npos) throw std::runtime_error("'" + argument + "' has no value");
    std::string name = argument.substr(0, equals), value = argument.substr(equals + 1);
    if (name == "core") {
      core_path = value;
    } else if (name == "report") {
      options.report = value;
    } else if (name == "limit") {
      options.cycle_limit = std::stoull(value);
    } else if (name == "hot_blocks") {
      options.hot_blocks = std::stoul(value);
    } else if (name == "profile") {
      profile = value == "on";
    } else if (name == "whole_program") {
      options.from_program_start = value == "on";
    } else {
      throw std::runtime_error("unknown option '" + name + "'");
    }
  }
  return std::make_unique<Model>(core_path, profile, options);
}

}  // namespace

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
  try {
    if (strcmp(info->target_name, "aarch64")) {
      throw std::runtime_error(std::string(info->target_name) + " programs are not modelled");
    }
    model = make_model(argc, argv).release();
  } catch (const std::exception& error) {
    fprintf(stderr, "board model: %s\n", error.what());
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
  qemu_plugin_register_vcpu_syscall_ret_cb(id, on_system_call_return);
  qemu_plugin_register_vcpu_exit_cb(id, on_thread_exit);
  qemu_plugin_register_atexit_cb(id, on_exit, nullptr);
  return 0;
}
