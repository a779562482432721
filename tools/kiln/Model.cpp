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

static void setDims(Port &port, const kiln_dim *dims, int32_t rank) {
  for (int32_t k = 0; k < rank; ++k) {
    port.dims.push_back(dims[k].value);
    port.texts.push_back(dims[k].text);
  }
}

static Port portOf(const kiln_port_info &info) {
  Port port;
  port.name = info.name;
  port.dtype = info.dtype;
  port.kind = info.kind;
  port.length = info.length;
  port.differ = info.rank < 0;
  for (int32_t k = 0; k < info.rank; ++k)
    port.differ |= std::string_view(info.dims[k].text) == "?";
  setDims(port, info.dims, info.rank);
  return port;
}

static kiln_entry_info infoOf(const kiln_model *model, size_t entry) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_entry_info info = KILN_ENTRY_INFO_INIT;
  kiln_model_get_entry(model, entry, &info, &status);
  check(status);
  return info;
}

static std::vector<Port> portsOf(const kiln_model *model, size_t entry, bool inputs) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_entry_info info = infoOf(model, entry);
  std::vector<Port> ports;
  for (uint32_t i = 0; i < (inputs ? info.input_count : info.output_count); ++i) {
    kiln_port_info port = KILN_PORT_INFO_INIT;
    (inputs ? kiln_model_get_entry_input : kiln_model_get_entry_output)(model, entry, i, &port, &status);
    check(status);
    ports.push_back(portOf(port));
  }
  return ports;
}

std::vector<Port> inputsOf(const kiln_model *model, size_t entry) { return portsOf(model, entry, true); }
std::vector<Port> outputsOf(const kiln_model *model, size_t entry) { return portsOf(model, entry, false); }

std::vector<EntryState> statesOf(const kiln_model *model, size_t entry) {
  kiln_status status = KILN_STATUS_INIT;
  std::vector<EntryState> states;
  for (uint32_t i = 0; i < infoOf(model, entry).state_count; ++i) {
    kiln_entry_state_info use = KILN_ENTRY_STATE_INFO_INIT;
    kiln_model_get_entry_state(model, entry, i, &use, &status);
    check(status);
    kiln_port_info info = KILN_PORT_INFO_INIT;
    kiln_model_get_state(model, use.state, &info, &status);
    check(status);
    EntryState &state = states.emplace_back();
    state.name = info.name;
    state.dtype = info.dtype;
    setDims(state, use.dims, use.rank);
    state.state = use.state;
    state.writes = use.writes != 0;
    state.growing = info.growing;
  }
  return states;
}

size_t findEntry(const kiln_model *model, const std::string &name) {
  size_t entry = 0;
  kiln_status status = KILN_STATUS_INIT;
  if (!name.empty())
    kiln_model_find_entry(model, name.c_str(), &entry, &status);
  if (status.code) {
    std::string message = status.message;
    kiln_status_clear(&status);
    fail(Usage, "--entry: " + message);
  }
  return entry;
}

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
