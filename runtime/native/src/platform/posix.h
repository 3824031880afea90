// Between posix.cpp and the file that has the system's way of waiting.
#pragma once

#include "platform/platform.h"

namespace leanbert::platform {

// Called in a forked child, where no other thread exists: whatever was locked is free.
void reset_waits();

}  // namespace leanbert::platform
