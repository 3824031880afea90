// Scores the lines of the input on two threads that share one model, and prints them in their order.
//
//     c++ -std=c++17 headlines.cpp $(pkg-config --cflags --libs leanbert) -pthread -o headlines
//     ./headlines BUNDLE < headlines.txt
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "leanbert.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "headlines: usage: headlines BUNDLE\n");
    return 2;
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(std::cin, line);) lines.push_back(line);
  try {
    const leanbert::Model model(argv[1]);
    const auto labels = model.labels();
    std::vector<float> scores(lines.size() * labels.size());
    std::string failure[2];
    const auto work = [&](std::size_t from, std::size_t to, std::string& why_not) {
      try {
        const std::vector<std::string_view> texts(lines.begin() + static_cast<std::ptrdiff_t>(from),
                                                  lines.begin() + static_cast<std::ptrdiff_t>(to));
        const std::vector<float> found = model.classify(texts);
        std::copy(found.begin(), found.end(), scores.begin() + static_cast<std::ptrdiff_t>(from * labels.size()));
      } catch (const std::exception& error) {
        why_not = error.what();
      }
    };
    const std::size_t half = lines.size() / 2;
    std::thread other(work, 0, half, std::ref(failure[0]));
    work(half, lines.size(), failure[1]);
    other.join();
    for (const std::string& line : failure)
      if (!line.empty()) throw std::runtime_error(line);
    for (std::size_t i = 0; i < lines.size(); i++) {
      const float* row = scores.data() + i * labels.size();
      const auto best = static_cast<std::size_t>(std::max_element(row, row + labels.size()) - row);
      std::cout << labels[best] << '\t' << row[best] << '\t' << lines[i] << '\n';
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "headlines: %s\n", error.what());
    return 1;
  }
}
