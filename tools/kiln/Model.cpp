// Models and errors over the C API.

#include "tools/kiln/Cli.h"

#include <cstdio>

namespace kiln::tools {

void fail(int exitCode, const std::string &message) { throw Failure{exitCode, message}; }

void check(kiln_status &status) {
  if (!status.code)
    return;
  Failure failure{KILN_IS_UNSUPPORTED(status.code) ? Unsupported : Failed,
                  status.message ? status.message : "unknown error"};
  // Usage errors of the library (E07xx) are usage errors of the command.
  if (status.code >= 700 && status.code < 800 && status.code != 705)
    failure.exitCode = Usage;
  kiln_status_clear(&status);
  throw failure;
}

static std::vector<Port> portsOf(const kiln_model *model, bool inputs) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_model_info info = {};
  info.size = sizeof info;
  kiln_model_get_info(model, &info, &status);
  check(status);
  std::vector<Port> ports;
  for (uint32_t i = 0; i < (inputs ? info.input_count : info.output_count); ++i) {
    kiln_port_info port = {};
    port.size = sizeof port;
    (inputs ? kiln_model_get_input : kiln_model_get_output)(model, i, &port, &status);
    check(status);
    Port &out = ports.emplace_back();
    out.name = port.name;
    out.dtype = port.dtype;
    for (int32_t k = 0; k < port.rank; ++k) {
      out.dims.push_back(port.dims[k].value);
      out.texts.push_back(port.dims[k].text);
    }
  }
  return ports;
}

std::vector<Port> inputsOf(const kiln_model *model) { return portsOf(model, true); }
std::vector<Port> outputsOf(const kiln_model *model) { return portsOf(model, false); }

std::string Port::type() const {
  std::string text = kiln_dtype_name(dtype) ? kiln_dtype_name(dtype) : "?";
  text += '[';
  for (size_t i = 0; i < texts.size(); ++i)
    text += (i ? "," : "") + texts[i];
  return text + "]";
}

std::string printBytes(double bytes) {
  const char *units[] = {"B", "kB", "MB", "GB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 3) {
    bytes /= 1000;
    ++unit;
  }
  char text[32];
  snprintf(text, sizeof text,
           unit == 0     ? "%.0f %s"
           : bytes < 10  ? "%.2f %s"
           : bytes < 100 ? "%.1f %s"
                         : "%.0f %s",
           bytes, units[unit]);
  return text;
}

std::string counted(size_t count, const std::string &noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

} // namespace kiln::tools
