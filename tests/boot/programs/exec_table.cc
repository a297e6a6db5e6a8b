// A table of ELF files that are corrupt in each of their header fields, and what becomes of who executes
// them: an error, a signal, or the program's own exit status, as Linux has it. Where it finds the fault late,
// when the old program is gone, the process is killed.
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "exec_checks.h"

namespace {

constexpr char kPath[] = "/tmp/exec-table";
constexpr uint64_t kBase = 0x40'0000;
constexpr uint64_t kPage = 4096;
constexpr unsigned char kFill = 0xaa;
constexpr uint64_t kTop = uint64_t{1} << 63;
constexpr size_t kMostHeaders = 74;

// Headers and code lie in the first page; the others are full of kFill.
struct File {
  Elf64_Ehdr header;
  Elf64_Phdr segments[2];
  unsigned char code[48];
  unsigned char rest[2 * kPage - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr) - 48];
  unsigned char data[2 * kPage];

  Elf64_Phdr& text() { return segments[0]; }
  Elf64_Phdr& second() { return segments[1]; }
  template <size_t n>
  void set_code(const unsigned char (&bytes)[n]) {
    static_assert(n <= sizeof(code));
    memcpy(code, bytes, n);
  }
};
static_assert(sizeof(File) == 4 * kPage);

// Leaves with 42. Text in two pages, and data, with a page of zeros behind it.
File good() {
  File file;
  memset(static_cast<void*>(&file), kFill, sizeof(file));
  file.header = elf_header(kBase + offsetof(File, code));
  file.text() = {PT_LOAD, PF_R | PF_X, 0, kBase, kBase, 2 * kPage, 2 * kPage, kPage};
  file.second() = {PT_LOAD,           PF_R | PF_W,      2 * kPage, kBase + 2 * kPage,
                   kBase + 2 * kPage, 2 * kPage - 1000, 3 * kPage, kPage};
  file.set_code({0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05});
  return file;
}

// Leaves with the byte at the address.
void peek(File& file, uint64_t address) {
  file.set_code({0x0f, 0xb6, 0x3c, 0x25, static_cast<unsigned char>(address),
                 static_cast<unsigned char>(address >> 8), static_cast<unsigned char>(address >> 16),
                 static_cast<unsigned char>(address >> 24), 0xb8, 60, 0, 0, 0, 0x0f, 0x05});
}
// Writes there, and leaves with 43.
void poke(File& file, uint64_t address) {
  file.set_code({0xc6,
                 0x04,
                 0x25,
                 static_cast<unsigned char>(address),
                 static_cast<unsigned char>(address >> 8),
                 static_cast<unsigned char>(address >> 16),
                 static_cast<unsigned char>(address >> 24),
                 1,
                 0xbf,
                 43,
                 0,
                 0,
                 0,
                 0xb8,
                 60,
                 0,
                 0,
                 0,
                 0x0f,
                 0x05});
}
// Leaves with 44, by code on its stack.
void run_on_stack(File& file) {
  file.set_code({0x48, 0xb8, 0xbf, 44,   0,    0,    0,    0xb8, 60,   0,  // mov rax, "mov edi, 44; mov eax,"
                 0x48, 0x89, 0x44, 0x24, 0x80,                             // mov [rsp - 128], rax
                 0x48, 0xb8, 0,    0,    0x0f, 0x05, 0,    0,    0,    0,  // mov rax, "60; syscall"
                 0x48, 0x89, 0x44, 0x24, 0x88, 0x48, 0x8d, 0x44, 0x24, 0x80, 0xff, 0xe0});  // lea; jmp rax
}
// At whatever address.
void make_movable(File& file) {
  file.header.e_type = ET_DYN;
  file.header.e_entry -= kBase;
  file.text().p_vaddr -= kBase;
  file.second().p_vaddr -= kBase;
}

void print_outcome(const char* name, int status) {
  if (WIFSIGNALED(status)) {
    printf("%s: signal %d\n", name, WTERMSIG(status));
  } else if (WEXITSTATUS(status) >= 128 && WEXITSTATUS(status) != kFill) {
    printf("%s: %s\n", name, strerror(WEXITSTATUS(status) - 128));
  } else {
    printf("%s: status %d\n", name, WEXITSTATUS(status));
  }
  fflush(stdout);
}

void run(const char* name, const File& file, size_t bytes = sizeof(File)) {
  write_program(kPath, &file, bytes);
  print_outcome(name, run_program(kPath));
}

template <class Change>
void row(const char* name, Change change) {
  File file = good();
  change(file);
  run(name, file);
}

