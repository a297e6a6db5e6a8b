// What the boot tests of signals share: handlers that note what they saw.
#pragma once

#include <signal.h>

#include "tests/boot/programs/checks.h"

inline volatile int g_signal, g_code, g_count;
inline volatile pid_t g_sender;

inline void count(int signal, siginfo_t* info, void*) {
  g_signal = signal;
  g_code = info->si_code;
  g_sender = info->si_pid;
  g_count = g_count + 1;
}

inline void install(int signal, void (*handler)(int, siginfo_t*, void*), int flags) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | flags;
  CHECK(sigaction(signal, &action, nullptr) == 0);
}

inline void reset(int signal) { ::signal(signal, SIG_DFL); }
