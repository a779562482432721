#include "runtime/base/Text.h"
#include "runtime/base/Status.h"

#include <catch2/catch.hpp>

using namespace kiln;

TEST_CASE("foreign bytes in messages are escaped") {
  CHECK(printable("node \"/a.b/Ünïcode_漢字_😀\": x\ny") == "node \"/a.b/Ünïcode_漢字_😀\": x\ny");
  CHECK(printable(std::string_view("a\0b\x01\x7f\tc", 7)) == "a\\x00b\\x01\\x7f\\x09c");
  CHECK(printable("\xff\xc3(\xe2\x82") == "\\xff\\xc3(\\xe2\\x82");
  CHECK(printable("\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80") == "\\xc0\\x80 \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80");
  CHECK(printable("") == "");
  CHECK(formatError(Status(ErrorCode::E0301, std::string("a\0b", 3))) == "a\\x00b [KILN-E0301]");
}

TEST_CASE("long names in messages lose their middle") {
  std::string name(100000, 'n'), path(400, 'p');
  CHECK(printable("node \"" + name + "\": wrong " + path).size() < 1000);
  CHECK(printable("node \"" + path.substr(10) + "\": x") == "node \"" + path.substr(10) + "\": x");
  std::string wide;
  for (int i = 0; i < 1000; ++i)
    wide += "漢";
  std::string shown = printable(wide);
  CHECK(shown == printable(shown)); // no character was cut
  CHECK(shown.find("\\x") == std::string::npos);
  std::string line;
  for (int i = 0; i < 10000; ++i)
    line += "word ";
  CHECK(printable(line + "\nnext").size() < 10000);
  CHECK(printable(line + "\nnext").ends_with("\nnext"));
}
