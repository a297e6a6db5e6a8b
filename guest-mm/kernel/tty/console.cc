#include "guest-mm/kernel/tty/console.h"

#include <limits>
#include <optional>

#include "pvops/platform_ops.h"

namespace nopte::guest::tty {

namespace {

class Console final : public Terminal {
 public:
  Console() : Terminal(Kind::kSerial, files::device_number(4, 64)) {
    window = {.rows = 24, .columns = 80};
    Termios termios;
    termios.control |= Termios::kHangUpOnClose;
    discipline.set_termios(termios);
  }
  void put(std::string_view text) override { platform_ops().console_write(text); }

 protected:
  [[nodiscard]] u32 device_room() const override { return std::numeric_limits<u32>::max(); }
};

Console* g_console = nullptr;

}  // namespace

bool make_console() {
  g_console = files::make_counted<Console>().detach();
  return g_console != nullptr;
}

files::ErrnoOr<Ref<files::File>> open_serial(Ref<files::Inode> node, u32 flags) {
  return open_terminal(*g_console, std::move(node), flags, OpenedAs::kTerminal);
}

files::ErrnoOr<Ref<files::File>> open_console(Ref<files::Inode> node, u32 flags) {
  return open_terminal(*g_console, std::move(node), flags, OpenedAs::kConsole);
}

void console_input() {
  while (const std::optional<u8> byte = platform_ops().console_read()) {
    if (g_console != nullptr) {
      static_cast<void>(g_console->input(*byte));  // as on a real line: what finds no room is lost
    }
  }
  if (g_console != nullptr) {
    g_console->input_done();
  }
}

}  // namespace nopte::guest::tty
