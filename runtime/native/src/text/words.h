// The words of a text, one after the other: characters come in, tokens go out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/normalizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "text/wordpiece.h"

namespace leanbert::text {

// Takes the tokens of a text: the first ones up to a number, or the last ones.
class Tokens {
 public:
  Tokens(Encoding& out, std::size_t most, bool keeps_last)
      : out_(out), first_(out.ids.size()), most_(most), keeps_last_(keeps_last) {}

  void put(std::int32_t id, std::uint32_t begin, std::uint32_t end) {
    if (out_.ids.size() - first_ == most_ && !keeps_last_) {
      out_.cut = true;
      return;
    }
    out_.ids.push_back(id);
    out_.begin.push_back(begin);
    out_.end.push_back(end);
    out_.word.push_back(word_);
    if (keeps_last_ && out_.ids.size() - first_ > 2 * most_ + 64) drop();
  }
  void end_word() { word_++; }
  void finish() {
    if (keeps_last_) drop();
  }
  bool is_full() const { return out_.cut && !keeps_last_; }  // what comes now changes nothing

 private:
  void drop() {
    const std::size_t count = out_.ids.size() - first_;
    if (count <= most_) return;
    out_.cut = true;
    drop(out_.ids, count - most_);
    drop(out_.begin, count - most_);
    drop(out_.end, count - most_);
    drop(out_.word, count - most_);
  }
  template <class T>
  void drop(std::vector<T>& list, std::size_t count) {
    const auto first = list.begin() + static_cast<std::ptrdiff_t>(first_);
    list.erase(first, first + static_cast<std::ptrdiff_t>(count));
  }

  Encoding& out_;
  const std::size_t first_, most_;
  const bool keeps_last_;
  std::int32_t word_ = 0;
};

// Splits as BERT's pre-tokenizer does: at white space, and every punctuation mark is a word.
class Words {
 public:
  Words(const WordPiece& model, Tokens& tokens) : model_(model), tokens_(tokens), most_(model.max_characters()) {}

  void put(Character c) {
    const std::uint16_t flags = properties(c.code).flags;
    if (flags & SPACE) return end();
    if (flags & PUNCTUATION) {
      end();
      add(c);
      return end();
    }
    add(c);
  }
  void add(Character c) {
    if (count_++ == 0) begin_ = c.begin;
    end_ = c.end;
    if (count_ > most_) return;  // one unknown token, whatever it is
    word_.starts.push_back(static_cast<std::uint32_t>(word_.bytes.size()));
    places_.push_back({c.begin, c.end});
    append_utf8(c.code, word_.bytes);
  }
  void end() {
    if (count_ == 0) return;
    if (count_ > most_) {
      tokens_.put(model_.unknown(), begin_, end_);
    } else {
      model_.split(word_, pieces_);
      for (const Piece& piece : pieces_) tokens_.put(piece.id, places_[piece.first].begin, places_[piece.last].end);
    }
    tokens_.end_word();
    count_ = 0;
    word_.bytes.clear();
    word_.starts.clear();
    places_.clear();
  }

 private:
  struct Place {
    std::uint32_t begin, end;
  };

  const WordPiece& model_;
  Tokens& tokens_;
  const std::size_t most_;
  std::size_t count_ = 0;  // characters of the word so far
  std::uint32_t begin_ = 0, end_ = 0;
  Word word_;
  std::vector<Place> places_;
  std::vector<Piece> pieces_;
};

}  // namespace leanbert::text
