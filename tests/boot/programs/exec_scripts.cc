// Files that begin with "#!": which interpreter runs, with which arguments, and what is refused; scripts
// whose interpreters are scripts. The same on Linux.
#include <sys/stat.h>

#include <string>

#include "exec_checks.h"

namespace {

// This program by another name: it prints its arguments.
constexpr char kEcho[] = "/tmp/echo-arguments";
constexpr char kScript[] = "/tmp/exec-script";
constexpr size_t kLineBytes = 256;

void print_text(const char* text) {
  for (; *text != 0; ++text) {
    if (*text < ' ') {
      printf("\\%o", *text);
    } else {
      putchar(*text);
    }
  }
}

int print_arguments(int argc, char** argv) {
  printf(" ");
  for (int index = 0; index < argc; ++index) {
    const size_t bytes = strlen(argv[index]);
    printf(" [");
    if (bytes > 60) {
      printf("%.10s... %zu bytes", argv[index], bytes);
    } else {
      print_text(argv[index]);
    }
    printf("]");
  }
  char name[16] = {};
  FILE* const file = fopen("/proc/self/comm", "r");
  if (file == nullptr || fscanf(file, "%15s", name) != 1) return 1;
  printf(" as %s\n", name);
  return 0;
}

char* const kUsualArguments[] = {const_cast<char*>("zero"), const_cast<char*>("one"),
                                 const_cast<char*>("two words"), nullptr};

void run(const char* name, char* const* arguments = kUsualArguments) {
  printf("%s:\n", name);
  const int status = status_of_child([arguments] {
    char* const environment[] = {nullptr};
    execve(kScript, arguments, environment);
    printf("  %s\n", strerror(errno));
    fflush(stdout);
    _exit(1);
  });
  if (WIFSIGNALED(status)) {
    printf("  signal %d\n", WTERMSIG(status));
  }
}

// What the kernel leaves out of the arguments for a script is not there.
void no_arguments() {
  char* const none[] = {nullptr, const_cast<char*>("behind the end"), nullptr};
  write_program(kScript, "#!/tmp/echo-arguments -x\n", 25);
  run("an empty list", none);
  run("no list", nullptr);
}

void script(const char* name, const std::string& text) {
  write_program(kScript, text.data(), text.size());
  run(name);
}

std::string line(const std::string& rest) { return "#!" + rest; }

std::string numbered(int number) { return "/tmp/exec-script-" + std::to_string(number); }

// exec-script, and `count` - 1 others, each the interpreter of the one before; the last one's is kEcho.
void nested(int count) {
  for (int number = 1; number <= count; ++number) {
    const std::string interpreter = number == count ? kEcho : numbered(number + 1);
    const std::string text = "#!" + interpreter + " argument-" + std::to_string(number) + "\n";
    write_program(number == 1 ? kScript : numbered(number).c_str(), text.data(), text.size());
  }
  run(("nested " + std::to_string(count)).c_str());
}

void lines() {
  const std::string echo = kEcho;
  script("plain", line(echo + "\n"));
  script("an argument", line(echo + " -x\n"));
  script("an argument of words", line(echo + " -x  -y z\n"));
  script("blanks around", line(" \t " + echo + " \t -x \t \n"));
  script("blanks behind", line(echo + "   \n"));
  script("more lines", line(echo + " -x\nsecond line\n"));
  script("no end of line", line(echo));
  script("no end of line, an argument", line(echo + " -x"));
  script("no end of line, blanks", line(echo + " -x  "));
  script("carriage return", line(echo + "\r\n"));
  script("nothing", "#!");
  script("nothing but an end of line", "#!\n");
  script("blanks", "#!   ");
  script("blanks and an end of line", "#! \t \n");
  script("one character", "#");
  script("another sign", "#?" + echo + "\n");
  script("a zero behind the name", line(echo + std::string(1, 0) + " -x\n"));
  script("a zero in the argument", line(echo + " -x" + std::string(1, 0) + "y\n"));
  script("a zero at once", line(std::string(1, 0) + echo + "\n"));
  script("a relative name", line("echo-arguments\n"));
}

void long_lines() {
  const std::string echo = kEcho;
  const auto of_bytes = [](std::string text, size_t bytes, char fill) {
    text.resize(bytes, fill);
    return text;
  };
  for (const size_t bytes : {kLineBytes - 2, kLineBytes - 1, kLineBytes, kLineBytes + 1, size_t{2000}}) {
    const auto name = [bytes](const char* what) {
      return std::string(what) + " of " + std::to_string(bytes);
    };
    script(name("an argument, its line").c_str(), of_bytes(line(echo + " "), bytes, 'a') + "\n");
    script(name("without an end").c_str(), of_bytes(line(echo + " "), bytes, 'a'));
    script(name("a path, its line").c_str(),
           of_bytes(line("/tmp/" + std::string(200, '/')), bytes, 'p') + "\n");
    script(name("its end missing").c_str(), of_bytes(line("/tmp/" + std::string(200, '/')), bytes, 'p'));
    script(name("blanks, their line").c_str(), of_bytes(line(""), bytes, ' ') + "\n");
    script(name("blanks behind").c_str(), of_bytes(line(echo), bytes, ' ') + "\n");
  }
}

void interpreters() {
  script("missing", "#!/tmp/no-such-interpreter\n");
  script("below a file", "#!/tmp/exec-script/x\n");
  script("a folder", "#!/tmp\n");
  script("itself", "#!/tmp/exec-script\n");
  write_program("/tmp/exec-script-2", "text\n", 5);
  script("no program", "#!/tmp/exec-script-2\n");
  CHECK(chmod("/tmp/exec-script-2", 0600) == 0);
  script("not executable", "#!/tmp/exec-script-2\n");
  write_program("/tmp/exec-script-2", "", 0);
  script("empty", "#!/tmp/exec-script-2\n");
  write_program(kScript, "#!/tmp/echo-arguments\n", 22);
  CHECK(chmod(kScript, 0600) == 0);
  run("the script is not");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    return print_arguments(argc, argv);
  }
  char own[4096] = {};
  CHECK(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
  unlink(kEcho);
  CHECK(symlink(own, kEcho) == 0);
  check("lines", lines);
  check("long_lines", long_lines);
  check("interpreters", interpreters);
  check("no_arguments", no_arguments);
  check("nested", [] {
    for (int count = 1; count <= 8; ++count) {
      nested(count);
    }
  });
  check("a_missing_one_below", [] {
    for (const int count : {4, 5, 6, 7}) {
      nested(count);
      const std::string text = "#!/tmp/no-such-interpreter\n";
      write_program(numbered(count).c_str(), text.data(), text.size());
      run(("missing below " + std::to_string(count)).c_str());
    }
  });
  for (int number = 2; number <= 8; ++number) {
    unlink(numbered(number).c_str());
  }
  unlink(kScript);
  unlink(kEcho);
  return finish();
}
