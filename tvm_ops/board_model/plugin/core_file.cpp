#include "core_file.h"

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <unordered_set>
#include <vector>

#include "decode.h"

namespace board_model {
namespace {

using Names = std::unordered_map<std::string, int CoreParameters::*>;

#define PARAMETER(name) {#name, &CoreParameters::name}

// Which parameters a file must have depends on what its core is.
const Names kAlways = {
    PARAMETER(out_of_order),     PARAMETER(issue_width),
    PARAMETER(store_buffer),     PARAMETER(mispredict_penalty),
    PARAMETER(taken_branch_ends_group),
    PARAMETER(l1_kib),           PARAMETER(l1_ways),
    PARAMETER(l2_kib),           PARAMETER(l2_ways),
    PARAMETER(l2_latency),       PARAMETER(l2_occupancy),
    PARAMETER(l3_kib),           PARAMETER(dram_latency),
    PARAMETER(dram_occupancy),   PARAMETER(misses_in_flight),
    PARAMETER(prefetch_streams), PARAMETER(prefetch_degree),
    PARAMETER(prefetch_crosses_pages),
    PARAMETER(tlb_entries),      PARAMETER(tlb_penalty),
    PARAMETER(tlb2_entries),     PARAMETER(tlb2_penalty),
};
const Names kInOrder = {PARAMETER(neon_slots)};
const Names kOutOfOrder = {
    PARAMETER(dispatch_by_micro_op), PARAMETER(reorder_buffer), PARAMETER(queue_integer),
    PARAMETER(queue_memory),         PARAMETER(queue_vector),
};
const Names kWithL3 = {PARAMETER(l3_ways), PARAMETER(l3_latency), PARAMETER(l3_occupancy)};

#undef PARAMETER

// The place of a parameter; null if no core has one of that name.
int CoreParameters::* const* find_parameter(const std::string& name) {
  for (const Names* names : {&kAlways, &kInOrder, &kOutOfOrder, &kWithL3}) {
    auto found = names->find(name);
    if (found != names->end()) return &found->second;
  }
  return nullptr;
}

uint8_t parse_pipes(const std::string& text) {
  static const std::unordered_map<std::string, Pipe> names = {
      {"B", kPipeB},   {"I0", kPipeI0}, {"I1", kPipeI1}, {"M", kPipeM},
      {"L0", kPipeL0}, {"L1", kPipeL1}, {"V0", kPipeV0}, {"V1", kPipeV1}};
  if (text == "-") return 0;
  uint8_t pipes = 0;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    auto found = names.find(part);
    if (found == names.end()) throw std::runtime_error("unknown pipe '" + part + "'");
    pipes |= found->second;
  }
  return pipes;
}

uint8_t small(const std::string& text) { return static_cast<uint8_t>(std::stoul(text)); }

// micro-ops pipes latency: where a load's data go when they have arrived
void parse_data_path(const std::vector<std::string>& fields, Cost& cost) {
  cost.data_micro_ops = small(fields[0]);
  cost.data_pipes = parse_pipes(fields[1]);
  cost.data_latency = small(fields[2]);
  if (!cost.data_micro_ops || !cost.data_pipes) throw std::runtime_error("no pipe for the data");
  // They start as many a cycle as there are pipes.
  int starts = 1 + (cost.data_micro_ops - 1) / __builtin_popcount(cost.data_pipes);
  cost.data_lead = static_cast<uint8_t>(cost.data_latency + starts - 1);
  if (cost.data_lead >= cost.latency) {
    throw std::runtime_error("the latency does not include that of the data's pipes");
  }
}

// latency accumulate occupancy | neon memory stagger pairing   (in order)
//                              | micro-ops pipes               (out of order)
//                              | micro-ops pipes, micro-ops pipes latency   (so, some loads)
Cost parse_cost(const std::vector<std::string>& fields, bool out_of_order, bool load) {
  size_t expected = out_of_order ? 5 : 7;
  bool data_path = out_of_order && load && fields.size() == expected + 3;
  if (fields.size() != expected && !data_path) {
    throw std::runtime_error("expected " + std::to_string(expected) + " columns" +
                             (out_of_order && load ? ", or 8" : ""));
  }
  Cost cost;
  cost.latency = small(fields[0]);
  cost.accumulate = small(fields[1]);
  cost.occupancy = small(fields[2]);
  if (out_of_order) {
    cost.micro_ops = small(fields[3]);
    cost.pipes = parse_pipes(fields[4]);
    if (data_path) parse_data_path({fields.begin() + 5, fields.end()}, cost);
    return cost;
  }
  cost.neon_slots = small(fields[3]);
  cost.memory_cycles = small(fields[4]);
  cost.stagger = small(fields[5]);
  if (fields[6] != "dual" && fields[6] != "alone") {
    throw std::runtime_error("'" + fields[6] + "' is neither dual nor alone");
  }
  cost.issues_alone = fields[6] == "alone";
  return cost;
}

std::vector<std::string> split(const std::string& line) {
  std::istringstream in(line.substr(0, line.find('#')));
  std::vector<std::string> fields;
  for (std::string field; in >> field;) fields.push_back(field);
  return fields;
}

bool is_power_of_two(int value) { return value > 0 && (value & (value - 1)) == 0; }

void check_cache(const char* name, int kib, int ways) {
  if (ways < 1 || !is_power_of_two(kib * 1024 / 64 / ways)) {
    throw std::runtime_error(std::string(name) + ": the number of sets is no power of two");
  }
}

void check_present(const Names& names, const std::unordered_set<std::string>& given) {
  for (const auto& [name, place] : names) {
    if (!given.count(name)) throw std::runtime_error("parameter '" + name + "' is missing");
  }
}

void check(const CoreFile& core, const std::unordered_set<std::string>& given) {
  const CoreParameters& p = core.parameters;
  check_present(kAlways, given);
  check_present(p.out_of_order ? kOutOfOrder : kInOrder, given);
  if (p.l3_kib) check_present(kWithL3, given);
  for (const std::string& row : all_rows()) {
    if (!core.costs.count(row)) throw std::runtime_error("no row for '" + row + "'");
  }
  check_cache("l1", p.l1_kib, p.l1_ways);
  check_cache("l2", p.l2_kib, p.l2_ways);
  if (p.l3_kib) check_cache("l3", p.l3_kib, p.l3_ways);
}

// A line is empty, a parameter with its value, or the row of an operation.
void read_line(const std::string& line, CoreFile& core, std::unordered_set<std::string>& given) {
  std::vector<std::string> fields = split(line);
  if (fields.empty()) return;
  std::string name = fields[0];
  fields.erase(fields.begin());
  if (auto parameter = find_parameter(name)) {
    if (fields.size() != 1) throw std::runtime_error("one value expected after " + name);
    core.parameters.*(*parameter) = std::stoi(fields[0]);
    given.insert(name);
  } else {
    bool load = name.compare(0, 4, "load") == 0;
    core.costs[name] = parse_cost(fields, core.parameters.out_of_order, load);
  }
}

}  // namespace

CoreFile read_core_file(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error(path + ": cannot be read");
  CoreFile core;
  std::unordered_set<std::string> given;
  int line_number = 0;
  try {
    for (std::string line; std::getline(in, line);) {
      line_number++;
      read_line(line, core, given);
    }
    check(core, given);
  } catch (const std::exception& error) {
    throw std::runtime_error(path + ":" + std::to_string(line_number) + ": " + error.what());
  }
  return core;
}

}  // namespace board_model
