# Uses Ruby's standard library, its compiled parts (fiddle, openssl), TLS, locale, time zones and the payload; prints one line of JSON.
require 'fiddle'
require 'json'
require 'net/http'
require 'openssl'
require 'set'

text, numbers = File.read(ENV.fetch('PAYLOAD_FILE')).lines(chomp: true)
numbers = numbers.split.map { |number| Integer(number) }
uri = URI(ENV.fetch('TEST_URL'))

fetch = lambda do |options|
  Net::HTTP.start(uri.host, uri.port, use_ssl: true, open_timeout: 10, **options) { |http| http.get('/').body }
end
refused = begin
  fetch.call({})
  false
rescue OpenSSL::SSL::SSLError => error
  error.message.include?('certificate verify failed')
end
absolute = Fiddle::Function.new(Fiddle.dlopen(nil)['abs'], [Fiddle::TYPE_INT], Fiddle::TYPE_INT)
ENV['TZ'] = 'America/New_York'

puts JSON.generate(
  version: RUBY_VERSION,
  text: text,
  length: text.length,
  sorted: Set.new(numbers).sort,
  sum: numbers.sum,
  native: absolute.call(-42),
  tls: fetch.call(ca_file: ENV.fetch('TEST_CA')),
  refused: refused,
  time: Time.utc(2024, 7, 1, 12).getlocal.strftime('%Y-%m-%d %H:%M')
)
