#include "waits_report.h"

#include <algorithm>
#include <cinttypes>

namespace board_model {
namespace {

// How many instructions of this kind the core can start in a cycle, if it does nothing else.
double most_per_cycle(const Operation& operation, const CoreParameters& parameters) {
  const Cost& cost = operation.cost;
  double most = parameters.issue_width;
  if (parameters.out_of_order) {
    int micro_ops = std::max<int>(cost.micro_ops, 1);
    if (parameters.dispatch_by_micro_op) most /= micro_ops + cost.data_micro_ops;
    if (!cost.pipes) return most;
    double pipes = __builtin_popcount(cost.pipes);
    most = std::min(most, pipes / (micro_ops * cost.occupancy));
    double data_pipes = __builtin_popcount(cost.data_pipes);
    return cost.data_micro_ops ? std::min(most, data_pipes / cost.data_micro_ops) : most;
  }
  if (cost.issues_alone || cost.memory_cycles || operation.is_branch()) most = 1;
  if (cost.memory_cycles) most = std::min(most, 1.0 / cost.memory_cycles);
  if (cost.neon_slots) {
    most = std::min(most, static_cast<double>(parameters.neon_slots) / cost.neon_slots);
  }
  return std::min(most, cost.occupancy > 1 ? 1.0 / cost.occupancy : most);
}

void report_instruction(FILE* file, const Operation& operation, const InstructionWaits& waits,
                        const CoreParameters& parameters) {
  fputs("{\"waits\":{", file);
  const char* separator = "";
  for (size_t cause = 0; cause < kWaits; cause++) {
    if (!waits.cycles[cause]) continue;
    fprintf(file, "%s\"%s\":%" PRIu64, separator, kWaitNames[cause], waits.cycles[cause]);
    separator = ",";
  }
  auto longest = std::max_element(waits.for_source.begin(), waits.for_source.end());
  int source = *longest ? operation.reads[longest - waits.for_source.begin()] : kNone;
  fprintf(file,
          "},\"register\":%d,\"register_cycles\":%" PRIu64 ",\"l1_misses\":%" PRIu64
          ",\"l2_misses\":%" PRIu64 ",\"most_per_cycle\":%.4g}",
          source, *longest, waits.l1_misses, waits.l2_misses,
          most_per_cycle(operation, parameters));
}

}  // namespace

void report_waits(FILE* file, const Block& block, const CoreParameters& parameters) {
  if (block.waits.empty()) return;
  fputs(",\"instruction_waits\":[", file);
  const char* separator = "";
  for (size_t i = 0; i < block.waits.size(); i++) {
    fputs(separator, file);
    report_instruction(file, block.operations[i], block.waits[i], parameters);
    separator = ",";
  }
  fputs("]", file);
}

}  // namespace board_model
