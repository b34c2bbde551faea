// Core descriptions (cores/*.txt): parameters and the cost of every kind of instruction.
#pragma once

#include <string>
#include <unordered_map>

#include "operation.h"

namespace board_model {

enum Pipe : uint8_t {
  kPipeB = 1,
  kPipeI0 = 2,
  kPipeI1 = 4,
  kPipeM = 8,
  kPipeL0 = 16,
  kPipeL1 = 32,
  kPipeV0 = 64,
  kPipeV1 = 128,
};

// Cycles, entries, KiB: the meaning of each is written beside its value in cores/*.txt.
struct CoreParameters {
  int out_of_order, issue_width, dispatch_by_micro_op, reorder_buffer, neon_slots;
  int queue_integer, queue_memory, queue_vector, store_buffer;
  int mispredict_penalty, taken_branch_ends_group;
  int l1_kib, l1_ways, l2_kib, l2_ways, l3_kib, l3_ways;
  int l2_latency, l3_latency, dram_latency;
  int l2_occupancy, l3_occupancy, dram_occupancy;
  int misses_in_flight, prefetch_streams, prefetch_degree, prefetch_crosses_pages;
  int tlb_entries, tlb_penalty, tlb2_entries, tlb2_penalty;
};

struct CoreFile {
  CoreParameters parameters{};
  std::unordered_map<std::string, Cost> costs;
};

// Reads a core description. Throws std::runtime_error that names the file, line and what is wrong:
// an unknown or missing parameter, a malformed row, an operation without a row.
CoreFile read_core_file(const std::string& path);

}  // namespace board_model
