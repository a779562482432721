#include "dialects/kiln/ValuePart.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace kiln {

DictionaryAttr ValuePart::attribute(MLIRContext *context) const {
  Builder b(context);
  NamedAttrList fields;
  fields.append("name", b.getStringAttr(value));
  fields.append("kind", b.getStringAttr(!isOptional ? "sequence" : isSequence ? "optional sequence" : "optional"));
  if (items > 0) {
    fields.append("item", b.getI64IntegerAttr(item));
    fields.append("items", b.getI64IntegerAttr(items));
  }
  return fields.getDictionary(context);
}

std::optional<ValuePart> ValuePart::read(Attribute attribute) {
  auto fields = llvm::dyn_cast_or_null<DictionaryAttr>(attribute);
  if (!fields)
    return std::nullopt;
  auto name = fields.getAs<StringAttr>("name"), kind = fields.getAs<StringAttr>("kind");
  if (!name || !kind)
    return std::nullopt;
  ValuePart part{name.getValue().str(), kind.getValue().starts_with("optional"), kind.getValue().ends_with("sequence")};
  auto item = fields.getAs<IntegerAttr>("item"), items = fields.getAs<IntegerAttr>("items");
  if (item && items) {
    part.item = item.getInt();
    part.items = items.getInt();
  }
  return part;
}

} // namespace kiln
