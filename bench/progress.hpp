// A sign of life on standard error, which leaves standard output to the results.
#pragma once

#include <string>

namespace bench {

// On a terminal, one line that is overwritten; elsewhere a line every few seconds.
void show_progress(const std::string &name);

// Clears that line.
void end_progress();

} // namespace bench
