// What a thread owes others in the memory that it leaves, at exit and exec: mutexes that it may still hold,
// and the word that says that it is there.
#pragma once

namespace nopte::guest {

struct Thread;

// Whether there is anything of that. The thread's space is active, here and below.
[[nodiscard]] bool owes_words(const Thread& self);
// Marks what the running thread still holds as its owner's death left it, and wakes one waiter of each.
// Memory that is bad ends the walk. Then clears its word (CLONE_CHILD_CLEARTID), and wakes one who waits for
// that; as on Linux not where nobody else sees the space.
void settle_words(Thread& self);

}  // namespace nopte::guest
