# Requires every file of the standard library. What is part of a whole that is required first, or another system's, is passed over.
require 'rbconfig'
folders = RbConfig::CONFIG.values_at('rubylibdir', 'rubyarchdir')
names = folders.flat_map { |folder| Dir.children(folder).grep(/\.(?:rb|so)\z/).map { |name| name.sub(/\.\w+\z/, '') } }
failed = (names.uniq.sort - %w[debug un mkmf]).filter_map do |name|
  require name
  nil
rescue LoadError, StandardError => error
  "#{name}: #{error.message}"
end
puts "#{names.size} files"
abort failed.join("\n") unless failed.empty? && names.size > 60
