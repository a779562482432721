#include "codegen/cpu/Relocator.h"

#include <elf.h>

#include <cstring>

namespace kiln::cpu {
namespace {

Status internalError(const std::string &what) { return Status(ErrorCode::E0903, "kernel object: " + what); }

// The object is LLVM's own output, yet every offset is checked: a surprise must be an error and not a crash.
class ObjectReader {
public:
  explicit ObjectReader(std::span<const char> bytes) : bytes_(bytes) {}

  template <typename T> bool read(uint64_t offset, T &out) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T))
      return false;
    std::memcpy(&out, bytes_.data() + offset, sizeof(T));
    return true;
  }
  bool holds(uint64_t offset, uint64_t size) const { return offset <= bytes_.size() && bytes_.size() - offset >= size; }
  std::string text(uint64_t offset) const {
    std::string out;
    while (offset < bytes_.size() && bytes_[offset] != 0)
      out += bytes_[offset++];
    return out;
  }
  const char *at(uint64_t offset) const { return bytes_.data() + offset; }

private:
  std::span<const char> bytes_;
};

constexpr uint64_t notPlaced = ~uint64_t(0);

constexpr uint64_t maxAlignment = 4096; // a page: what an image is mapped with

uint64_t alignTo(uint64_t value, uint64_t align) { return align < 2 ? value : (value + align - 1) / align * align; }

struct Linker {
  ObjectReader object;
  std::vector<Elf64_Shdr> sections;
  std::vector<std::string> names;
  std::vector<uint64_t> placed;
  LinkedImage image;

  Status readSections() {
    Elf64_Ehdr header;
    if (!object.read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_machine != EM_X86_64 ||
        header.e_type != ET_REL)
      return internalError("not a relocatable x86-64 ELF file");
    sections.resize(header.e_shnum);
    for (size_t i = 0; i < sections.size(); ++i)
      if (!object.read(header.e_shoff + i * sizeof(Elf64_Shdr), sections[i]))
        return internalError("section table is cut off");
    if (header.e_shstrndx >= sections.size())
      return internalError("no section names");
    for (const Elf64_Shdr &s : sections)
      names.push_back(object.text(sections[header.e_shstrndx].sh_offset + s.sh_name));
    return Status();
  }

  Status place() {
    placed.assign(sections.size(), notPlaced);
    for (bool code : {true, false})
      for (size_t i = 0; i < sections.size(); ++i) {
        const Elf64_Shdr &s = sections[i];
        if (!(s.sh_flags & SHF_ALLOC) || s.sh_size == 0 || bool(s.sh_flags & SHF_EXECINSTR) != code)
          continue;
        if ((s.sh_flags & SHF_WRITE) || s.sh_type != SHT_PROGBITS)
          return internalError("unexpected section '" + names[i] + "'");
        if (!object.holds(s.sh_offset, s.sh_size))
          return internalError("section '" + names[i] + "' is cut off");
        if (s.sh_addralign > maxAlignment || (s.sh_addralign & (s.sh_addralign - 1)))
          return internalError("section '" + names[i] + "' asks for an alignment of " + std::to_string(s.sh_addralign));
        placed[i] = alignTo(image.bytes.size(), s.sh_addralign);
        image.bytes.resize(placed[i] + s.sh_size, 0);
        std::memcpy(image.bytes.data() + placed[i], object.at(s.sh_offset), s.sh_size);
      }
    image.bytes.resize(alignTo(image.bytes.size(), 64), 0);
    return Status();
  }

  // The name of a symbol of `table` (a symbol table); empty when the table names no string section.
  std::string symbolName(const Elf64_Shdr &table, const Elf64_Sym &symbol) const {
    return table.sh_link < sections.size() ? object.text(sections[table.sh_link].sh_offset + symbol.st_name) : "";
  }

  // Where `symbol` lies in the image; notPlaced when it is undefined or outside its section.
  uint64_t address(const Elf64_Sym &symbol) const {
    if (symbol.st_shndx >= sections.size() || placed[symbol.st_shndx] == notPlaced ||
        symbol.st_value > sections[symbol.st_shndx].sh_size)
      return notPlaced;
    return placed[symbol.st_shndx] + symbol.st_value;
  }

  Status relocate(const Elf64_Shdr &table) {
    if (table.sh_info >= sections.size() || placed[table.sh_info] == notPlaced)
      return Status();
    const Elf64_Shdr &target = sections[table.sh_info];
    for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= table.sh_size; at += sizeof(Elf64_Rela)) {
      Elf64_Rela rela;
      Elf64_Sym symbol;
      if (!object.read(table.sh_offset + at, rela) || table.sh_link >= sections.size() ||
          !object.read(sections[table.sh_link].sh_offset + ELF64_R_SYM(rela.r_info) * sizeof(Elf64_Sym), symbol))
        return internalError("relocations are cut off");
      if (address(symbol) == notPlaced)
        return Status(ErrorCode::E0904, "kernel object: generated code refers to '" +
                                            symbolName(sections[table.sh_link], symbol) + "', which is not part of it");
      uint64_t value = address(symbol) + rela.r_addend;
      uint64_t place = placed[table.sh_info] + rela.r_offset;
      uint64_t relative = value - place;
      uint32_t type = ELF64_R_TYPE(rela.r_info);
      uint64_t width = type == R_X86_64_PC64 ? 8 : 4;
      if (type != R_X86_64_PC32 && type != R_X86_64_PLT32 && type != R_X86_64_PC64)
        return internalError("relocation of type " + std::to_string(type) + " in '" + names[table.sh_info] + "'");
      if (rela.r_offset > target.sh_size || target.sh_size - rela.r_offset < width)
        return internalError("a relocation lies outside its section");
      if (width == 4 && int64_t(relative) != int32_t(relative))
        return internalError("image is too large for a 32-bit displacement");
      std::memcpy(image.bytes.data() + place, &relative, width);
    }
    return Status();
  }

  Status collectSymbols(const Elf64_Shdr &table) {
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      if (!object.read(table.sh_offset + at, symbol))
        return internalError("symbol table is cut off");
      if (ELF64_ST_BIND(symbol.st_info) == STB_GLOBAL && address(symbol) != notPlaced)
        image.symbols[symbolName(table, symbol)] = address(symbol);
    }
    return Status();
  }
};

} // namespace

Result<LinkedImage> linkImage(std::span<const char> object) {
  Linker linker{ObjectReader(object), {}, {}, {}, {}};
  KILN_TRY(linker.readSections());
  KILN_TRY(linker.place());
  for (const Elf64_Shdr &s : linker.sections)
    if (s.sh_type == SHT_RELA)
      KILN_TRY(linker.relocate(s));
  for (const Elf64_Shdr &s : linker.sections)
    if (s.sh_type == SHT_SYMTAB)
      KILN_TRY(linker.collectSymbols(s));
  return std::move(linker.image);
}

} // namespace kiln::cpu
