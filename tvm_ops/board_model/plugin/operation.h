// One decoded instruction, as the timing model sees it.
#pragma once

#include <cstdint>

namespace board_model {

// Registers are numbers: 0-30 general, then the stack pointer, the flags and the vector registers.
// The zero register is none at all: reading it waits for nothing, writing it goes nowhere.
constexpr int kStackPointer = 32;
constexpr int kFlags = 33;
constexpr int kFirstVector = 64;
constexpr int kRegisters = 128;
constexpr int kLinkRegister = 30;

constexpr int kMaxReads = 7;
constexpr int kMaxWrites = 5;
constexpr int kNone = -1;

enum class Kind : uint8_t { compute, load, store, branch, indirect_branch };

// What an instruction costs on one core; a row of cores/*.txt. Which fields count depends on the
// pipeline: the first block is for both, then in-order, then out-of-order.
struct Cost {
  uint8_t latency = 1;
  uint8_t accumulate = 0;  // latency from accumulator to accumulator, 0: no forwarding
  uint8_t occupancy = 1;   // cycles that the unit is busy (1: pipelined)

  uint8_t neon_slots = 0;     // 64-bit halves of the NEON datapath
  uint8_t memory_cycles = 0;  // cycles of the load/store unit
  uint8_t stagger = 0;        // cycles between the registers of a multiple load
  bool issues_alone = false;

  uint8_t micro_ops = 1;
  uint8_t pipes = 0;  // bit set of Pipe

  // Of a load whose data pass through other pipes before they are there: ld1r, a lane, ld2 to ld4.
  uint8_t data_micro_ops = 0;
  uint8_t data_pipes = 0;
  uint8_t data_latency = 0;  // the end of `latency`: of the last of these micro-operations
  uint8_t data_lead = 0;     // cycles before the result at which the first of them can start
};

struct Operation {
  Kind kind = Kind::compute;
  bool conditional = false;
  uint8_t n_reads = 0;
  uint8_t n_writes = 0;
  // Reads [0, n_address_reads) of a store form its address; the others are the data.
  uint8_t n_address_reads = 0;
  int8_t accumulator = kNone;  // index in reads, where the core forwards it late
  int8_t writeback = kNone;    // index in writes of the updated base address
  uint8_t reads[kMaxReads] = {};
  uint8_t writes[kMaxWrites] = {};
  Cost cost;

  void add_read(int reg) {
    if (reg >= 0 && n_reads < kMaxReads) reads[n_reads++] = static_cast<uint8_t>(reg);
  }
  void add_write(int reg) {
    if (reg >= 0 && n_writes < kMaxWrites) writes[n_writes++] = static_cast<uint8_t>(reg);
  }
  bool is_memory() const { return kind == Kind::load || kind == Kind::store; }
  bool is_branch() const { return kind == Kind::branch || kind == Kind::indirect_branch; }
};

}  // namespace board_model
