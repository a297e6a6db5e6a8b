// The line discipline: lines, editing, echoes, output processing, VMIN and VTIME, settings. Prints the same
// on Linux.
#include <asm/ioctls.h>
#include <sys/param.h>

#include <functional>

#include "tests/boot/programs/tty_checks.h"

namespace {

using Change = std::function<void(termios&)>;

void without_change(termios&) {}

// Types a text whose last line holds a "~"; prints the reads that it becomes, and what the master sees.
void lines(const char* what, const std::string& typed, const Change& body = without_change,
           size_t room = 100) {
  const Pair pair = open_pair();
  change(pair.terminal, body);
  type(pair.master, typed);
  printf("%s:", what);
  for (std::string text; text.find('~') == std::string::npos;) {
    char buffer[6000];
    const ssize_t got = read(pair.terminal, buffer, room);
    CHECK(got >= 0);
    text.assign(buffer, static_cast<size_t>(got));
    printf(" [%s]", escaped(text).c_str());
  }
  type(pair.terminal, "|");
  printf(" shown %s\n", escaped(read_until(pair.master, "|")).c_str());
  close_pair(pair);
}

void print_lines() {
  lines("a line", "hello~\r");
  lines("two", "one\ntwo~\n");
  lines("parts", "one two~\n", without_change, 3);
  lines("erase",
        "abx\x7f"
        "c\x7f\x7f\x7f\x7f\x7fz~\n");
  lines("kill", "gone\x15ok~\n");
  lines("word", "first second  \x17third foo-bar_1\x17~\n");
  lines("control", "\x01\x02\x7f~\n");
  lines("tab", "ab\t\x7f\t\tc\x7f\x7f~\n");
  lines("tab after control", "\x01\t\x7f~\n");
  lines("characters", "a\xc3\xa4\x7f~\n", [](termios& t) { t.c_iflag |= IUTF8; });
  lines("bytes", "a\xc3\xa4\x7f~\n");
  lines("characters and tab", "\xc3\xa4\t\x7f~\n", [](termios& t) { t.c_iflag |= IUTF8; });
  lines("end of file", "part\x04~\n");
  lines("end of file alone", "\x04\x04~\n");
  lines("end of file at the edge", "abc\x04~\n", without_change, 3);
  lines("end of line", "a;b?~\n", [](termios& t) {
    t.c_cc[VEOL] = ';';
    t.c_cc[VEOL2] = '?';
  });
  lines("end of line, plain", "a;b?~\n", [](termios& t) {
    t.c_cc[VEOL2] = '?';
    t.c_lflag &= ~tcflag_t{IEXTEN};
  });
  lines("literal", "a\x16\x03\x16\x7f\x16\n\x16\x04~\n");
  lines("reprint", "ab\x01\x12~\n");
  lines("no echo", "abc\x7f\x17\x15\x12x~\n", [](termios& t) { t.c_lflag &= ~tcflag_t{ECHO}; });
  lines("echo of newlines", "abc~\n", [](termios& t) {
    t.c_lflag &= ~tcflag_t{ECHO};
    t.c_lflag |= ECHONL;
  });
  lines("control as it is", "\x01\x7f\x01~\n", [](termios& t) { t.c_lflag &= ~tcflag_t{ECHOCTL}; });
  lines("no ECHOE", "ab\x7f\x17~\n", [](termios& t) { t.c_lflag &= ~tcflag_t{ECHOE}; });
  lines("no ECHOKE", "ab\x15~\n", [](termios& t) { t.c_lflag &= ~tcflag_t{ECHOKE}; });
  lines("no ECHOK", "ab\x15~\n", [](termios& t) { t.c_lflag &= ~tcflag_t{ECHOK}; });
  lines("ECHOPRT",
        "abc\x7f\x7f"
        "d\x17\x15~\n",
        [](termios& t) { t.c_lflag |= ECHOPRT; });
  lines("no ICRNL", "a\rb~\n", [](termios& t) { t.c_iflag &= ~tcflag_t{ICRNL}; });
  lines("IGNCR", "a\rb~\n", [](termios& t) { t.c_iflag |= IGNCR; });
  lines("INLCR", "a\nb~\r", [](termios& t) { t.c_iflag |= INLCR; });
  lines("ISTRIP", "\xe1\xe2~\n", [](termios& t) { t.c_iflag |= ISTRIP; });
  lines("word of letters", "a \xe4\xc4\xd7\xdf\x17~\n");
  lines("IUCLC", "AbC\xc4\xd7~\n", [](termios& t) { t.c_iflag |= IUCLC; });
  lines("PARMRK", "a\xff~\n", [](termios& t) { t.c_iflag |= PARMRK; });
  lines("no ISIG", "\x03\x1c\x1a~\n", [](termios& t) { t.c_lflag &= ~tcflag_t{ISIG}; });
  lines("no IXON", "\x13\x11~\n", [](termios& t) { t.c_iflag &= ~tcflag_t{IXON}; });
  lines("keys that are off", std::string("\0a\x7f~\n", 5),
        [](termios& t) { t.c_cc[VERASE] = t.c_cc[VINTR] = 0; });
  const auto raw = [](termios& t) { t.c_lflag &= ~tcflag_t{ICANON}; };
  lines("not by line", "~", raw);
  lines("not by line, newline", "~\n", [](termios& t) {
    t.c_lflag &= ~tcflag_t{ICANON};
    t.c_cc[VMIN] = 2;
  });
  lines("not by line, return", "\r~", [](termios& t) {
    t.c_lflag &= ~tcflag_t{ICANON};
    t.c_cc[VMIN] = 2;
  });
  lines("external", "a\x7f\x03\r~", [](termios& t) {
    t.c_lflag |= EXTPROC;
    t.c_cc[VMIN] = 5;
  });
  lines("no OPOST", "a~\n", [](termios& t) { t.c_oflag &= ~tcflag_t{OPOST}; });
}

void print_output(const char* what, const std::string& text, tcflag_t flags) {
  const Pair pair = open_pair();
  change(pair.terminal, [&](termios& t) { t.c_oflag = flags; });
  CHECK(write(pair.terminal, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  type(pair.terminal, "|");
  printf("%s: %s\n", what, escaped(read_until(pair.master, "|")).c_str());
  close_pair(pair);
}

void print_outputs() {
  print_output("ONLCR", "a\nb\r\n\t\b", OPOST | ONLCR);
  print_output("none", "a\nb\r\n", 0);
  print_output("OPOST", "a\nb\r\n", OPOST);
  print_output("OCRNL", "a\rb", OPOST | OCRNL);
  print_output("OCRNL ONLCR", "a\rb", OPOST | OCRNL | ONLCR);
  print_output("ONOCR", "\r\rb\r\rc\n\r", OPOST | ONOCR | ONLCR);
  print_output("ONOCR ONLRET", "ab\n\rc", OPOST | ONOCR | ONLRET);
  print_output("OLCUC", "aBc\xe4", OPOST | OLCUC);
  print_output("XTABS", "a\tbcdefghi\tx\by\t", OPOST | XTABS);
  print_output("XTABS ONLCR", "abc\n\t", OPOST | XTABS | ONLCR);
}

void print_long_lines() {
  const Pair pair = open_pair();
  change(pair.terminal, [](termios& t) { t.c_lflag &= ~tcflag_t{ECHO}; });
  type(pair.master, std::string(3000, 'a') + std::string(3000, 'b') + "\n");
  char buffer[8000];
  const ssize_t got = read(pair.terminal, buffer, sizeof buffer);
  printf("a line of 6000: %zd bytes, ends %s\n", got, escaped(std::string(&buffer[got - 3], 3)).c_str());
  type(pair.master, std::string(5000, 'a') + "\x7f\x7fZ\n");
  const ssize_t second = read(pair.terminal, buffer, sizeof buffer);
  printf("a line of 5000 edited: %zd bytes, ends %s\n", second,
         escaped(std::string(&buffer[second - 3], 3)).c_str());
  // Whole lines wait; what is beyond all bounds makes the writer wait.
  set_flags(pair.master, O_RDWR | O_NONBLOCK);
  long typed = 0;
  for (int idle = 0; idle < 100;) {
    const ssize_t wrote = write(pair.master, "\n\n\n\n\n\n\n\n\n\n", 10);
    CHECK(wrote > 0 || errno == EAGAIN);
    typed += wrote > 0 ? wrote : 0;
    idle = wrote > 0 ? 0 : idle + 1;
    sched_yield();
  }
  printf("bounded %d\n", typed >= 4095 && typed < 65536);
  printf("not writable: %x\n", events_of(pair.master, POLLOUT));
  long counted = 0;
  while (counted < typed) {
    const ssize_t piece = read(pair.terminal, buffer, sizeof buffer);
    CHECK(piece == 1);
    counted += piece;
  }
  printf("all there %d\n", counted == typed);
  await_event(pair.master, POLLOUT);
  close_pair(pair);
}

void print_modes() {
  Pair pair = open_pair();
  change(pair.terminal, [](termios& t) { t.c_lflag &= ~tcflag_t{ECHO}; });
  char buffer[100];
  const auto print_read = [&](const char* what, size_t room = sizeof buffer) {
    errno = 0;
    const ssize_t got = read(pair.terminal, buffer, room);
    if (got < 0) {
      printf("%s: %s\n", what, strerrorname_np(errno));
    } else {
      printf("%s: %zd [%s]\n", what, got, escaped(std::string(buffer, static_cast<size_t>(got))).c_str());
    }
  };
  const auto print_bytes = [&](const char* what) {
    int bytes = -1;
    CHECK(ioctl(pair.terminal, FIONREAD, &bytes) == 0);
    printf("%s: %d readable, events %x\n", what, bytes, events_of(pair.terminal));
  };
  const auto vmin = [&](cc_t least, cc_t tenths) {
    change(pair.terminal, [&](termios& t) {
      t.c_lflag &= ~tcflag_t{ICANON};
      t.c_cc[VMIN] = least;
      t.c_cc[VTIME] = tenths;
    });
  };
  print_bytes("nothing");
  type(pair.master,
       "ab\x04"
       "c\n");
  await_bytes(pair.terminal, 4);
  print_bytes("two lines, one by end of file");
  print_read("no room", 0);
  print_read("first");
  print_read("second");
  type(pair.master, "x\ny\x04z");
  await_bytes(pair.terminal, 3);
  vmin(1, 0);
  print_bytes("lines that are none any more");
  print_read("with a mark");
  type(pair.master, "one\ntwo");
  await_bytes(pair.terminal, 7);
  change(pair.terminal, [](termios& t) { t.c_lflag |= ICANON; });
  print_bytes("bytes that are a line now");
  print_read("that line");
  vmin(0, 0);
  print_read("at once");
  set_flags(pair.terminal, O_RDWR | O_NONBLOCK);
  print_read("at once, not blocking");
  vmin(0, 1);
  print_read("timed, not blocking");
  vmin(1, 0);
  print_read("one, not blocking");
  set_flags(pair.terminal, O_RDWR);
  vmin(0, 1);
  print_read("timed");
  type(pair.master, "q");
  print_read("timed, there");
  vmin(3, 0);
  type(pair.master, "12");
  await_bytes(pair.terminal, 2);
  print_bytes("two of three");
  type(pair.master, "34");
  await_bytes(pair.terminal, 4);
  print_bytes("four of three");
  print_read("three of four", 3);
  vmin(3, 1);
  print_bytes("one of three, timed");
  print_read("timed between");
  vmin(5, 0);
  const int status = status_of_child([&] {
    for (const char* const c : {"a", "b", "c", "d", "e"}) {
      type(pair.master, c);
      usleep(1000);
    }
  });
  CHECK(status == 0);
  print_read("five");
  type(pair.master, "abc");
  await_bytes(pair.terminal, 3);
  CHECK(tcflush(pair.terminal, TCIFLUSH) == 0);
  print_bytes("flushed");
  type(pair.master, "abc");
  await_bytes(pair.terminal, 3);
  termios settings = settings_of(pair.terminal);
  CHECK(ioctl(pair.terminal, TCSETSF, &settings) == 0);
  print_bytes("flushed by new settings");
  close_pair(pair);
}

void print_words(const char* what, const termios& t) {
  printf("%s: %x %x %x %x line %d:", what, t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_line);
  for (int i = 0; i < 17; ++i) {
    printf(" %x", t.c_cc[i]);
  }
  printf("\n");
}

// struct termios2, which the C library's headers do not have beside its own.
struct Settings2 {
  tcflag_t words[4];
  cc_t line;
  cc_t keys[19];
  speed_t input;
  speed_t output;
};
constexpr unsigned long kGet2 = _IOR('T', 0x2a, Settings2), kSet2 = _IOW('T', 0x2b, Settings2);

void print_settings() {
  const Pair pair = open_pair();
  print_words("at first", settings_of(pair.terminal));
  print_words("of the master", settings_of(pair.master));
  change(pair.terminal, [](termios& t) {
    t.c_iflag = t.c_oflag = t.c_lflag = ~tcflag_t{EXTPROC};
    t.c_cflag = B9600 | CS7 | PARENB | PARODD | CLOCAL | CSTOPB;
    t.c_line = 3;
  });
  print_words("all bits", settings_of(pair.terminal));
  Settings2 settings;
  CHECK(ioctl(pair.terminal, kGet2, &settings) == 0);
  printf("speeds %u %u\n", settings.input, settings.output);
  for (const unsigned code : {0u, 1u, 017u, 010001u, 010017u, 010000u}) {
    settings.words[2] = code | CS8;
    settings.input = 1111;
    settings.output = 2222;
    CHECK(ioctl(pair.terminal, kSet2, &settings) == 0);
    CHECK(ioctl(pair.terminal, kGet2, &settings) == 0);
    printf("code %o: speeds %u %u, word %o\n", code, settings.input, settings.output, settings.words[2]);
  }
  settings.words[2] = 010000u | (010000u << 16) | CS8;
  settings.input = 33;
  settings.output = 44;
  CHECK(ioctl(pair.terminal, kSet2, &settings) == 0);
  CHECK(ioctl(pair.terminal, kGet2, &settings) == 0);
  printf("both: speeds %u %u, word %o\n", settings.input, settings.output, settings.words[2]);
  struct {
    unsigned short words[4];
    unsigned char line;
    unsigned char keys[8];
  } old;
  CHECK(ioctl(pair.terminal, TCGETA, &old) == 0);
  printf("old: %x %x %x %x line %d, interrupt %x\n", old.words[0], old.words[1], old.words[2], old.words[3],
         old.line, old.keys[0]);
  old.words[3] = ICANON | ISIG;
  old.keys[0] = 'i';
  CHECK(ioctl(pair.terminal, TCSETAW, &old) == 0);
  print_words("after an old one", settings_of(pair.terminal));
  close_pair(pair);
}

}  // namespace

int main() {
  check("lines", print_lines);
  check("output", print_outputs);
  check("long lines", print_long_lines);
  check("modes", print_modes);
  check("settings", print_settings);
  return finish();
}
