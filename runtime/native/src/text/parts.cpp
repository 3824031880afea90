#include "text/parts.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "text/checks.h"
#include "text/settings.h"
#include "text/utf8.h"

namespace leanbert::text {

namespace {

constexpr std::size_t most_steps = 32;
constexpr std::size_t most_specials = 64;
constexpr std::uint64_t most_type = 255;

std::string_view type_of(const Json& part) {
  const Json type = part.is_object() ? part.find("type") : Json();
  return type.is_string() ? type.string() : std::string_view();
}

[[noreturn]] void refuse_kind(const std::string& name, const Json& part) {
  const Json type = part.is_object() ? part.find("type") : part;
  refuse(name + " is " + brief(type) + ", which the C library does not do; use the bundle from Python");
}

// ---- normalizer ----------------------------------------------------------------------------------

using Flags = Settings::Normalizer;

Flags flags_of(const Json& part, const std::string& name) {
  const Json accents = part.find("strip_accents");
  return {flag_in(name + ".handle_chinese_chars", part.find("handle_chinese_chars")),
          flag_in(name + ".lowercase", part.find("lowercase")),
          !accents || accents.is_null() ? std::nullopt : std::optional(flag_in(name + ".strip_accents", accents))};
}

void add_bert(std::vector<Step>& steps, bool cleans, const Flags& flags) {
  if (cleans) steps.push_back(Step::clean);
  if (flags.chinese) steps.push_back(Step::chinese);
  if (flags.accents.value_or(flags.lowercase)) {
    steps.push_back(Step::decompose);
    steps.push_back(Step::drop_accents);
  }
  if (flags.lowercase) steps.push_back(Step::lower);
}

void add_steps(std::vector<Step>& steps, const Json& part, const std::string& name) {
  const std::string_view type = type_of(part);
  if (type == "Sequence") {
    only_keys(part, name, {"type", "normalizers"});
    const Json parts = part.find("normalizers");
    if (!parts.is_list()) refuse(name + ".normalizers is " + brief(parts) + "; expected a list");
    for (const auto& [key, inner] : parts.items()) {
      if (type_of(inner) == "Sequence") refuse_kind(name + " in a Sequence", inner);
      add_steps(steps, inner, name);
    }
  } else if (type == "BertNormalizer") {
    only_keys(part, name, {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
    const bool cleans = flag_in(name + ".clean_text", part.find("clean_text"));
    add_bert(steps, cleans, flags_of(part, name));
  } else if (type == "NFD" || type == "Lowercase" || type == "StripAccents") {
    only_keys(part, name, {"type"});
    steps.push_back(type == "NFD" ? Step::decompose : type == "Lowercase" ? Step::lower : Step::drop_marks);
  } else {
    refuse_kind(name, part);
  }
  if (steps.size() > most_steps) refuse(name + " has too many steps");
}

// Sets the steps that tokenizer.json says; the flags, too, where the settings decide over them.
std::optional<Flags> read_normalizer(Parts& parts, const Json& normalizer) {
  if (!normalizer || normalizer.is_null()) return std::nullopt;
  add_steps(parts.steps, normalizer, "normalizer");
  if (type_of(normalizer) != "BertNormalizer") return std::nullopt;
  return flags_of(normalizer, "normalizer");
}

// ---- pre-tokenizer -------------------------------------------------------------------------------

void check_pre_tokenizer(const Json& part) {
  if (type_of(part) == "Sequence") {
    only_keys(part, "pre_tokenizer", {"type", "pretokenizers"});
    const Json parts = part.find("pretokenizers");
    if (!parts.is_list() || parts.size() != 1) refuse_kind("pre_tokenizer", part);
    const Json inner = parts.at(0);
    if (type_of(inner) != "BertPreTokenizer") refuse_kind("pre_tokenizer", inner);
    only_keys(inner, "pre_tokenizer", {"type"});
    return;
  }
  if (type_of(part) != "BertPreTokenizer") refuse_kind("pre_tokenizer", part);
  only_keys(part, "pre_tokenizer", {"type"});
}

// ---- added tokens --------------------------------------------------------------------------------

bool is_white_space(std::string_view token) {
  for (std::size_t at = 0; at < token.size();) {
    const Decoded character = decode_utf8(token, at);
    if (!(properties(character.code).flags & SPACE)) return false;
    at += character.size;
  }
  return true;
}

// White space, or what byte-level BPE writes for a space.
bool has_space_at_ends(std::string_view token) {
  const auto is_space = [](std::uint32_t code) { return code == 0x120 || properties(code).flags & SPACE; };
  std::size_t last = token.size() - 1;
  while (continues_character(token[last])) last--;
  return is_space(decode_utf8(token, 0).code) || is_space(decode_utf8(token, last).code);
}

void read_added(Parts& parts, const Json& list, bool is_changed, bool splits_special) {
  if (!list || list.is_null()) return;
  if (!list.is_list()) refuse("added_tokens is " + brief(list) + "; expected a list");
  std::vector<AddedToken> raw, normalized;
  std::set<std::string> normals;
  bool takes_right = false, is_space = false;
  auto next = static_cast<std::int64_t>(parts.model.size());  // the id of one that the vocabulary lacks
  std::int64_t largest = -1;
  for (const auto& [key, item] : list.items()) {
    only_keys(item, "added_tokens", {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    AddedToken token;
    token.content = string_in("added_tokens.content", item.find("content"));
    const std::string name = "the added token " + quoted(token.content);
    if (token.content.empty()) refuse("an added token is empty");
    token.id = static_cast<std::int32_t>(whole_in(name + "'s id", item.find("id"), INT32_MAX));
    token.single_word = flag_in(name + "'s single_word", item.find("single_word"));
    token.lstrip = flag_in(name + "'s lstrip", item.find("lstrip"));
    token.rstrip = flag_in(name + "'s rstrip", item.find("rstrip"));
    token.is_text = flag_in(name + "'s special", item.find("special")) && splits_special;
    const bool is_normalized = flag_in(name + "'s normalized", item.find("normalized"));
    // The tokenizers package gives ids by its own rule, whatever the file says.
    std::int64_t expected = parts.model.id(token.content);
    if (expected < 0) expected = std::max(next, largest + 1);
    if (token.id != expected)
      refuse(name + " has the id " + std::to_string(token.id) + ", and tokenizers gives it " +
             std::to_string(expected) + "; save the tokenizer once more with transformers");
    largest = std::max<std::int64_t>(largest, token.id);
    if (!parts.added.emplace(token.content, token.id).second || !parts.contents.emplace(token.id, token.content).second)
      refuse(name + " stands twice, or has the id of another");
    takes_right |= token.rstrip;
    if (is_normalized) {
      if (is_changed)
        refuse(name +
               " is normalized, and tokenizer_config.json contradicts the normalizer of tokenizer.json; save "
               "the tokenizer once more with transformers");
      token.content = normalize(parts.steps, token.content);
      if (token.content.empty()) refuse(name + " is empty when it is normalized");
      if (!normals.insert(token.content).second) refuse(name + " reads like another when it is normalized");
    }
    if (parts.trimming.trims && ((is_normalized && (token.lstrip || token.rstrip)) || has_space_at_ends(token.content)))
      refuse(name + " takes or is white space, and RobertaProcessing trims its place; use the bundle from Python");
    is_space |= is_white_space(token.content);
    (is_normalized ? normalized : raw).push_back(std::move(token));
  }
  if (takes_right && is_space) refuse("an added token is white space that another one takes (rstrip)");
  parts.raw = AddedTokens(std::move(raw));
  parts.normalized = AddedTokens(std::move(normalized));
}

// Refuses tokens that transformers would add, with ids that no model was trained with.
void check_added(const Parts& parts, const Json& added) {
  if (!added || added.is_null()) return;
  if (!added.is_object()) refuse("added_tokens_decoder is " + brief(added) + "; expected an object");
  for (const auto& [id, token] : added.members()) {
    const Json content = token.is_object() ? token.find("content") : token;
    const std::string_view text = string_in("a token of added_tokens_decoder", content);
    if (parts.id(text) < 0)
      refuse("adds the token " + quoted(text) +
             ", which tokenizer.json lacks; save the tokenizer once more with transformers");
  }
}

// ---- post-processor ------------------------------------------------------------------------------

Special ends(const Json& part, const char* key) {
  const std::string name = std::string("post_processor.") + key;
  const Json pair = part.find(key);
  if (!pair.is_list() || pair.size() != 2) refuse(name + " is " + brief(pair) + "; expected a token and its id");
  string_in(name, pair.at(0));
  return {static_cast<std::int32_t>(whole_in(name, pair.at(1), INT32_MAX)), 0};
}

void read_template(Parts& parts, const Json& part) {
  only_keys(part, "post_processor", {"type", "single", "pair", "special_tokens"});
  const Json single = part.find("single"), tokens = part.find("special_tokens");
  if (!single.is_list()) refuse("post_processor.single is " + brief(single) + "; expected a list");
  if (!tokens.is_object()) refuse("post_processor.special_tokens is " + brief(tokens) + "; expected an object");
  bool has_text = false;
  for (const auto& [key, piece] : single.items()) {
    if (!piece.is_object() || piece.size() != 1)
      refuse("post_processor.single has a piece that is no object of one key");
    const JsonMember only = *piece.members().begin();
    only_keys(only.value, "a piece of post_processor.single", {"id", "type_id"});
    const std::string_view id = string_in("post_processor.single.id", only.value.find("id"));
    const auto type =
        static_cast<std::uint8_t>(whole_in("post_processor.single.type_id", only.value.find("type_id"), most_type));
    if (only.key == "Sequence") {
      if (id != "A" || has_text) refuse("post_processor.single does not have the text once");
      has_text = true;
      parts.type = type;
      continue;
    }
    if (only.key != "SpecialToken") refuse("post_processor.single has the piece " + quoted(only.key));
    const Json token = tokens.find(id);
    const Json ids = token.is_object() ? token.find("ids") : Json();
    if (!ids.is_list()) refuse("post_processor.single has " + quoted(id) + ", which special_tokens lacks");
    for (const auto& [none, number] : ids.items()) {
      std::vector<Special>& side = has_text ? parts.behind : parts.before;
      if (side.size() == most_specials) refuse("post_processor.single has too many special tokens");
      side.push_back(
          {static_cast<std::int32_t>(whole_in("an id of post_processor.special_tokens", number, INT32_MAX)), type});
    }
  }
  if (!has_text) refuse("post_processor.single does not have the text once");
}

void read_post_processor(Parts& parts, const Json& part) {
  if (!part || part.is_null()) return;
  const std::string_view type = type_of(part);
  if (type == "TemplateProcessing") {
    read_template(parts, part);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    if (type == "RobertaProcessing") {
      only_keys(part, "post_processor", {"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
      parts.trimming.trims = flag_in("post_processor.trim_offsets", part.find("trim_offsets"));
      parts.trimming.keeps_first = flag_in("post_processor.add_prefix_space", part.find("add_prefix_space"));
    } else {
      only_keys(part, "post_processor", {"type", "sep", "cls"});
    }
    parts.before = {ends(part, "cls")};
    parts.behind = {ends(part, "sep")};
  } else {
    refuse_kind("post_processor", part);
  }
}

// ---- the files -----------------------------------------------------------------------------------

template <class Read>
auto in_file(const char* name, const Read& read) {
  try {
    return read();
  } catch (const Refused& refused) {
    throw Refused(std::string(name) + ": " + refused.what());
  }
}

std::unique_ptr<const Document> read_object(std::string_view text) {
  auto document = std::make_unique<const Document>(std::string(text));
  if (!document->root().is_object()) refuse("not a JSON object");
  return document;
}

std::int32_t unknown_of(const Parts& parts, const Settings& settings) {
  if (const auto named = settings.special("unk_token")) return parts.id(*named);
  const std::int32_t usual = parts.id("[UNK]");
  return usual >= 0 ? usual : parts.id("<unk>");
}

}  // namespace

std::int32_t Parts::id(std::string_view token) const {
  const auto found = added.find(token);
  return found != added.end() ? found->second : model.id(token);
}

Parts read_parts(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                 std::string_view special_tokens_map_json) {
  constexpr const char* file = "tokenizer.json";
  constexpr const char* config = "tokenizer_config.json";
  const auto document = in_file(file, [&] { return read_object(tokenizer_json); });
  const Json root = document->root();
  const auto side_file = [](const char* name, std::string_view text) {
    return text.empty() ? nullptr : in_file(name, [&] { return read_object(text); });
  };
  const Settings settings(side_file(config, tokenizer_config_json),
                          side_file("special_tokens_map.json", special_tokens_map_json));
  Parts parts = in_file(file, [&] {
    only_keys(root, "it",
              {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
               "decoder", "model"});
    const Json model = root.find("model");
    if (!model.is_object()) refuse("model is " + brief(model) + "; expected an object");
    return Parts(model);
  });
  const auto stored = in_file(file, [&] { return read_normalizer(parts, root.find("normalizer")); });
  const auto decided = in_file(config, [&] { return stored ? std::optional(settings.decide(*stored)) : std::nullopt; });
  const bool is_changed = stored && *decided != *stored;
  if (is_changed) {
    parts.steps.clear();
    add_bert(parts.steps, root.find("normalizer").find("clean_text").boolean(), *decided);
  }
  const bool splits_special = in_file(config, [&] { return settings.splits_special_tokens(); });
  in_file(file, [&] {
    check_pre_tokenizer(root.find("pre_tokenizer"));
    read_post_processor(parts, root.find("post_processor"));
    read_added(parts, root.find("added_tokens"), is_changed, splits_special);
  });
  in_file(config, [&] {
    check_added(parts, settings.find("added_tokens_decoder"));
    settings.is_left("padding_side", root.find("padding"));  // C pads nothing, and checks what Python checks
    parts.cuts_left = settings.is_left("truncation_side", root.find("truncation"));
    parts.has_token_types = settings.has_token_types();
    parts.unknown = unknown_of(parts, settings);
  });
  return parts;
}

}  // namespace leanbert::text
