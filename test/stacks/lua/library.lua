-- Looks for every library that the interpreter opens by itself, and requires every module among the files that are named in a list.
local failed, count = {}, 0
for _, name in ipairs({ "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8" }) do
  if type(package.loaded[name]) ~= "table" then table.insert(failed, name .. ": missing") end
end
-- A program that reads its own arguments: it writes a part of ssl's source.
local apart = { ["ssl.options"] = true }
for path in io.lines(arg[1]) do
  local name = path:match("/lua/5%.4/(.*)%.%w+$"):gsub("/", ".")
  if not apart[name] then
    local loaded, problem = pcall(require, name)
    count = count + 1
    if not loaded then table.insert(failed, name .. ": " .. problem) end
  end
end
print(count .. " modules")
io.stderr:write(table.concat(failed, "\n"), "\n")
os.exit(#failed == 0 and count > 15)
