// The table of docs/onnx.md is the importer's own. KILN_BLESS=1 rewrites it.
#include "compiler/import/onnx/OpTable.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace kiln::onnx;

TEST_CASE("docs/onnx.md lists the operators that are imported") {
  std::string path = std::string(KILN_TEST_DATA) + "/../docs/onnx.md";
  std::stringstream stream;
  stream << std::ifstream(path).rdbuf();
  std::string text = stream.str();
  const std::string begin = "<!-- generated -->\n", end = "<!-- end -->";
  size_t from = text.find(begin), to = text.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  from += begin.size();
  std::string table = "| operator | since |\n|---|---|\n";
  for (const OpEntry &entry : importedOps())
    table += "| " + entry.name() + " | " + std::to_string(entry.since) + " |\n";
  if (std::getenv("KILN_BLESS")) {
    text.replace(from, to - from, table);
    std::ofstream(path) << text;
    return;
  }
  CHECK(text.substr(from, to - from) == table);
}
