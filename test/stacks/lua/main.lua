-- Uses Lua's standard library, compiled modules (cjson, socket, ssl), TLS, time zones (through date) and the payload; prints one line of JSON.
local cjson = require("cjson")
local https = require("ssl.https")

local lines = io.lines(os.getenv("PAYLOAD_FILE"))
local text, numbers, sum = lines(), {}, 0
for number in lines():gmatch("%d+") do
  table.insert(numbers, math.tointeger(number))
end
table.sort(numbers)
for _, number in ipairs(numbers) do
  sum = sum + number
end

local function fetch(cafile)
  return https.request({ url = os.getenv("TEST_URL"), verify = "peer", cafile = cafile, sink = nil })
end

local chunks = {}
assert(https.request({
  url = os.getenv("TEST_URL"), verify = "peer", cafile = os.getenv("TEST_CA"),
  sink = function(chunk) if chunk then table.insert(chunks, chunk) end return 1 end,
}))
local answered, reason = fetch("/etc/ssl/certs/ca-certificates.crt")
local date = io.popen("TZ=America/New_York date -d @1719835200 '+%Y-%m-%d %H:%M'")

print(cjson.encode({
  version = _VERSION:match("[%d.]+"),
  text = text,
  length = utf8.len(text),
  sorted = numbers,
  sum = sum,
  native = cjson.decode("[42]")[1],
  tls = table.concat(chunks),
  refused = answered == nil and tostring(reason):find("certificate verify failed") ~= nil,
  time = date:read("l"),
}))
