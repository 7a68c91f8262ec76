// Uses C++'s standard library with a part in C, TLS, locale, time zones and the payload; prints one line of JSON.
#include <algorithm>
#include <chrono>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <format>
#include <fstream>
#include <iostream>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

extern "C" int fetch(const char *address, const char *ca, char *body, int size);

int main() {
  std::setlocale(LC_ALL, "");
  std::ifstream payload(std::getenv("PAYLOAD_FILE"));
  std::string text, line;
  std::getline(payload, text);
  std::getline(payload, line);
  std::istringstream words(line);
  std::vector<int> numbers;
  for (int number; words >> number;) numbers.push_back(number);
  std::ranges::sort(numbers);
  std::string sorted;
  for (int number : numbers) sorted += (sorted.empty() ? "" : ",") + std::to_string(number);
  const std::string address = std::string("localhost:") + std::getenv("TEST_PORT");
  char body[256] = "", nothing[256];
  if (fetch(address.c_str(), std::getenv("TEST_CA"), body, sizeof body) < 0) return 1;
  const bool refused = fetch(address.c_str(), nullptr, nothing, sizeof nothing) < 0;
  using namespace std::chrono;
  const sys_seconds noon = sys_days(2024y / July / 1) + 12h;
  const auto there = zoned_time("America/New_York", noon).get_local_time();
  std::cout << std::format(
      R"({{"version":"{}.{}","text":"{}","length":{},"sorted":[{}],"sum":{},"native":{},"tls":"{}","refused":{},"time":"{:%Y-%m-%d %H:%M}"}})",
      __GNUC__, __GNUC_MINOR__, text, std::mbstowcs(nullptr, text.c_str(), 0), sorted,
      std::accumulate(numbers.begin(), numbers.end(), 0), std::abs(-42), body, refused, there) << "\n";
}
