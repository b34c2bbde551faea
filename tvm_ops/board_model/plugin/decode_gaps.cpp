// Instructions newer than capstone 4.0.2 (Debian 12): Armv8.1 atomics and rounding multiply-adds,
// Armv8.2 half precision and dot products, which are all that a Cortex-A76 adds.
//
// A rule is tried after those above it, so a general rule closes the space that special ones leave.
// No rule takes an instruction that capstone 4.0.2 knows. Capstone 5 knows some of these, under
// numbers that families.cpp does not have, so that rules come first.
// Encodings: Arm Architecture Reference Manual for A-profile, section C4.1.

#include <string>

#include "decode.h"

namespace board_model {
namespace {

enum class Fields {
  vector_2,             // Vd, Vn
  vector_3,             // Vd, Vn, Vm
  vector_accumulate,    // Vd is also the accumulator
  element_3,            // Vd, Vn, Vm with four register bits
  element_accumulate,   // as element_3, and Vd is also the accumulator
  scalar_fused,         // Vd, Vn, Vm, Va the accumulator
  scalar_select,        // Vd, Vn, Vm and the flags
  scalar_compare,       // flags from Vn, Vm
  scalar_compare_if,    // flags from Vn, Vm and the flags
  immediate,            // Vd
  gpr_to_vector,        // Vd, Rn
  vector_to_gpr,        // Rd, Vn
  atomic,               // load Rt from [Rn], with Rs
  compare_and_swap,     // Rs is compared and loaded, Rt stored, at [Rn]
};

struct Rule {
  uint32_t mask;
  uint32_t value;
  const char* row;  // without ".64" or ".128" where there are both
  Fields fields;
};

const Rule kRules[] = {
    // Half-precision scalars.
    {0xFFC00000, 0x1FC00000, "fmla", Fields::scalar_fused},
    {0xFFE07C00, 0x1EE00800, "fmul", Fields::vector_3},  // fmul, fnmul
    {0xFFE0FC00, 0x1EE01800, "fdiv", Fields::vector_3},
    {0xFFE00C00, 0x1EE00800, "fadd", Fields::vector_3},
    {0xFFE00C00, 0x1EE00C00, "fadd", Fields::scalar_select},
    {0xFFE00C00, 0x1EE00400, "fcompare", Fields::scalar_compare_if},
    {0xFFE03C00, 0x1EE02000, "fcompare", Fields::scalar_compare},
    {0xFFE01C00, 0x1EE01000, "move_immediate", Fields::immediate},
    {0xFFFFFC00, 0x1EE1C000, "fsqrt", Fields::vector_2},
    {0xFFFF7C00, 0x1EE04000, "fmove", Fields::vector_2},     // fmov, fabs
    {0xFFFFFC00, 0x1EE14000, "fmove", Fields::vector_2},     // fneg
    {0xFFFC7C00, 0x1EE44000, "fconvert", Fields::vector_2},  // frint
    {0x7FFEFC00, 0x1EE20000, "gpr_to_vector", Fields::gpr_to_vector},  // scvtf, ucvtf
    {0x7FFFFC00, 0x1EE70000, "gpr_to_vector", Fields::gpr_to_vector},  // fmov
    {0x7FE0FC00, 0x1EE00000, "vector_to_gpr", Fields::vector_to_gpr},
    {0x7FFE0000, 0x1EC20000, "gpr_to_vector", Fields::gpr_to_vector},  // fixed point
    {0x7FFE0000, 0x1ED80000, "vector_to_gpr", Fields::vector_to_gpr},
    // Half-precision pairs, reduced to a scalar: fmaxnmp, faddp, fmaxp.
    {0xFF7FFC00, 0x5E30C800, "fadd", Fields::vector_2},
    {0xFF7FFC00, 0x5E30D800, "fadd", Fields::vector_2},
    {0xFF7FFC00, 0x5E30F800, "fadd", Fields::vector_2},

    // Dot products, sdot and udot: vectors, then by element.
    {0x9FE0FC00, 0x0E809400, "dot", Fields::vector_accumulate},
    {0x9FC0F400, 0x0F80E000, "dot", Fields::vector_accumulate},
    // sqrdmlah, sqrdmlsh: vectors, then by element.
    {0xBF20F400, 0x2E008400, "vector_mac", Fields::vector_accumulate},
    {0xBFC0D400, 0x2F40D000, "vector_mac", Fields::element_accumulate},
    {0xBFC0D400, 0x2F80D000, "vector_mac", Fields::vector_accumulate},
    // fmlal, fmlsl, fmlal2, fmlsl2: halves multiplied into singles.
    {0xBF60FC00, 0x0E20EC00, "fmla", Fields::vector_accumulate},
    {0xBF60FC00, 0x2E20CC00, "fmla", Fields::vector_accumulate},
    {0xBFC0B400, 0x0F800000, "fmla", Fields::element_accumulate},
    {0xBFC0B400, 0x2F808000, "fmla", Fields::element_accumulate},

    // Half-precision vectors, three registers.
    {0xBF60FC00, 0x0E400C00, "fmla", Fields::vector_accumulate},  // fmla, fmls
    {0x9FE0FC00, 0x0E401C00, "fmul", Fields::vector_3},           // fmul, fmulx
    {0xBF60FC00, 0x0E403C00, "fmla", Fields::vector_3},           // frecps, frsqrts
    {0xBFE0FC00, 0x2E403C00, "fdiv", Fields::vector_3},
    {0x9F60C400, 0x0E400400, "fadd", Fields::vector_3},
    // Half-precision vectors, two registers.
    {0x9F7FFC00, 0x0E78C800, "fadd", Fields::vector_2},  // compares with zero
    {0x9F7FFC00, 0x0E78D800, "fadd", Fields::vector_2},
    {0x9F7FFC00, 0x0E78E800, "fadd", Fields::vector_2},
    {0x9F7FFC00, 0x0E78F800, "fmove", Fields::vector_2},  // fabs, fneg
    {0xBFFFFC00, 0x2EF9F800, "fsqrt", Fields::vector_2},
    {0x9FFFFC00, 0x0EF9D800, "festimate", Fields::vector_2},
    {0x9F7E0C00, 0x0E780800, "fconvert", Fields::vector_2},
    {0xBF7FFC00, 0x0E30C800, "freduce", Fields::vector_2},  // fmaxnmv, fminnmv
    {0xBF7FFC00, 0x0E30F800, "freduce", Fields::vector_2},  // fmaxv, fminv
    // Half-precision vectors, by element.
    {0xBFC0B400, 0x0F001000, "fmla", Fields::element_accumulate},  // fmla, fmls
    {0x9FC0F400, 0x0F009000, "fmul", Fields::element_3},           // fmul, fmulx
    {0xBFF8FC00, 0x0F00FC00, "move_immediate", Fields::immediate},

    // Armv8.1 atomics, Armv8.3 ldapr.
    {0x3FA07C00, 0x08A07C00, "load.gpr", Fields::compare_and_swap},  // cas
    {0xBFA07C00, 0x08207C00, "load.gpr", Fields::compare_and_swap},  // casp
    {0x3F200C00, 0x38200000, "load.gpr", Fields::atomic},
};

// The scalar forms of Advanced SIMD are the 64-bit vector ones with bits 28 and 30 set.
uint32_t as_vector(uint32_t word) {
  bool scalar = (word & 0xDE000000) == 0x5E000000;
  return scalar ? word & ~0x50000000u : word;
}

bool matches(const Rule& rule, uint32_t word) {
  return (word & rule.mask) == rule.value || (as_vector(word) & rule.mask) == rule.value;
}

int general_or_zero(int field) { return field == 31 ? kNone : field; }
int general_or_sp(int field) { return field == 31 ? kStackPointer : field; }

// The register fields of an instruction word.
struct Word {
  int rd, rn, rm, ra;

