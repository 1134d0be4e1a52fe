#include "hash/listed_places.hpp"

#include <algorithm>

namespace tool {

namespace {

constexpr std::string_view current = ".", root = "/", above = "..";

bool too_wide(std::string_view place) noexcept { return place == current || place == root; }

// The directory that a name lies in.
std::string_view holder_of(std::string_view name) noexcept {
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return current;
  return slash == 0 ? root : name.substr(0, slash);
}

// Leads out of the directory that it is taken relative to.
bool leads_out(std::string_view path) noexcept { return path == above || path.starts_with("../"); }

// What is left of a path below one that it begins with.
std::string_view below(std::string_view path, std::string_view holder) noexcept {
  path.remove_prefix(std::min(path.size(), holder == root ? 1 : holder.size() + 1));
  return path;
}

std::string_view longest_common(std::string_view a, std::string_view b) noexcept {
  const auto parted = static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
  const auto whole = [parted](std::string_view path) { return parted == path.size() || path[parted] == '/'; };
  std::string_view common = a.substr(0, parted);
  if (parted == 0) return current;
  if (!whole(a) || !whole(b)) common = holder_of(common);
  return leads_out(below(a, common)) || leads_out(below(b, common)) ? current : common;
}

// Leading ".."s belong to it.
std::string_view first_component(std::string_view path) noexcept {
  std::size_t end = path.starts_with('/') ? 1 : 0;
  while (path.substr(end).starts_with("../")) end += 3;
  return path.substr(0, path.find('/', end));
}

}  // namespace

void listed_places::take_file(std::string_view normalised_name) {
  const std::string_view holder = holder_of(normalised_name), first = first_component(normalised_name);
  const bool directly_in_it = first == normalised_name && holder != root;
  side_of(normalised_name).take(holder, directly_in_it ? holder : first);
}

void listed_places::take_directory(std::string_view normalised_name) {
  side_of(normalised_name).take(normalised_name, first_component(normalised_name));
}

void listed_places::side::take(std::string_view holder, std::string_view first) {
  if (!common) {
    common = holder;
  } else if (!too_wide(*common)) {
    std::string narrowed(longest_common(*common, holder));
    if (too_wide(narrowed)) firsts.emplace(first_component(*common));
    common = std::move(narrowed);
  }
  if (!too_wide(*common) || firsts.contains(first)) return;
  const bool in_another = firsts.contains(current) && !leads_out(first);
  if (!in_another) firsts.emplace(first);
}

void listed_places::side::add_to(std::vector<std::string>& places) const {
  if (!common) return;
  if (too_wide(*common))
    places.insert(places.end(), firsts.begin(), firsts.end());
  else
    places.push_back(*common);
}

std::vector<std::string> listed_places::found() const {
  std::vector<std::string> places;
  absolute_.add_to(places);
  relative_.add_to(places);
  return outermost(std::move(places));
}

std::vector<std::string> outermost(std::vector<std::string> places) {
  std::ranges::sort(places);
  places.erase(std::ranges::unique(places).begin(), places.end());
  const auto lies_in_another = [&places](std::string_view path) {
    while (!too_wide(path) && path != above && !path.ends_with("/..")) {
      path = holder_of(path);
      if (std::ranges::binary_search(places, path, std::less<>())) return true;
    }
    return false;
  };
  std::vector<std::string> kept;
  for (const std::string& place : places)
    if (!lies_in_another(place)) kept.push_back(place);
  return kept;
}

}  // namespace tool
