# ruby smoke.rb 3.3: checks that this is Ruby 3.3 and that its standard library works.
require 'bigdecimal'
require 'digest'
require 'json'
require 'openssl'
require 'set'
require 'yaml'

def check(what)
  abort "#{what} fails" unless yield
end

check("Ruby #{RUBY_VERSION}") { RUBY_VERSION.start_with?("#{ARGV.fetch(0)}.") }
check('json') { JSON.parse(JSON.generate({ a: [1] })) == { 'a' => [1] } }
check('yaml') { YAML.load('b: 2')['b'] == 2 }
check('openssl') { OpenSSL::Digest::SHA256.hexdigest('') == Digest::SHA256.hexdigest('') }
check('bigdecimal') { BigDecimal('0.1') + BigDecimal('0.2') == BigDecimal('0.3') }
check('set') { Set[1, 1].size == 1 }
