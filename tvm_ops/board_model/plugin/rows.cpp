#include "decode.h"

namespace board_model {

std::vector<std::string> all_rows() {
  std::vector<std::string> rows = {"alu",    "alu_shift",       "multiply", "multiply_64",
                                   "divide", "branch",          "branch_indirect",
                                   "nop",    "system",          "gpr_to_vector",
                                   "vector_to_gpr"};
  for (const char* stem :
       {"vector_alu", "bit_select", "vector_shift", "vector_shift_complex", "vector_multiply",
        "vector_mac", "add_long_pairwise", "accumulate_pairwise", "across", "permute", "table1",
        "table2", "table3", "table4", "popcount", "dup_from_gpr", "move_immediate", "fadd",
        "fcompare", "fmul", "fmla", "fdiv", "fsqrt", "fconvert", "fconvert_resize", "festimate",
        "fmove", "freduce", "dot"}) {
    rows.push_back(std::string(stem) + ".64");
    rows.push_back(std::string(stem) + ".128");
  }
  rows.insert(rows.end(), {"vector_multiply_long.128", "vector_mac_long.128"});
  for (const char* direction : {"load", "store"}) {
    std::string stem = direction;
    for (const char* data : {".gpr", ".64", ".128", "_pair.gpr32", "_pair.gpr64", "_pair.32",
                             "_pair.64", "_pair.128"}) {
      rows.push_back(stem + data);
    }
    for (int count = 1; count <= 4; count++) {
      std::string registers = "x" + std::to_string(count);
      rows.push_back(stem + "_multiple.64" + registers);
      rows.push_back(stem + "_multiple.128" + registers);
      rows.push_back(stem + "_lane." + registers);
      if (stem == "load") rows.push_back("load_duplicate." + registers);
      if (count == 1) continue;
      rows.push_back(stem + "_interleaved.64" + registers);
      rows.push_back(stem + "_interleaved.128" + registers);
    }
  }
  return rows;
}

}  // namespace board_model
