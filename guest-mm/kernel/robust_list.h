// Mutexes in shared memory that a process may still hold when it ends.
#pragma once

namespace nopte::guest {

struct Process;

// Marks what the running process still holds as its owner's death left it, and wakes one waiter of each.
// Called at exit, while its space is active. Memory that is bad ends the walk.
void release_robust_list(Process& self);

}  // namespace nopte::guest
