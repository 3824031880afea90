// A text's characters on their way to the words: cleaned, decomposed, without accents, in lower case, each with the
// bytes of the text that it came from. They pass one by one, so that a text of any length takes no memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/unicode.h"
#include "text/utf8.h"

namespace leanbert::text {

struct Character {
  std::uint32_t code;
  std::uint32_t begin, end;  // bytes of the text
};

enum class Step : std::uint8_t {
  clean,         // clean_text: drop control characters, make white space spaces
  chinese,       // handle_chinese_chars: spaces around ideographs
  decompose,     // NFD
  drop_accents,  // strip_accents, after decompose: drop nonspacing marks
  drop_marks,    // StripAccents: drop every mark
  lower,
};

// What one text needs on the way. Sink has put(Character).
template <class Sink>
class Normalization {
 public:
  Normalization(const std::vector<Step>& steps, Sink& sink) : steps_(steps), sink_(sink), runs_(steps.size()) {}

  void put(Character c) { pass(0, c); }

  // At the end of what is normalized together.
  void finish() {
    for (std::size_t step = 0; step < steps_.size(); step++) settle(step);
  }

  bool is_settled() const { return waiting_ == 0; }  // no mark waits for those that may have to stand before it

 private:
  // A mark that follows a character, as decomposed. The tokenizers package gives what is new in a decomposition the
  // place of what was read last, and everything else the next place, after marks were put in order.
  struct Mark {
    std::uint32_t code;
    std::uint8_t combining_class;
    bool is_new;
  };
  struct Place {
    std::uint32_t begin, end;
  };
  struct Run {
    std::vector<Mark> marks;
    std::vector<Place> places;  // of those that are not new
    Place last{0, 0};
  };
  // Marks that wait at most. No word has so many: ids do not depend on their order beyond most_word_characters.
  static constexpr std::size_t most_marks = 1 << 16;

  void pass(std::size_t step, Character c) {
    for (; step < steps_.size(); step++) {
      const Properties& known = properties(c.code);
      switch (steps_[step]) {
        case Step::clean:
          if (known.flags & DROPPED) return;
          if (known.flags & SPACED) c.code = ' ';
          break;
        case Step::chinese:
          if (known.flags & CHINESE) {
            pass(step + 1, {' ', c.begin, c.end});
            pass(step + 1, c);
            pass(step + 1, {' ', c.begin, c.end});
            return;
          }
          break;
        case Step::decompose: decompose(step, c, known); return;
        case Step::drop_accents:
          if (known.flags & ACCENT) return;
          break;
        case Step::drop_marks:
          if (known.flags & MARK) return;
          break;
        case Step::lower:
          if (known.flags & LOWERS) {
            for (std::uint32_t i = 1; i <= unicode_long_lower_size; i++)
              pass(step + 1, {unicode_long_lower[i], c.begin, c.end});
            return;
          }
          c.code = static_cast<std::uint32_t>(static_cast<std::int32_t>(c.code) + known.to_lower);
          break;
      }
    }
    sink_.put(c);
  }

  void decompose(std::size_t step, Character c, const Properties& known) {
    if (known.flags & DECOMPOSES) {
      const Characters parts = decomposition(c.code);
      for (std::uint32_t i = 0; i < parts.size; i++) part(step, {parts.first[i], c.begin, c.end}, i > 0);
    } else if (c.code >= hangul_first && c.code <= hangul_last) {
      const std::uint32_t index = c.code - hangul_first;
      part(step, {0x1100 + index / 588, c.begin, c.end}, false);
      part(step, {0x1161 + index % 588 / 28, c.begin, c.end}, true);
      if (index % 28) part(step, {0x11A7 + index % 28, c.begin, c.end}, true);
    } else {
      part(step, c, false);
    }
  }

  void part(std::size_t step, Character c, bool is_new) {
    Run& run = runs_[step];
    const std::uint8_t combining_class = properties(c.code).combining_class;
    if (combining_class == 0) {
      if (!run.marks.empty()) settle(step);
      if (!is_new) run.last = {c.begin, c.end};
      pass(step + 1, {c.code, run.last.begin, run.last.end});
      return;
    }
    if (run.marks.size() == most_marks) thin_out(step);
    run.marks.push_back({c.code, combining_class, is_new});
    if (!is_new) run.places.push_back({c.begin, c.end});
    waiting_++;
  }

  void settle(std::size_t step) {
    Run& run = runs_[step];
    if (run.marks.empty()) return;
    std::stable_sort(run.marks.begin(), run.marks.end(),
                     [](const Mark& a, const Mark& b) { return a.combining_class < b.combining_class; });
    waiting_ -= run.marks.size();
    std::size_t next = 0;
    for (const Mark& mark : run.marks) {
      if (!mark.is_new) run.last = run.places[next++];
      pass(step + 1, {mark.code, run.last.begin, run.last.end});
    }
    run.marks.clear();
    run.places.clear();
  }

  // Of very many marks in a row those that the next step drops go first. If most are left, the word is too long to be
  // looked up, and their order does not matter.
  void thin_out(std::size_t step) {
    Run& run = runs_[step];
    const Step next = step + 1 < steps_.size() ? steps_[step + 1] : Step::lower;
    const std::uint16_t dropped = next == Step::drop_accents ? ACCENT : next == Step::drop_marks ? MARK : 0;
    std::vector<Mark> kept;
    std::vector<Place> places;
    std::size_t at = 0;
    for (const Mark& mark : run.marks) {
      if (!mark.is_new) run.last = run.places[at++];
      if (properties(mark.code).flags & dropped) continue;
      kept.push_back({mark.code, mark.combining_class, false});
      places.push_back(run.last);
    }
    waiting_ -= run.marks.size() - kept.size();
    run.marks.swap(kept);
    run.places.swap(places);
    if (run.marks.size() > most_marks / 2) settle(step);
  }

  const std::vector<Step>& steps_;
  Sink& sink_;
  std::vector<Run> runs_;  // of each decompose
  std::size_t waiting_ = 0;
};

// What the steps make of a text.
inline std::string normalize(const std::vector<Step>& steps, std::string_view text) {
  struct {
    std::string text;
    void put(Character c) { append_utf8(c.code, text); }
  } sink;
  Normalization normalization(steps, sink);
  for (std::size_t at = 0; at < text.size();) {
    const Decoded character = decode_utf8(text, at);
    normalization.put({character.code, 0, 0});
    at += character.size;
  }
  normalization.finish();
  return sink.text;
}

}  // namespace leanbert::text