// The field with each of these values.
template <class Field>
void field(const char* name, std::initializer_list<uint64_t> values, Field field) {
  for (const uint64_t value : values) {
    char full[64];
    snprintf(full, sizeof(full), "%s %llx", name, static_cast<unsigned long long>(value));
    row(full, [&](File& file) {
      auto& place = field(file);
      place = static_cast<std::remove_reference_t<decltype(place)>>(value);
    });
  }
}
#define HEADER(name, ...) field(#name, {__VA_ARGS__}, [](File& f) -> auto& { return f.header.name; })
#define TEXT(name, ...) field("text " #name, {__VA_ARGS__}, [](File& f) -> auto& { return f.text().name; })
#define DATA(name, ...) field("data " #name, {__VA_ARGS__}, [](File& f) -> auto& { return f.second().name; })

void file_header() {
  row("good", [](File&) {});
  for (int byte = 0; byte < 4; ++byte) {
    char name[16];
    snprintf(name, sizeof(name), "magic %d", byte);
    row(name, [byte](File& f) { f.header.e_ident[byte] ^= 1; });
  }
  field("class", {0, 1, 3}, [](File& f) -> auto& { return f.header.e_ident[EI_CLASS]; });
  field("byte order", {0, 2}, [](File& f) -> auto& { return f.header.e_ident[EI_DATA]; });
  field("ident version", {0, 2}, [](File& f) -> auto& { return f.header.e_ident[EI_VERSION]; });
  field("system", {3, 255}, [](File& f) -> auto& { return f.header.e_ident[EI_OSABI]; });
  field("padding", {255}, [](File& f) -> auto& { return f.header.e_ident[EI_PAD]; });
  HEADER(e_type, 0, 1, 4, 5, 0xfe00, 0xffff);
  HEADER(e_machine, 0, 40, 183, 0xffff);
  HEADER(e_version, 0, 2, 0xffff'ffff);
  HEADER(e_entry, 0, kBase + 2 * kPage, kBase + 64 * kPage, 0x7fff'ffff'f000, 0xffff'8000'0000'0000, kTop,
         ~uint64_t{0});
  HEADER(e_phoff, 0, 63, 65, sizeof(File) - 112, sizeof(File) - 111, sizeof(File), 1 << 30, kTop,
         ~uint64_t{0} - 55, ~uint64_t{0});
  HEADER(e_shoff, 1, ~uint64_t{0});
  HEADER(e_flags, 0xffff'ffff);
  HEADER(e_ehsize, 0, 1, 0xffff);
  HEADER(e_phentsize, 0, 32, 55, 57, 112, 0xffff);
  HEADER(e_phnum, 0, 1, 0xffff);
  HEADER(e_shentsize, 1, 0xffff);
  HEADER(e_shnum, 1, 0xffff);
  HEADER(e_shstrndx, 1, 0xffff);
  for (const uint16_t headers : {uint16_t{73}, uint16_t{74}}) {
    File file = good();
    memset(file.data, 0, kMostHeaders * sizeof(Elf64_Phdr));
    memcpy(file.data + (headers - 2) * sizeof(Elf64_Phdr), file.segments, sizeof(file.segments));
    file.header.e_phnum = headers;
    file.header.e_phoff = offsetof(File, data);
    run(headers == 73 ? "a page of program headers" : "more than a page of them", file);
  }
}

void program_headers() {
  TEXT(p_type, PT_NULL, PT_DYNAMIC, PT_NOTE, PT_SHLIB, PT_PHDR, PT_TLS, 0x7000'0000, 0xffff'ffff);
  DATA(p_type, PT_NULL, PT_DYNAMIC, PT_NOTE, PT_SHLIB, PT_PHDR, PT_TLS, PT_GNU_STACK, PT_GNU_RELRO,
       0x7000'0000, 0x7fff'ffff, 0xffff'ffff);
  TEXT(p_flags, 0, PF_X, PF_W, PF_W | PF_X, PF_R, PF_R | PF_W, PF_R | PF_W | PF_X, 0xffff'ffff, 0xffff'fff8);
  DATA(p_flags, 0, PF_R, PF_R | PF_W | PF_X, 0xffff'fff8);
  TEXT(p_offset, 1, 0xfff, kPage, sizeof(File), uint64_t{1} << 40, kTop, kTop - kPage, ~uint64_t{0xfff},
       ~uint64_t{0});
  DATA(p_offset, 1, 0, sizeof(File), uint64_t{1} << 40, kTop, kTop - kPage, kTop - 2 * kPage,
       ~uint64_t{0xfff}, ~uint64_t{0});
  TEXT(p_vaddr, kBase + 1, kBase + kPage, 0x7fff'ffff'f000, uint64_t{1} << 47, 0xffff'8000'0000'0000, kTop,
       ~uint64_t{0xfff}, ~uint64_t{0});
  DATA(p_vaddr, kBase + 1, kBase + kPage, kBase - 16 * kPage, 0x7fff'ffff'f000, uint64_t{1} << 47,
       0xffff'8000'0000'0000, kTop, ~uint64_t{0xfff}, ~uint64_t{0});
  TEXT(p_paddr, 0, 1, ~uint64_t{0});
  TEXT(p_filesz, 0, 1, kPage, 2 * kPage - 1, 2 * kPage + 1, 16 * kPage, kTop, ~uint64_t{0xfff}, ~uint64_t{0});
  DATA(p_filesz, 0, 1, 3 * kPage, 3 * kPage + 1, 16 * kPage, kTop, ~uint64_t{0xfff}, ~uint64_t{0});
  TEXT(p_memsz, 0, 1, 2 * kPage - 1, 2 * kPage + 1, uint64_t{1} << 47, kTop, ~uint64_t{0xfff}, ~uint64_t{0});
  DATA(p_memsz, 0, 1, 2 * kPage - 1001, 2 * kPage - 1000, uint64_t{1} << 47, kTop, ~uint64_t{0xfff},
       ~uint64_t{0});
  TEXT(p_align, 0, 1, 3, 8, 0x3000, 0x20'0000, uint64_t{1} << 62, ~uint64_t{0});
  DATA(p_align, 0, 3, 0x20'0000, uint64_t{1} << 62, ~uint64_t{0});
}

void memory_of_segments() {
  constexpr uint64_t kData = kBase + 2 * kPage;
  row("bytes of the file", [](File& f) { peek(f, kData + 2 * kPage - 1001); });
  row("zeros behind them", [](File& f) { peek(f, kData + 2 * kPage - 1000); });
  row("zeros to the page's end", [](File& f) { peek(f, kData + 2 * kPage - 1); });
  row("zeros in another page", [](File& f) { peek(f, kData + 3 * kPage - 1); });
  row("nothing behind that", [](File& f) { peek(f, kData + 3 * kPage); });
  // Memory that ends in the page of the file's last bytes.
  const auto ends_there = [](const char* name, uint64_t zeros, uint64_t address) {
    row(name, [&](File& f) {
      f.second().p_memsz = f.second().p_filesz + zeros;
      peek(f, address);
    });
  };
  ends_there("bytes of the file, before zeros in their page alone", 100, kData + 2 * kPage - 1001);
  ends_there("zeros in their page alone", 100, kData + 2 * kPage - 901);
  ends_there("zeros from there to the page's end", 100, kData + 2 * kPage - 900);
  ends_there("zeros behind one byte of them", 1, kData + 2 * kPage - 1);
  ends_there("nothing behind that page", 100, kData + 2 * kPage);
  ends_there("the file, where there are none", 0, kData + 2 * kPage - 1000);
  row("zeros of many pages", [](File& f) {
    f.second().p_memsz = 300 * kPage;
    peek(f, kData + 300 * kPage - 1);
  });
  row("zeros alone", [](File& f) {
    f.second().p_filesz = 0;
    peek(f, kData + kPage);
  });
  row("zeros alone, not congruent", [](File& f) {
    f.second().p_filesz = 0;
    f.second().p_offset = 1;
    peek(f, kData + kPage);
  });
  row("zeros alone of less than a page that begin amidst one", [](File& f) {
    f.second().p_filesz = 0;
    f.second().p_vaddr += 100;
    f.second().p_memsz = 10;
    peek(f, kData);
  });
  // What lies behind the file's bytes may be written whatever the segment says.
  row("zeros of a segment without write", [](File& f) {
    f.second().p_flags = PF_R;
    poke(f, kData + 2 * kPage);
  });
  row("its file's bytes", [](File& f) {
    f.second().p_flags = PF_R;
    poke(f, kData);
  });
  row("what is behind them in their page", [](File& f) {
    f.second().p_flags = PF_R;
    peek(f, kData + 2 * kPage - 1);
  });
  row("zeros of a segment without rights", [](File& f) {
    f.second().p_flags = 0;
    poke(f, kData + 2 * kPage);
  });
  row("past the file's end", [](File& f) {
    f.second().p_filesz = f.second().p_memsz = 3 * kPage;
    peek(f, kData + 2 * kPage);
  });
  row("zeros behind what is past the file's end", [](File& f) {
    f.second().p_filesz = 2 * kPage + 100;
    f.second().p_memsz = 4 * kPage;
    peek(f, kData);
  });
  row("the same without write", [](File& f) {
    f.second().p_flags = PF_R;
    f.second().p_filesz = 2 * kPage + 100;
    f.second().p_memsz = 4 * kPage;
    peek(f, kData);
  });
}

void shared_pages() {
  // The last page of the first is the first of the second, as old linkers made them.
  const auto share = [](File& f) {
    f.text().p_filesz = f.text().p_memsz = kPage + 100;
    f.second() = {PT_LOAD,     PF_R | PF_W, kPage + 200, kBase + kPage + 200, kBase + kPage + 200,
                  kPage - 300, 3 * kPage,   kPage};
  };
  row("a page of two segments", share);
  row("what the first has there", [&](File& f) {
    share(f);
    peek(f, kBase + kPage);
  });
  row("may be written as the second", [&](File& f) {
    share(f);
    poke(f, kBase + kPage);
  });
  row("zeros behind the second", [&](File& f) {
    share(f);
    peek(f, kBase + 2 * kPage - 1);
  });
  row("zeros of the first in a page of the second", [&](File& f) {
    share(f);
    f.text().p_flags = PF_R | PF_W | PF_X;
    f.text().p_memsz = kPage + 150;
    peek(f, kBase + kPage + 120);
  });
  row("the second in the page of the code", [](File& f) { f.second().p_vaddr = kBase; });
  row("the second one's bytes there", [](File& f) {
    f.second() = {PT_LOAD, PF_R | PF_X, kPage, kBase + kPage, kBase + kPage, kPage, kPage, kPage};
    f.text().p_filesz = f.text().p_memsz = 4 * kPage;
    f.second().p_offset = 0;
    peek(f, kBase + kPage + 1);
  });
  row("zeros over code", [](File& f) {
    f.second().p_filesz = 0;
    f.second().p_vaddr = kBase;
  });
  row("the same segment twice", [](File& f) { f.second() = f.text(); });
  row("the second one below", [](File& f) {
    f.second().p_vaddr = kBase - 16 * kPage;
    peek(f, kBase - 16 * kPage);
  });
}

void stacks() {
  const auto with = [](uint32_t flags) {
    return [flags](File& f) {
      f.second() = {PT_GNU_STACK, flags, 0, 0, 0, 0, 0, 16};
      run_on_stack(f);
    };
  };
  row("a stack of which nothing is said", [](File& f) { run_on_stack(f); });
  row("to read and write", with(PF_R | PF_W));
  row("to execute", with(PF_R | PF_W | PF_X));
  row("to execute alone", with(PF_X));
}

void movable() {
  const auto moved = [](const char* name, auto change) {
    row(name, [&](File& f) {
      make_movable(f);
      change(f);
    });
  };
  moved("movable", [](File&) {});
  moved("above 0", [](File& f) {
    f.header.e_entry += kBase;
    f.text().p_vaddr += kBase;
    f.second().p_vaddr += kBase;
  });
  moved("far above", [](File& f) {
    constexpr uint64_t kFar = uint64_t{1} << 46;
    f.header.e_entry += kFar;
    f.text().p_vaddr += kFar;
    f.second().p_vaddr += kFar;
  });
  moved("of large alignment", [](File& f) { f.text().p_align = 0x20'0000; });
  moved("of an alignment that is none", [](File& f) { f.text().p_align = 0x3000; });
  moved("of no alignment", [](File& f) { f.text().p_align = f.second().p_align = 0; });
  moved("nothing to load", [](File& f) { f.text().p_type = f.second().p_type = PT_NULL; });
  moved("of no memory", [](File& f) {
    f.second().p_type = PT_NULL;
    f.text().p_filesz = f.text().p_memsz = 0;
  });
  moved("far apart", [](File& f) { f.second().p_vaddr = uint64_t{1} << 46; });
  moved("too far apart", [](File& f) { f.second().p_vaddr = uint64_t{1} << 47; });
  moved("in the kernel", [](File& f) { f.text().p_vaddr = 0xffff'8000'0000'0000; });
  moved("not congruent", [](File& f) { f.text().p_offset = 1; });
  moved("entered at 0", [](File& f) { f.header.e_entry = 0; });
  moved("entered in the kernel", [](File& f) { f.header.e_entry = 0xffff'8000'0000'0000; });
}

void cut() {
  for (const size_t bytes :
       {0,   1,   3,   4,   5,   16,  17,  18,  20,   32,   40,   52,   54,   56,    58,    63,    64,   65,
        119, 120, 121, 175, 176, 177, 187, 188, 4095, 4096, 8191, 8192, 8193, 12287, 12288, 12289, 16383}) {
    char name[32];
    snprintf(name, sizeof(name), "cut at %zu", bytes);
    run(name, good(), bytes);
  }
}

}  // namespace

int main() {
  check("file_header", file_header);
  check("program_headers", program_headers);
  check("memory_of_segments", memory_of_segments);
  check("shared_pages", shared_pages);
  check("stacks", stacks);
  check("movable", movable);
  check("cut", cut);
  row("good at last", [](File&) {});
  unlink(kPath);
  return finish();
}
