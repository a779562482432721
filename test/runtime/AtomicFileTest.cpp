#include "runtime/base/AtomicFile.h"

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace kiln;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "kiln-atomic-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  size_t entries() const { return size_t(std::distance(fs::directory_iterator(path), {})); }
  fs::path path;
};

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string read(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

TEST_CASE("a file appears whole, and not before it is committed") {
  Folder folder;
  fs::path path = folder.path / "a";
  REQUIRE(writeFile(path, bytes("old")).ok());
  {
    AtomicFile file;
    REQUIRE(file.open(path).ok());
    REQUIRE(write(file.descriptor(), "new", 3) == 3);
    CHECK(read(path) == "old");
  }
  CHECK(read(path) == "old");
  CHECK(folder.entries() == 1); // what was not committed is gone
  REQUIRE(writeFile(path, bytes("new")).ok());
  CHECK(read(path) == "new");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a link stays, and so does the mode of what it points to") {
  Folder folder;
  fs::path path = folder.path / "a", link = folder.path / "link";
  REQUIRE(writeFile(path, bytes("old")).ok());
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(path, link);
  REQUIRE(writeFile(link, bytes("new")).ok());
  CHECK(fs::is_symlink(link));
  CHECK(read(path) == "new");
  CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("folders and special files are refused, not replaced") {
  Folder folder;
  fs::path fifo = folder.path / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(formatError(writeFile(fifo, bytes("x"))) ==
        fifo.string() + ": cannot be written: it is no regular file [KILN-E0106]");
  CHECK(fs::is_fifo(fifo));
  CHECK(formatError(writeFile(folder.path, bytes("x"))) ==
        folder.path.string() + ": cannot be written: Is a directory [KILN-E0106]");
  CHECK(formatError(writeFile(folder.path / "no" / "a", bytes("x"))) ==
        (folder.path / "no" / "a").string() + ": cannot be written: No such file or directory [KILN-E0106]");
}

/// A process that begins to write `path` and is killed.
static void writeHalf(const fs::path &path) {
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    AtomicFile file;
    if (file.open(path).ok() && file.write(bytes("half")).ok())
      ::raise(SIGKILL);
    ::_exit(1);
  }
  int outcome = 0;
  REQUIRE(::waitpid(child, &outcome, 0) == child);
  REQUIRE(WIFSIGNALED(outcome));
}

TEST_CASE("what killed writers left goes with the next write into the folder, and nothing else does") {
  Folder folder;
  std::ofstream(folder.path / "b.partial-1-0") << "mine";
  std::string foreign = "kiln.partial-00000000-0000-0000-0000-000000000000-1-0"; // of another machine
  std::ofstream(folder.path / foreign) << "theirs";
  AtomicFile alive;
  REQUIRE(alive.open(folder.path / "alive").ok());
  for (mode_t mode : {0644, 0444}) { // the mode of the file to be replaced is that of what is left, too
    REQUIRE(writeFile(folder.path / "a", bytes("old")).ok());
    REQUIRE(chmod((folder.path / "a").c_str(), mode) == 0);
    writeHalf(folder.path / "a");
    writeHalf(folder.path / "a");
    CHECK(folder.entries() == 5 + (mode == 0444)); // the first one left went when the second began
    REQUIRE(writeFile(folder.path / "other", bytes("new")).ok());
    CHECK(read(folder.path / "a") == "old");
    CHECK(folder.entries() == 5);
  }
  REQUIRE(alive.write(bytes("well")).ok());
  REQUIRE(alive.commit().ok());
  CHECK(read(folder.path / "alive") == "well");
  CHECK(fs::exists(folder.path / "b.partial-1-0"));
  CHECK(fs::exists(folder.path / foreign));
}

TEST_CASE("names may be as long as names can be") {
  Folder folder;
  for (size_t length : {240, 255}) {
    fs::path path = folder.path / std::string(length, 'n');
    REQUIRE(writeFile(path, bytes("x")).ok());
    CHECK(read(path) == "x");
  }
  fs::path path = folder.path / std::string(256, 'n');
  CHECK(formatError(writeFile(path, bytes("x"))) ==
        path.string() + ": cannot be written: File name too long [KILN-E0106]");
  CHECK(folder.entries() == 2);
}

TEST_CASE("threads that write one file leave the file of one of them") {
  Folder folder;
  fs::path path = folder.path / "a";
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, text = std::string(100000, char('a' + i))] {
      for (int round = 0; round < 5; ++round)
        if (!writeFile(path, bytes(text)).ok())
          std::abort();
    });
  for (std::thread &thread : threads)
    thread.join();
  std::string last = read(path);
  CHECK(last == std::string(100000, last[0]));
  CHECK(folder.entries() == 1);
}
