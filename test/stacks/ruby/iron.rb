# A program for IronWorker: its client library looks for the input in the command line.
require 'json'

def argument(name)
  ARGV.each_with_index { |word, index| return ARGV[index + 1] if word == name }
  nil
end

def content(name)
  path = argument(name)
  return nil if path.nil? || !File.exist?(path)

  text = File.read(path, encoding: 'UTF-8')
  text.empty? ? nil : JSON.parse(text)
end

puts JSON.generate(
  id: argument('-id'),
  payload: content('-payload'),
  config: content('-config'),
  schedule: argument('-schedule_id'),
  beside: File.read("#{argument('-d')}iron.txt").strip
)
