// What exec needs of a process with several threads.
#pragma once

namespace nopte::guest {

// Ends all threads but the running one and waits until they have. False: the process is to end, or another
// thread's exec ends this one; the caller returns to user mode, where it does.
[[nodiscard]] bool end_other_threads();
// The running thread, alone now and not the leader, goes on as the leader, which ended: on its stack, with
// its tid, which is the pid. `entry` gets the leader's Thread, with the registers of the running one. Files,
// memory, mask, what is pending and the name come along, FPU and thread pointer are new.
[[noreturn]] void go_on_as_leader(void (*entry)(void*));

}  // namespace nopte::guest
