// Memory of this process, as Linux counts it.
#pragma once

#include <fstream>
#include <string>
#include <string_view>

// "VmRSS:", what the process holds, or "VmHWM:", the most it ever held, in bytes; 0 where it is not known.
inline double resident_bytes(std::string_view entry) {
  std::ifstream status("/proc/self/status");
  for (std::string name; status >> name;) {
    double kilobytes = 0;
    if (name == entry && status >> kilobytes) return 1024 * kilobytes;
  }
  return 0;
}
