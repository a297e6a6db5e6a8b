#include "hv-mm/json_writer.h"

#include "pvops/base/digits.h"

namespace nopte::hv {

void JsonWriter::begin_object() {
  sink_("{");
  first_ = true;
}

void JsonWriter::begin_object(std::string_view name) {
  key(name);
  begin_object();
}

void JsonWriter::end_object() {
  sink_("}");
  first_ = false;
}

void JsonWriter::member(std::string_view name, u64 value) {
  key(name);
  sink_(Digits(value).text());
}

void JsonWriter::member(std::string_view name, std::string_view value) {
  key(name);
  text(value);
}

void JsonWriter::key(std::string_view name) {
  if (!first_) {
    sink_(",");
  }
  first_ = false;
  text(name);
  sink_(":");
}

void JsonWriter::text(std::string_view value) {
  sink_("\"");
  for (const char c : value) {
    const u8 byte = static_cast<u8>(c);
    if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\') {
      constexpr char kHex[] = "0123456789abcdef";
      const char escape[] = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
      sink_({escape, sizeof(escape)});
    } else {
      sink_({&c, 1});
    }
  }
  sink_("\"");
}

}  // namespace nopte::hv
