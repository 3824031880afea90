#include "library/entities.h"

#include <algorithm>
#include <cstring>

#include "text/utf8.h"

namespace leanbert::library {
namespace {

std::size_t characters(std::string_view text) {
  return text.size() - static_cast<std::size_t>(std::count_if(text.begin(), text.end(), text::continues_character));
}

std::size_t best_of(const float* scores, std::size_t labels) {
  return static_cast<std::size_t>(std::max_element(scores, scores + labels) - scores);
}

}  // namespace

EntityReader::EntityReader(const text::Tokenizer& tokenizer, const std::vector<std::string>& labels)
    : tokenizer_(tokenizer),
      labels_(labels),
      unknown_(tokenizer.unknown()),
      knows_words_(!tokenizer.continuing_prefix().empty()) {
  for (const std::string& label : labels) {
    const std::string_view name = label;
    const bool tagged = name.substr(0, 2) == "B-" || name.substr(0, 2) == "I-";
    const std::size_t hyphen = label.find('-');
    tags_.push_back({name.substr(0, 2) == "B-", tagged ? name.substr(2) : name,
                     label.c_str() + (hyphen == std::string::npos ? 0 : hyphen + 1)});
  }
}

std::vector<Entity> EntityReader::read(std::string_view text, const text::Encoding& tokens, const float* scores,
                                       Aggregation aggregation) const {
  std::vector<Entity> found;
  if (aggregation == Aggregation::none) {
    for (std::size_t t = 0; t < tokens.ids.size(); t++) {
      if (tokens.word[t] < 0) continue;
      const float* row = scores + t * labels_.size();
      const std::size_t best = best_of(row, labels_.size());
      if (labels_[best] != "O") found.push_back({labels_[best].c_str(), row[best], tokens.begin[t], tokens.end[t], t});
    }
    return found;
  }
  const std::vector<Unit> all = units(text, tokens, scores, aggregation);
  for (std::size_t from = 0, to = 0; from < all.size(); from = to) {  // runs of one entity; B- begins another
    double sum = 0;
    do {
      sum += all[to++].score;
    } while (to < all.size() && !tags_[all[to].label].begins &&
             tags_[all[to].label].name == tags_[all[to - 1].label].name);
    const char* group = tags_[all[from].label].group;
    if (std::strcmp(group, "O") == 0) continue;
    const std::size_t first = all[from].tokens.front(), last = all[to - 1].tokens.back();
    found.push_back({group, static_cast<float>(sum / static_cast<double>(to - from)), tokens.begin[first],
                     tokens.end[last], first});
  }
  return found;
}

std::vector<EntityReader::Unit> EntityReader::units(std::string_view text, const text::Encoding& tokens,
                                                    const float* scores, Aggregation aggregation) const {
  const std::size_t labels = labels_.size();
  std::vector<Unit> all;
  for (std::size_t t = 0; t < tokens.ids.size(); t++) {
    if (tokens.word[t] < 0) continue;
    if (aggregation != Aggregation::simple && !all.empty() && is_inside(text, tokens, t))
      all.back().tokens.push_back(t);
    else
      all.push_back({0, 0, {t}});
  }
  std::vector<float> mean(labels);
  for (Unit& unit : all) {
    const float* chosen = scores + unit.tokens[0] * labels;
    if (aggregation == Aggregation::average && unit.tokens.size() > 1) {
      std::fill(mean.begin(), mean.end(), 0.f);
      for (const std::size_t t : unit.tokens)
        for (std::size_t i = 0; i < labels; i++) mean[i] += scores[t * labels + i];
      for (float& value : mean) value /= static_cast<float>(unit.tokens.size());
      chosen = mean.data();
    } else if (aggregation == Aggregation::max) {
      for (const std::size_t t : unit.tokens) {
        const float* row = scores + t * labels;
        if (row[best_of(row, labels)] > chosen[best_of(chosen, labels)]) chosen = row;
      }
    }
    unit.label = best_of(chosen, labels);
    unit.score = chosen[unit.label];
  }
  return all;
}

// Whether a token continues a word, by the same guess as transformers'.
bool EntityReader::is_inside(std::string_view text, const text::Encoding& tokens, std::size_t token) const {
  const std::int32_t id = tokens.ids[token];
  if (id == unknown_) return false;
  const std::size_t begin = tokens.begin[token], end = tokens.end[token];
  if (knows_words_) return characters(tokenizer_.token(id)) != characters(text.substr(begin, end - begin));
  return begin > 0 && text.substr(begin - 1, 2).find(' ') == std::string_view::npos;
}

}  // namespace leanbert::library
