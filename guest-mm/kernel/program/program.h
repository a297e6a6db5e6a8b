// The program that an exec is for: found by its path, through "#!" lines, with the interpreter that it names,
// and checked. Nothing of it is mapped yet. Answers are Linux's (fs/exec.c, fs/binfmt_script.c,
// fs/binfmt_elf.c).
#pragma once

#include <span>
#include <string_view>

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/program/elf.h"
#include "guest-mm/kernel/program/program_arguments.h"

namespace nopte::guest {

constexpr u32 kMostScripts = 6;        // the last one's interpreter is looked for, and that is all
constexpr u64 kScriptLineBytes = 256;  // Linux's BINPRM_BUF_SIZE

// The "#!" line of a script.
struct ScriptLine {
  char text[kScriptLineBytes];
  std::string_view interpreter;
  std::string_view argument;  // empty: none
};

// An ELF file that becomes part of the new space.
struct Image {
  Ref<files::File> file;  // null: there is none
  elf::FileHeader header;
  elf::ProgramHeader few_headers[elf::kUsualProgramHeaders];
  HeapBuffer many_headers;  // all of them, where they are more
  elf::Layout layout;

  [[nodiscard]] std::span<const elf::ProgramHeader> segments() const {
    return {many_headers ? reinterpret_cast<const elf::ProgramHeader*>(many_headers.data()) : few_headers,
            header.program_header_count};
  }
  [[nodiscard]] u64 entry() const { return header.entry + layout.bias; }
};

// What exec found out of a program.
struct Program {
  Places places;
  Image main;
  Image interpreter;  // ld.so, of a dynamic program
  char interpreter_path[elf::kLongestInterpreter];
  std::string_view interpreter_name;  // empty: the program names none
  bool opened = false;                // the first file
  u32 scripts = 0;
  ScriptLine lines[kMostScripts];

  // Where it starts.
  [[nodiscard]] u64 entry() const { return interpreter.file ? interpreter.entry() : main.entry(); }
  // Whether either file is one of which Linux finds too late that it cannot be run.
  [[nodiscard]] bool fatal() const {
    return main.layout.check == elf::Check::kFatal ||
           (interpreter.file && interpreter.layout.check == elf::Check::kFatal);
  }
};

// Where the first file is looked for.
struct ProgramPlace {
  files::Inode* start = nullptr;  // null: the working directory
  bool itself = false;            // the start is the file
  files::FinalLink final = files::FinalLink::kFollow;
  bool unnamed = false;  // its name is gone once it runs: no script (-kENOENT)
};

// Fills in an empty Program. 0, or a negative errno; interpreter_name is set if it was the interpreter's.
i64 find_program(Program& program, std::string_view path, const ProgramPlace& place = {});

// Adds what stands before the program's own arguments: the interpreters of scripts with their arguments, and
// the script. How many. Errors: as ProgramArguments::add.
Result<u64> add_script_arguments(ProgramArguments& out, const Program& program, std::string_view path);

}  // namespace nopte::guest
