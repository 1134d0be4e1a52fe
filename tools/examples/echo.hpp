// What the echo examples share: their command line.
#pragma once

#include <asyncfs/asyncfs.hpp>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

struct echo_options {
  asyncfs::loop_options loop;
  std::uint16_t port = 0;
};

// [--engine=auto|uring|threads|sync] PORT
inline echo_options parse_echo_options(int argc, char** argv) {
  echo_options options;
  bool good = argc > 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--engine=")) {
      const auto kind = asyncfs::parse_engine_kind(word.substr(9));
      good &= kind.has_value();
      options.loop.engine.kind = kind.value_or(asyncfs::engine_kind::automatic);
    } else {
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), options.port);
      good &= error == std::errc() && end == word.data() + word.size();
    }
  }
  if (good) return options;
  std::fprintf(stderr, "usage: %s [--engine=auto|uring|threads|sync] PORT\n", argv[0]);
  std::exit(2);
}

// Tells where the server listens: with port 0 the kernel chose.
inline void say_port(const asyncfs::listener& incoming) {
  std::printf("%d\n", incoming.bound().local().value().port());
  std::fflush(stdout);
}