  explicit Word(uint32_t word)
      : rd(word & 31), rn(word >> 5 & 31), rm(word >> 16 & 31), ra(word >> 10 & 31) {}
};

void use_vectors(const Word& w, Fields fields, Operation& operation) {
  bool element = fields == Fields::element_3 || fields == Fields::element_accumulate;
  operation.add_write(kFirstVector + w.rd);
  operation.add_read(kFirstVector + w.rn);
  if (fields == Fields::vector_2) return;
  operation.add_read(kFirstVector + (element ? w.rm & 15 : w.rm));
  if (fields == Fields::scalar_select) operation.add_read(kFlags);
  if (fields == Fields::vector_accumulate || fields == Fields::element_accumulate ||
      fields == Fields::scalar_fused) {
    operation.accumulator = static_cast<int8_t>(operation.n_reads);
    operation.add_read(kFirstVector + (fields == Fields::scalar_fused ? w.ra : w.rd));
  }
}

void use_memory(const Word& w, Fields fields, Operation& operation) {
  operation.kind = Kind::load;
  operation.add_read(general_or_sp(w.rn));
  operation.n_address_reads = operation.n_reads;
  operation.add_read(general_or_zero(w.rm));
  if (fields == Fields::compare_and_swap) {
    operation.add_read(general_or_zero(w.rd));
    operation.add_write(general_or_zero(w.rm));
  } else {
    operation.add_write(general_or_zero(w.rd));
  }
}

void use_fields(const Word& w, Fields fields, Operation& operation) {
  switch (fields) {
    case Fields::scalar_compare:
    case Fields::scalar_compare_if:
      operation.add_write(kFlags);
      operation.add_read(kFirstVector + w.rn);
      operation.add_read(kFirstVector + w.rm);
      if (fields == Fields::scalar_compare_if) operation.add_read(kFlags);
      break;
    case Fields::immediate:
      operation.add_write(kFirstVector + w.rd);
      break;
    case Fields::gpr_to_vector:
      operation.add_write(kFirstVector + w.rd);
      operation.add_read(general_or_zero(w.rn));
      break;
    case Fields::vector_to_gpr:
      operation.add_write(general_or_zero(w.rd));
      operation.add_read(kFirstVector + w.rn);
      break;
    case Fields::atomic:
    case Fields::compare_and_swap:
      use_memory(w, fields, operation);
      break;
    default:
      use_vectors(w, fields, operation);
  }
}

}  // namespace

bool decode_gap(uint32_t word, Decoded& out) {
  for (const Rule& rule : kRules) {
    if (!matches(rule, word)) continue;
    use_fields(Word(word), rule.fields, out.operation);
    out.row = rule.row;
    bool one_width = out.operation.is_memory() || rule.fields == Fields::gpr_to_vector ||
                     rule.fields == Fields::vector_to_gpr;
    if (!one_width) out.row += as_vector(word) >> 30 & 1 ? ".128" : ".64";
    return true;
  }
  return false;
}

}  // namespace board_model
