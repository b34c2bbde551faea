// Which row of a core file an instruction takes, and how it uses its destination.
#pragma once

namespace board_model {

// How registers are used beyond "the first operand is written, the others are read".
// Capstone 4.0's own access flags are wrong for aliases and accumulators, so they are not used.
enum class Use {
  write,            // nothing beyond it
  modify,           // the destination is read too
  accumulate,       // the destination is read too, and may be forwarded late
  accumulate_last,  // the last operand is the accumulator (madd, fmadd)
  compare,          // there is no destination
};

struct Family {
  const char* row;
  Use use = Use::write;
  bool always_128 = false;  // works on 128-bit results whatever its operands say
};

// The family of a capstone instruction id: on general registers, or on SIMD&FP registers.
Family general_family(unsigned id);
Family vector_family(unsigned id);

}  // namespace board_model
