// The waits of a block's instructions in the report.
#pragma once

#include <cstdio>

#include "block.h"
#include "core_file.h"

namespace board_model {

// Writes nothing for a block without a profile.
void report_waits(FILE* file, const Block& block, const CoreParameters& parameters);

}  // namespace board_model
