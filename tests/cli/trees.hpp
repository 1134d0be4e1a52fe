// Trees to run commands on, and what a tree is made of.
#pragma once

#include <string>

#include "program.hpp"

namespace cli {

// Names and contents that break careless tools: newlines, invalid UTF-8, dashes, order traps, empty and large files.
void make_hostile_tree(const scratch& in, const std::string& name);

// Every entry: path, type, mode, owner, times in ns, link target, content digest. Equal text, equal trees.
std::string describe_tree(const std::string& root);

}  // namespace cli
