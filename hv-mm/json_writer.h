// Writes one line of JSON piece by piece to a sink, without memory: what the counters channel is made of.
// Keys are ours; string values are escaped.
#pragma once

#include <string_view>

#include "pvops/base/function_ref.h"
#include "pvops/base/types.h"

namespace nopte::hv {

class JsonWriter {
 public:
  // `sink` outlives the writer: a temporary does not compile.
  template <class Sink>
    requires std::is_lvalue_reference_v<Sink>
  explicit JsonWriter(Sink&& sink) : sink_(sink) {}

  // Anonymous (outermost) or named object.
  void begin_object();
  void begin_object(std::string_view key);
  void end_object();
  void member(std::string_view key, u64 value);
  void member(std::string_view key, std::string_view value);
  void end_line() { sink_("\n"); }

 private:
  void key(std::string_view name);
  void text(std::string_view value);

  FunctionRef<void(std::string_view)> sink_;
  bool first_ = true;
};

}  // namespace nopte::hv
