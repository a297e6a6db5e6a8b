// What the boot tests of files share: helpers on top of checks.h, and a start that is the same everywhere.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/boot/programs/checks.h"

inline constexpr size_t kPage = 4096;

inline std::string contents(const char* path) {
  const int file = open(path, O_RDONLY);
  CHECK(file >= 0);
  std::string text;
  char buffer[777];
  ssize_t got;
  while ((got = read(file, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  CHECK(got == 0);
  CHECK(close(file) == 0);
  return text;
}

inline void put(const char* path, const std::string& text) {
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  CHECK(file >= 0);
  CHECK(write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  CHECK(close(file) == 0);
}

inline struct stat stat_of(const char* path) {
  struct stat info;
  CHECK(stat(path, &info) == 0);
  return info;
}

inline std::vector<std::string> names_in(const char* path) {
  DIR* directory = opendir(path);
  CHECK(directory != nullptr);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) {
    names.emplace_back(entry->d_name);
  }
  CHECK(closedir(directory) == 0);
  std::sort(names.begin(), names.end());
  return names;
}

inline std::string pattern(size_t bytes) {
  std::string text(bytes, 0);
  unsigned state = 1;
  for (char& c : text) {
    state = state * 1103515245 + 12345;
    c = static_cast<char>(state >> 16);
  }
  return text;
}

// A fresh directory below /tmp, no inherited descriptors, signal mask or ignored signals, and the guest's
// limits.
inline void begin_with_fresh_directory() {
  sigset_t none;
  sigemptyset(&none);
  CHECK(sigprocmask(SIG_SETMASK, &none, nullptr) == 0);
  for (const int number : {SIGPIPE, SIGALRM, SIGCHLD, SIGUSR1}) {
    CHECK(signal(number, SIG_DFL) != SIG_ERR);
  }
  CHECK(close_range(3, ~0u, 0) == 0);
  const rlimit limit = {1024, 1024};
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  mkdir("/tmp", 01777);
  char folder[] = "/tmp/nopte-files-XXXXXX";
  CHECK(mkdtemp(folder) != nullptr && chdir(folder) == 0);
  umask(022);
}
