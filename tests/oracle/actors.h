// Operations that make, end and signal actors.
#pragma once

#include <stdint.h>

namespace oracle {

void prepare_first_actor();
void do_fork(const int64_t* numbers, int me);
void do_thread(const int64_t* numbers, int me);
void do_end(const int64_t* numbers, int me);
void do_kill(const int64_t* numbers, int me);
void do_signal(const int64_t* numbers, int me);
void do_take(const int64_t* numbers, int me);
void do_deliver(const int64_t* numbers, int me);

}  // namespace oracle
