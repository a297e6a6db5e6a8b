#include "guest-mm/kernel/program/program.h"

#include <cstring>
#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/names/mounts.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/program/randomize.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest {

namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kTerminators{" \t\0", 3};

// line.text holds `bytes` bytes of a file that begins with "#!", what is missing is zeros from here on
// (fs/binfmt_script.c). A line that is cut off may lose of its argument, not of its interpreter.
bool parse_script(ScriptLine& line, u64 bytes) {
  constexpr u64 kLast = kScriptLineBytes - 1, kName = 2;
  std::memset(line.text + bytes, 0, kScriptLineBytes - bytes);
  std::string_view text(line.text, kScriptLineBytes);
  const std::size_t newline = text.find_first_of(std::string_view{"\n\0", 2});
  u64 end = kLast;
  if (newline != std::string_view::npos && text[newline] == '\n') {
    end = newline;
  } else if (const std::size_t begin = text.find_first_not_of(kBlanks, kName);
             begin == std::string_view::npos ||
             text.find_first_of(kTerminators, begin) == std::string_view::npos) {
    return false;
  }
  while (kBlanks.contains(text[end - 1])) {
    --end;
  }
  text = text.substr(0, end);
  const std::size_t name = text.find_first_not_of(kBlanks, kName);
  if (name == std::string_view::npos) {
    return false;
  }
  const std::size_t name_end = text.find_first_of(kTerminators, name);
  line.interpreter = text.substr(name, name_end - name);
  line.argument = {};
  if (name_end != std::string_view::npos && text[name_end] != '\0') {
    const std::string_view argument = text.substr(text.find_first_not_of(kBlanks, name_end));
    line.argument = argument.substr(0, argument.find('\0'));
  }
  return true;
}

// Reads `bytes` bytes, all of them: -EIO where the file ends before, as on Linux.
i64 read_whole(files::File& file, u64 offset, void* to, u64 bytes) {
  if (offset >> 63 != 0) {
    return -kEINVAL;
  }
  const i64 read = files::read_at(file, offset, to, bytes);
  return read < 0 ? read : read == static_cast<i64>(bytes) ? 0 : -kEIO;
}

// The first bytes of the image's file, into its header, with zeros behind the file's end; how many there are.
i64 read_file_header(Image& image) {
  const i64 bytes = files::read_at(*image.file, 0, &image.header, sizeof(image.header));
  if (bytes >= 0 && bytes < static_cast<i64>(sizeof(image.header))) {
    std::memset(reinterpret_cast<char*>(&image.header) + bytes, 0, sizeof(image.header) - bytes);
  }
  return bytes;
}

// 0; -ENOEXEC: it is no ELF file to run; -ENOMEM.
i64 read_headers(Image& image, elf::Role role) {
  if (elf::check_header(image.header, role) != elf::Check::kGood) {
    return -kENOEXEC;
  }
  const u64 bytes = image.segments().size_bytes();
  void* to = image.few_headers;
  if (bytes > sizeof(image.few_headers)) {
    image.many_headers = HeapBuffer(bytes);
    to = image.many_headers.data();
    if (to == nullptr) {
      return -kENOMEM;
    }
  }
  return read_whole(*image.file, image.header.program_headers, to, bytes) == 0 ? 0 : -kENOEXEC;
}

// Linux's answers: the path's own errors; EIO for a file too short to have a header, ELIBBAD for what is no
// ELF file that can be run.
i64 find_interpreter(Program& program) {
  const std::optional<elf::PathInFile> where = elf::interpreter_of(program.main.segments());
  if (!where) {
    return 0;
  }
  if (where->bytes < 2 || where->bytes > elf::kLongestInterpreter) {
    return -kENOEXEC;
  }
  char* const path = program.interpreter_path;
  if (const i64 error = read_whole(*program.main.file, where->offset, path, where->bytes); error != 0) {
    return error;
  }
  if (path[where->bytes - 1] != '\0') {
    return -kENOEXEC;
  }
  program.interpreter_name = path;
  auto opened = files::open_executable(files::current_directories(), path);
  if (!opened) {
    return -static_cast<i64>(opened.error());
  }
  program.interpreter.file = std::move(*opened);
  const i64 bytes = read_file_header(program.interpreter);
  if (bytes < static_cast<i64>(sizeof(elf::FileHeader))) {
    return bytes < 0 ? bytes : -kEIO;
  }
  const i64 error = read_headers(program.interpreter, elf::Role::kInterpreter);
  return error == -kENOEXEC ? -kELIBBAD : error;
}

// The places stay as they are for who wants that.
[[gnu::noinline]] void randomize_places(Places& places, const files::Inode& file) {
  const u32 personality = current().personality;
  const bool wanted = (personality & kPersonalityNoRandomize) == 0 ||
                      sets_identity(identity(), {files::mode_for_exec(file), file.uid, file.gid});
  if (wanted) {
    places = random_places();
  }
}

// Reads what runs, and finds out where it would lie.
i64 find_images(Program& program) {
  Image& main = program.main;
  Image& interpreter = program.interpreter;
  i64 error = read_headers(main, elf::Role::kProgram);
  if (error == 0) {
    error = find_interpreter(program);
  }
  if (error != 0) {
    return error;
  }
  if (g_randomize_va_space != 0) [[unlikely]] {
    randomize_places(program.places, *main.file->inode());
  }
  main.layout = elf::check_program_headers(main.header, main.segments(), elf::Role::kProgram, program.places);
  if (interpreter.file) {
    interpreter.layout = elf::check_program_headers(interpreter.header, interpreter.segments(),
                                                    elf::Role::kInterpreter, program.places);
  }
  return 0;
}

}  // namespace

// Follows "#!" lines to the program that will run.
i64 find_program(Program& program, std::string_view path, const ProgramPlace& place) {
  for (;;) {
    files::ProcessFiles& view = files::current_directories();
    auto opened = program.scripts != 0 ? files::open_executable(view, path)
                  : place.itself       ? files::open_executable(*place.start)
                                       : files::open_executable(view, path, place.final, place.start);
    if (!opened) {
      return -static_cast<i64>(opened.error());
    }
    if (program.scripts == kMostScripts) {
      return -kELOOP;
    }
    program.opened = true;
    files::File& file = *(program.main.file = std::move(*opened));
    const i64 header_bytes = read_file_header(program.main);
    const u8* const mark = program.main.header.ident;
    if (header_bytes < 2 || mark[0] != '#' || mark[1] != '!') {
      return header_bytes < 0 ? header_bytes : find_images(program);
    }
    ScriptLine& line = program.lines[program.scripts];
    const i64 bytes = files::read_at(file, 0, line.text, kScriptLineBytes);
    if (bytes < 2 || !parse_script(line, static_cast<u64>(bytes))) {
      return -kENOEXEC;
    }
    if (place.unnamed) {
      return -kENOENT;
    }
    if (line.interpreter.empty()) {
      return -kEACCES;  // as Linux, for which this is the working directory
    }
    ++program.scripts;
    path = line.interpreter;
  }
}

Result<u64> add_script_arguments(ProgramArguments& out, const Program& program, std::string_view path) {
  u64 count = 0;
  for (u32 index = program.scripts; index-- > 0;) {
    const ScriptLine& line = program.lines[index];
    NOPTE_TRY(out.add(line.interpreter));
    ++count;
    if (!line.argument.empty()) {
      NOPTE_TRY(out.add(line.argument));
      ++count;
    }
  }
  if (program.scripts != 0) {
    NOPTE_TRY(out.add(path));
    ++count;
  }
  return count;
}

}  // namespace nopte::guest
