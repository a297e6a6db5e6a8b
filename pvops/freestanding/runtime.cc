// The C++ runtime that the images have: none. What the compiler and the headers refer to either cannot
// happen here, or is our own bug and ends in panic().
#include <cstddef>

#include "pvops/base/panic.h"

extern "C" {
void* __dso_handle = nullptr;
// Static objects are never destroyed.
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
[[noreturn]] void __cxa_pure_virtual() { NOPTE_PANIC("pure virtual call"); }
[[noreturn]] void abort() { NOPTE_PANIC("abort"); }
}

// Referenced by virtual destructors; nothing is allocated by new.
void operator delete(void*) noexcept { NOPTE_PANIC("operator delete"); }
void operator delete(void*, std::size_t) noexcept { NOPTE_PANIC("operator delete"); }

namespace std {
[[noreturn]] void terminate() noexcept { NOPTE_PANIC("std::terminate"); }
[[noreturn]] void __throw_out_of_range_fmt(const char* what, ...) { NOPTE_PANIC(what); }
[[noreturn]] void __throw_length_error(const char* what) { NOPTE_PANIC(what); }
[[noreturn]] void __throw_logic_error(const char* what) { NOPTE_PANIC(what); }
}  // namespace std

namespace boost {
[[noreturn]] void assertion_failed(const char* expression, const char*, const char* file, long line) {
  ::nopte::panic(expression, file, static_cast<int>(line));
}
[[noreturn]] void assertion_failed_msg(const char*, const char* message, const char*, const char* file,
                                       long line) {
  ::nopte::panic(message, file, static_cast<int>(line));
}
}  // namespace boost
