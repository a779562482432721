// Writes the artifact that RuntimeOnly runs.
#include "../runtime/TestProgram.h"

#include <fstream>

int main(int argc, char **argv) {
  std::vector<std::byte> bytes = kiln::test::sampleProgram().bytes();
  std::ofstream(argv[argc - 1], std::ios::binary)
      .write(reinterpret_cast<const char *>(bytes.data()), int64_t(bytes.size()));
  return 0;
}
