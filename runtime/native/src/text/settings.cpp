#include "text/settings.h"

#include <algorithm>
#include <utility>

#include "text/checks.h"

namespace leanbert::text {

namespace {

// The same lists as in leanbert/tokenization/settings.py.
constexpr std::string_view lower_casing[] = {"bert",     "convbert",   "distilbert", "electra",    "funnel",
                                             "layoutlm", "layoutlmv2", "lxmert",     "mobilebert", "mpnet",
                                             "roformer", "splinter",   "squeezebert"};
constexpr std::string_view keeping_chinese[] = {"layoutlmv2", "mpnet", "roformer", "splinter"};
constexpr std::string_view untyped[] = {"bart",       "bigbird", "camembert", "distilbert", "dprreader",
                                        "longformer", "mpnet",   "roberta",   "xlmroberta"};

template <std::size_t n>
bool is_among(std::string_view name, const std::string_view (&names)[n]) {
  return std::find(names, names + n, name) != names + n;
}

void remove_ending(std::string& name, std::string_view ending) {
  if (name.size() >= ending.size() && name.compare(name.size() - ending.size(), ending.size(), ending) == 0)
    name.resize(name.size() - ending.size());
}

}  // namespace

Settings::Settings(std::unique_ptr<const Document> config, std::unique_ptr<const Document> special_tokens_map)
    : config_(std::move(config)), map_(std::move(special_tokens_map)) {
  const Json name = find("tokenizer_class");
  if (!name.is_string()) return;
  family_ = name.string();
  remove_ending(family_, "Fast");
  remove_ending(family_, "Tokenizer");
  for (char& c : family_)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
}

Json Settings::find(std::string_view key) const {
  if (config_)
    if (const Json value = config_->root().find(key)) return value;
  return map_ ? map_->root().find(key) : Json();
}

bool Settings::has_token_types() const {
  const Json names = find("model_input_names");
  if (!names || names.is_null()) return !is_among(family_, untyped);
  if (!names.is_list()) refuse("model_input_names is " + brief(names) + "; expected a list");
  bool has = false;
  for (const auto& [key, name] : names.items())
    has |= string_in("a name of model_input_names", name) == "token_type_ids";
  return has;
}

bool Settings::is_left(std::string_view key, const Json& stored) const {
  const Json value = find(key);
  if (value && !value.is_null()) {
    const std::string_view side = string_in(std::string(key), value);
    if (side != "left" && side != "right")
      refuse(std::string(key) + " is " + quoted(side) + "; expected left or right");
    return side == "left";
  }
  if (!stored || stored.is_null()) return false;
  if (!stored.is_object()) refuse("tokenizer.json's truncation or padding is " + brief(stored));
  const Json direction = stored.find("direction");
  if (!direction) return false;  // older files
  const std::string_view side = string_in("tokenizer.json's direction", direction);
  if (side != "Left" && side != "Right") refuse("tokenizer.json's direction is " + quoted(side));
  return side == "Left";
}

std::optional<std::string_view> Settings::special(std::string_view key) const {
  Json value = find(key);
  if (value.is_object()) value = value.find("content");
  return value.is_string() ? std::optional(value.string()) : std::nullopt;
}

bool Settings::splits_special_tokens() const {
  const Json value = find("split_special_tokens");
  return value && !value.is_null() && flag_in("split_special_tokens", value);
}

Settings::Normalizer Settings::decide(const Normalizer& stored) const {
  Normalizer decided = stored;
  const bool is_known = !family_.empty();
  if (is_known && !is_among(family_, lower_casing)) return decided;  // this class takes no notice of them
  if (is_known) decided = {true, true, std::nullopt};                // the defaults of the class
  if (const Json value = find("do_lower_case")) decided.lowercase = flag_in("do_lower_case", value);
  if (const Json value = find("tokenize_chinese_chars")) decided.chinese = flag_in("tokenize_chinese_chars", value);
  if (const Json value = find("strip_accents"))
    decided.accents = value.is_null() ? std::nullopt : std::optional(flag_in("strip_accents", value));
  if (is_among(family_, keeping_chinese)) decided.chinese = stored.chinese;
  return decided;
}

}  // namespace leanbert::text
