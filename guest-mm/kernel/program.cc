#include "guest-mm/kernel/program.h"

#include <utility>

#include "guest-mm/kernel/credentials.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/randomize.h"

namespace nopte::guest {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

// line.text holds `bytes` bytes of a file that begins with "#!".
bool parse_script(ScriptLine& line, u64 bytes) {
  std::string_view text(line.text + 2, bytes - 2);
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos && bytes == kScriptLineBytes) {
    return false;  // cut off
  }
  text = trim(text.substr(0, end));
  const std::size_t blank = text.find_first_of(" \t");
  line.interpreter = text.substr(0, blank);
  line.argument = blank == std::string_view::npos ? std::string_view{} : trim(text.substr(blank));
  return !line.interpreter.empty();
}

// Reads `bytes` bytes, all of them: -EIO where the file ends before, as on Linux.
i64 read_whole(files::File& file, u64 offset, void* to, u64 bytes) {
  const i64 read = files::read_at(file, offset, to, bytes);
  return read < 0 ? read : read == static_cast<i64>(bytes) ? 0 : -kEIO;
}

// The first bytes of the image's file, into its header; how many there are.
i64 read_file_header(Image& image) {
  image.file_bytes = image.file->end_bytes();
  return files::read_at(*image.file, 0, &image.header, sizeof(image.header));
}

// Whether the header, of which `bytes` were read, and the program headers are good.
bool read_headers(Image& image, i64 bytes, elf::Role role, const Places& places) {
  if (bytes != static_cast<i64>(sizeof(image.header)) ||
      elf::check_header(image.header, image.file_bytes) != elf::Check::kGood ||
      read_whole(*image.file, image.header.program_headers, image.headers, image.segments().size_bytes()) !=
          0) {
    return false;
  }
  image.layout = elf::check_program_headers(image.header, image.segments(), image.file_bytes, role, places);
  return image.layout.check == elf::Check::kGood;
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
  return read_headers(program.interpreter, bytes, elf::Role::kInterpreter, program.places) ? 0 : -kELIBBAD;
}

// The places stay as they are for who wants that.
[[gnu::noinline]] void randomize_places(Places& places, const files::Inode& file) {
  const u32 personality = current().personality;
  const bool wanted = (personality & kPersonalityNoRandomize) == 0 ||
                      sets_identity(identity(), {file.mode, file.uid, file.gid});
  if (wanted) {
    places = random_places();
  }
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
    files::File& file = *(program.main.file = std::move(*opened));
    const i64 header_bytes = read_file_header(program.main);
    const u8* const mark = program.main.header.ident;
    if (header_bytes < 2 || mark[0] != '#' || mark[1] != '!') {
      if (g_randomize_va_space != 0) [[unlikely]] {
        randomize_places(program.places, *file.inode());
      }
      return read_headers(program.main, header_bytes, elf::Role::kProgram, program.places)
                 ? find_interpreter(program)
                 : -kENOEXEC;
    }
    if (place.unnamed) {
      return -kENOENT;
    }
    if (program.scripts == kMostScripts) {
      return -kELOOP;
    }
    ScriptLine& line = program.lines[program.scripts];
    const i64 bytes = files::read_at(file, 0, line.text, kScriptLineBytes);
    if (bytes < 2 || !parse_script(line, static_cast<u64>(bytes))) {
      return -kENOEXEC;
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
