// What programs about bytes out of band share.
#pragma once

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <string>

#include "tests/boot/programs/checks.h"

#ifndef SIOCATMARK
#define SIOCATMARK 0x8905
#endif

inline int at_mark(int made) {
  int answer = -1;
  CHECK(ioctl(made, SIOCATMARK, &answer) == 0);
  return answer;
}
inline int waiting(int made) {
  int answer = -1;
  CHECK(ioctl(made, FIONREAD, &answer) == 0);
  return answer;
}
inline int urgent_events(int made, short wanted = POLLIN | POLLPRI) {
  pollfd one = {made, wanted, 0};
  CHECK(poll(&one, 1, 0) >= 0);
  return one.revents;
}
inline void print_state(int made) {
  printf("  mark %d, waiting %d, events %x\n", at_mark(made), waiting(made), urgent_events(made));
}
// What one recv gives, or its errno.
inline void print_next(int made, int flags = 0, size_t room = 16) {
  char buffer[16] = {};
  const ssize_t got = recv(made, buffer, room, flags | MSG_DONTWAIT);
  printf("  recv %x: %zd %s\n", flags, got,
         got < 0 ? strerrorname_np(errno) : std::string(buffer, static_cast<size_t>(got)).c_str());
}

// "abcd", the byte, "ef" are on their way to it: what there is at each step to the end.
inline void print_around_mark(int receiver) {
  print_state(receiver);
  print_next(receiver, MSG_OOB | MSG_PEEK);
  print_next(receiver, MSG_OOB);
  print_next(receiver, MSG_OOB);
  print_state(receiver);
  print_next(receiver, MSG_PEEK);
  print_next(receiver, 0, 3);
  print_state(receiver);
  print_next(receiver);
  print_state(receiver);
  print_next(receiver, MSG_PEEK);
  print_next(receiver);
  print_state(receiver);
}
